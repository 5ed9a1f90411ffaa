package halfdoor_test

import data.halfdoor

no_ticket := {"id": "", "category": ""}

# Every type of every desk that tells of a patient.
patient_records := {concat(" ", [role, type]): {"role": role, "type": type} |
	some role, desk in data.halfdoor.roles
	some type, _ in data.halfdoor.datasets[desk].resources
	type in {"Patient", "Appointment", "Encounter", "Coverage", "Task", "Communication", "ServiceRequest"}
}

test_patient_records_are_many if count(patient_records) >= 12

test_patient_records_need_ticket[name] if {
	some name, record in patient_records
	ask := with_roles([record.role], {"ticket": no_ticket, "request": {"type": record.type}})
	decision := halfdoor.decision with input as ask
	refused(decision, "policy-ticket")
}

test_directory_needs_no_ticket[type] if {
	some type in [
		"Practitioner", "PractitionerRole", "Organization", "Location",
		"Schedule", "Slot",
	]
	decision := halfdoor.decision with input as changed({"ticket": no_ticket, "request": {"type": type}})
	decision.allow == true
}

# A type that a dataset gains later needs a ticket until somebody says otherwise.
test_new_type_needs_ticket if {
	decision := halfdoor.decision with input as changed({"ticket": no_ticket, "request": {"type": "Flag"}})
		with data.halfdoor.datasets.scheduling.resources.Flag as {"id": "token"}
	refused(decision, "policy-ticket")
}

test_tickets_switched_off if {
	decision := halfdoor.decision with input as changed({"ticket": no_ticket})
		with data.halfdoor.tickets.required as false
	decision.allow == true
}

test_category_is_not_a_ticket if {
	decision := halfdoor.decision with input as changed({"ticket": {"id": "", "category": "appointment"}})
	refused(decision, "policy-ticket")
}

test_category_may_be_unknown if {
	decision := halfdoor.decision with input as changed({"ticket": {"category": ""}})
	decision.allow == true
}

test_category_of_another_desk_refused[category] if {
	some category in ["invoice", "login", "lunch"]
	decision := halfdoor.decision with input as changed({"ticket": {"category": category}})
	refused(decision, "policy-category")
}
