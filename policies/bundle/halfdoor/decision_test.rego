package halfdoor_test

import data.halfdoor

test_allowed if {
	decision := halfdoor.decision with input as call
	decision.allow == true
	decision.reason == {"code": "policy-allowed", "text": "The desk may do this."}
	decision.dataset == "scheduling"
	decision.purpose == "PATADMIN"
	decision.break_glass == false
	{label.code | some label in decision.deny_labels} == {"R", "V"}
}

test_allowed_interactions[interaction] if {
	some interaction in [
		"read", "vread", "history-instance",
		"search-type", "search-compartment", "search-system",
	]
	decision := halfdoor.decision with input as changed({"request": {"interaction": interaction}})
	decision.allow == true
}

test_interaction_refused[interaction] if {
	some interaction in ["create", "delete", "history-type", "batch", "operation", ""]
	decision := halfdoor.decision with input as changed({"request": {"interaction": interaction}})
	refused(decision, "policy-interaction")
}

match := {"request": {"interaction": "operation", "operation": "match", "type": "Patient", "has_id": false, "parameters": ["family", "birthdate"]}}

test_match_allowed[desk] if {
	some desk in ["access", "scheduling"]
	ask := with_roles([concat("-", ["helpdesk", desk])], object.union(match, {"ticket": {"category": desk}, "purpose": ""}))
	decision := halfdoor.decision with input as ask
	decision.allow == true
	decision.dataset == desk
}

test_match_of_another_desk_refused if {
	ask := with_roles(["helpdesk-billing"], object.union(match, {"ticket": {"category": "billing"}, "purpose": ""}))
	decision := halfdoor.decision with input as ask
	refused(decision, "policy-interaction")
}

test_match_needs_ticket if {
	decision := halfdoor.decision with input as changed(object.union(match, {"ticket": {"id": "", "category": ""}}))
	refused(decision, "policy-ticket")
}

test_operation_refused[name] if {
	some type in ["Patient", "Practitioner", "Encounter", ""]
	some operation in ["everything", "export", "graphql", "", "Match", "match"]
	[type, operation] != ["Patient", "match"]
	name := concat("$", [type, operation])
	decision := halfdoor.decision with input as changed({"request": {"interaction": "operation", "operation": operation, "type": type}})
	refused(decision, "policy-interaction")
}

# Its name alone allows nothing.
test_operation_of_another_interaction_refused if {
	decision := halfdoor.decision with input as changed({"request": {"interaction": "delete", "operation": "match", "type": "Patient"}})
	refused(decision, "policy-interaction")
}

# Whoever may match says among how many.
test_matches_have_candidates if {
	every desk in data.halfdoor.desks {
		every type, _ in object.get(desk, "operations", {}) {
			data.halfdoor.datasets[desk.dataset].candidates[type] <= 10
		}
	}
}

test_type_refused[type] if {
	some type in ["Observation", "Condition", "MedicationRequest", "Coverage", "Binary", "appointment", ""]
	decision := halfdoor.decision with input as changed({"request": {"type": type}})
	refused(decision, "policy-type")
}

# What a desk may write, and with which of it a version has to be named.
desk_writes := {
	"access": {},
	"scheduling": {
		"Appointment": {"update", "patch"},
		"Task": {"update", "patch"},
		"Communication": {"create"},
	},
	"billing": {"Task": {"update", "patch"}},
}

test_writes[name] if {
	some desk, types in desk_types
	some type in types
	some interaction in {"create", "update", "patch", "delete"}
	name := concat(" ", [desk, interaction, type])
	decision := halfdoor.decision with input as with_roles([concat("-", ["helpdesk", desk])], {
		"ticket": {"category": desk},
		"purpose": "",
		"request": {"type": type, "interaction": interaction},
	})
	decision.allow == (interaction in object.get(desk_writes[desk], type, set()))
	codes := {true: "policy-allowed", false: "policy-interaction"}
	decision.reason.code == codes[decision.allow]
}

test_writes_of_no_desk_refused if {
	decision := halfdoor.decision with input as with_roles([], {"request": {"interaction": "update"}})
	refused(decision, "policy-interaction")
}

test_update_names_a_version if {
	decision := halfdoor.decision with input as changed({"request": {"interaction": "update"}})
	decision.obligations == ["if-match"]
}

# So would a delete, if a desk had one.
test_delete_names_a_version if {
	decision := halfdoor.decision with input as changed({"request": {"interaction": "delete"}})
		with data.halfdoor.desks.scheduling.writes.Appointment as {"delete": "takes a booking back"}
	decision.allow == true
	decision.obligations == ["if-match"]
}

# Lost or misspelt, the setting asks for more.
test_unversioned_lost if {
	decision := halfdoor.decision with input as changed({"request": {"interaction": "patch"}})
		with data.halfdoor.unversioned as {}
	decision.obligations == ["if-match"]
}

test_patch_and_read_need_not[interaction] if {
	some interaction in ["patch", "read"]
	decision := halfdoor.decision with input as changed({"request": {"interaction": interaction}})
	decision.allow == true
	decision.obligations == []
}

# Each desk with every type that it is there for.
desk_types := {
	"access": ["Patient", "Practitioner", "PractitionerRole", "Organization", "Location"],
	"scheduling": [
		"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Appointment",
		"Schedule", "Slot", "Encounter", "Task", "Communication", "ServiceRequest",
	],
	"billing": ["Patient", "Coverage", "Encounter", "Organization", "Location", "Task", "Communication"],
}

test_types_allowed[name] if {
	some desk, types in desk_types
	some type in types
	name := concat(" ", [desk, type])
	ask := with_roles([concat("-", ["helpdesk", desk])], {
		"ticket": {"category": desk},
		"purpose": "",
		"request": {"type": type},
	})
	decision := halfdoor.decision with input as ask
	decision.allow == true
	decision.dataset == desk
}

# Settings lost or misspelt close the door.
test_roles_lost if not halfdoor.decision.allow with input as call with data.halfdoor.roles as {}

test_desks_lost if not halfdoor.decision.allow with input as call with data.halfdoor.desks as {}

test_categories_lost if not halfdoor.decision.allow with input as call with data.halfdoor.categories as {}

test_interactions_lost if not halfdoor.decision.allow with input as call with data.halfdoor.interactions as {}

test_hours_lost if not halfdoor.decision.allow with input as call with data.halfdoor.hours as {}

test_datasets_lost if not halfdoor.decision.allow with input as call with data.halfdoor.datasets as {}

# A reason without a sentence still refuses.
test_reasons_lost if {
	decision := halfdoor.decision with input as changed({"request": {"type": "Observation"}})
		with data.halfdoor.reasons as {}
	decision.allow == false
	decision.reason.code == "policy-refused"
}

# An input that is not one allows nothing.
test_empty_input_refused if {
	decision := halfdoor.decision with input as {}
	decision.allow == false
}

refused(decision, code) if {
	decision.allow == false
	decision.reason.code == code
	decision.reason.text == data.halfdoor.reasons[code]
	not decision.dataset
}
