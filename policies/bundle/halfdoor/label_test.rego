package halfdoor_test

import data.halfdoor

test_labels_of_all_desks if {
	decision := halfdoor.decision with input as call
	decision.deny_labels == data.halfdoor.deny_labels
}

psychiatry := {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}

# A desk's own labels come on top of the hospital's, and are no other desk's.
test_labels_of_one_desk if {
	asked := object.union(data.halfdoor.desks.scheduling, {"deny_labels": [psychiatry]})
	decision := halfdoor.decision with input as call
		with data.halfdoor.desks.scheduling as asked
	psychiatry in decision.deny_labels
	count(decision.deny_labels) == count(data.halfdoor.deny_labels) + 1
}

test_billing_does_not_see_sensitive_care if {
	decision := halfdoor.decision with input as with_roles(["helpdesk-billing"], {
		"ticket": {"category": "invoice"},
		"purpose": "",
		"request": {"type": "Encounter"},
	})
	psychiatry in decision.deny_labels
}
