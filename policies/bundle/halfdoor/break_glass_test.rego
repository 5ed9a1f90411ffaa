package halfdoor_test

import data.halfdoor

# The call of somebody on call, in an emergency.
in_emergency(changes) := object.union(
	with_roles(["helpdesk-emergency"], {
		"purpose": "",
		"request": {"type": "Patient"},
		"break_glass": {"reason": "records-down"},
	}),
	changes,
)

test_emergency_allowed if {
	decision := halfdoor.decision with input as in_emergency({})
	decision.allow == true
	decision.break_glass == true
	decision.reason.code == "policy-break-glass-allowed"
	decision.dataset == "emergency"
	decision.purpose == "BTG"
	{label.code | some label in decision.deny_labels} == {"R", "V"}
}

# It does not wait for the morning, and does not depend on the ticket's desk.
test_emergency_at_any_hour if {
	night := in_emergency({"time": {"weekday": "sunday", "hour": 3}, "ticket": {"category": "billing"}})
	decision := halfdoor.decision with input as night with data.halfdoor.hours.enforced as true
	decision.allow == true
}

# Who has a desk as well is shown the emergency's dataset in an emergency, and the desk's otherwise.
test_emergency_beside_a_desk if {
	ask := in_emergency({"caller": {"roles": ["helpdesk-scheduling", "helpdesk-emergency"]}})
	emergency := halfdoor.decision with input as ask
	emergency.dataset == "emergency"
	calm := halfdoor.decision with input as object.union(ask, {"break_glass": {"reason": ""}})
	calm.dataset == "scheduling"
	calm.break_glass == false
}

test_emergency_needs_its_role[role] if {
	some role in ["helpdesk-scheduling", "helpdesk-access", "Helpdesk-Emergency", ""]
	decision := halfdoor.decision with input as in_emergency({"caller": {"roles": [role]}})
	refused(decision, "policy-break-glass-role")
}

test_emergency_needs_a_reason if {
	decision := halfdoor.decision with input as in_emergency({"break_glass": {"reason": ""}})
	refused(decision, "policy-break-glass")
}

test_emergency_needs_a_known_reason[reason] if {
	some reason in ["because", "records", "records-down-", "true"]
	decision := halfdoor.decision with input as in_emergency({"break_glass": {"reason": reason}})
	refused(decision, "policy-break-glass-reason")
}

test_emergency_needs_a_ticket if {
	decision := halfdoor.decision with input as in_emergency({"ticket": {"id": ""}})
	refused(decision, "policy-break-glass-ticket")
}

# The directory needs no ticket otherwise; in an emergency everything does.
test_emergency_needs_a_ticket_for_the_directory if {
	decision := halfdoor.decision with input as in_emergency({"ticket": {"id": ""}, "request": {"type": "Location"}})
	refused(decision, "policy-break-glass-ticket")
}

test_emergency_reads_alone[interaction] if {
	some interaction in [
		"create", "update", "patch", "delete", "operation", "batch",
		"vread", "history-instance", "history-type", "search-system", "",
	]
	decision := halfdoor.decision with input as in_emergency({"request": {"interaction": interaction}})
	refused(decision, "policy-break-glass-data")
}

test_emergency_types[type] if {
	some type in ["Appointment", "Observation", "Condition", "Coverage", "patient", ""]
	decision := halfdoor.decision with input as in_emergency({"request": {"type": type}})
	refused(decision, "policy-break-glass-data")
}

# Settings lost or misspelt close the door.
test_break_glass_lost if not halfdoor.decision.allow with input as in_emergency({}) with data.halfdoor.break_glass as {}

test_break_glass_reasons_lost if not halfdoor.decision.allow with input as in_emergency({}) with data.halfdoor.break_glass.reasons as {}

test_break_glass_roles_lost if not halfdoor.decision.allow with input as in_emergency({}) with data.halfdoor.break_glass.roles as {}

# An older gateway's input, which says nothing of emergencies, is none.
test_no_word_of_an_emergency if {
	decision := halfdoor.decision with input as object.remove(call, ["break_glass"])
	decision.allow == true
	decision.break_glass == false
}

test_reasons_have_sentences if {
	every code, sentence in data.halfdoor.break_glass.reasons {
		regex.match(`^[a-z][a-z0-9-]{0,31}$`, code)
		endswith(sentence, ".")
	}
}
