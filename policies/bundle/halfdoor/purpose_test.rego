package halfdoor_test

import data.halfdoor

test_purpose_allowed[purpose] if {
	some purpose in ["PATADMIN", "PATRQT", "HOPERAT"]
	decision := halfdoor.decision with input as changed({"purpose": purpose})
	decision.purpose == purpose
}

test_purpose_refused[purpose] if {
	some purpose in ["TREAT", "HPAYMT", "BTG", "patadmin", "anything"]
	decision := halfdoor.decision with input as changed({"purpose": purpose})
	refused(decision, "policy-purpose")
}

test_default_purpose_stands_in if {
	decision := halfdoor.decision with input as changed({"purpose": ""})
	decision.purpose == "PATADMIN"
}

test_without_default_purpose_is_demanded if {
	decision := halfdoor.decision with input as changed({"purpose": ""})
		with data.halfdoor.desks.scheduling as {"dataset": "scheduling", "purposes": {"PATADMIN": "books"}}
	refused(decision, "policy-purpose")
}

# No desk treats patients.
test_nobody_may_treat if {
	every desk in data.halfdoor.desks {
		not desk.purposes.TREAT
	}
}

test_default_purposes_are_allowed if {
	every desk in data.halfdoor.desks {
		desk.purposes[desk.default_purpose]
	}
}
