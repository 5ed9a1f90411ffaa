# What the settings and datasets promise, whoever edits them.
package halfdoor_test

# Elements that no helpdesk dataset of ours shows, at any depth: ways to reach a
# person, pictures, free text, and what somebody is treated for.
never := {
	"address", "telecom", "photo", "contact", "text", "note", "comment",
	"description", "patientInstruction", "display", "extension",
	"modifierExtension", "contained", "payload", "reason", "reasonCode",
	"reasonReference", "diagnosis", "serviceType", "serviceCategory",
	"specialty", "supportingInfo", "supportingInformation", "input", "output",
	"maritalStatus", "deceasedBoolean", "deceasedDateTime", "qualification",
}

test_nothing_shown_that_never_is if {
	shown := {concat(" ", [name, type, path]) |
		some name, dataset in data.halfdoor.datasets
		some type, row in dataset.resources
		some path, _ in row
		some step in split(path, ".")
		step in never
	}
	shown == set()
}

# A referral's code says what it is for.
test_no_code_of_orders if {
	every dataset in data.halfdoor.datasets {
		every type in ["ServiceRequest", "Task", "Communication", "Appointment"] {
			row := object.get(dataset.resources, type, {})
			every path, _ in row {
				not startswith(path, "code")
			}
		}
	}
}

test_ids_are_tokens if {
	every dataset in data.halfdoor.datasets {
		every row in dataset.resources {
			row.id == "token"
		}
	}
}

test_people_numbers_are_masked if {
	every dataset in data.halfdoor.datasets {
		every type in ["Patient", "Practitioner", "Coverage", "Encounter", "Appointment"] {
			row := object.get(dataset.resources, type, {})
			object.get(row, "identifier.value", "mask") == "mask"
			object.get(row, "birthDate", "year") == "year"
		}
	}
}

test_desks_have_datasets if {
	every desk in data.halfdoor.desks {
		data.halfdoor.datasets[desk.dataset]
	}
}

test_roles_and_categories_have_desks if {
	every desk in data.halfdoor.roles {
		data.halfdoor.desks[desk]
	}
	every desk in data.halfdoor.categories {
		data.halfdoor.desks[desk]
	}
}

# A setting of a desk that is misspelt would be none: deny_labels lost is more that is shown.
test_settings_of_desks_are_known if {
	known := {"dataset", "default_purpose", "purposes", "operations", "writes", "deny_labels"}
	every desk in data.halfdoor.desks {
		object.keys(desk) - known == set()
		every label in object.get(desk, "deny_labels", []) {
			object.keys(label) == {"system", "code"}
		}
	}
}

test_every_reason_has_a_sentence if {
	every code in {
		"policy-allowed", "policy-category", "policy-desk", "policy-hours", "policy-interaction",
		"policy-organisation", "policy-purpose", "policy-role", "policy-ticket", "policy-type",
	} {
		endswith(data.halfdoor.reasons[code], ".")
	}
}

# A desk can write some element of what it may write, and may write what it has elements of.
test_writes_and_elements_agree if {
	every desk in data.halfdoor.desks {
		writes := object.get(desk, "writes", {})
		object.keys(writes) == object.keys(data.halfdoor.datasets[desk.dataset].write)
		every type, _ in writes {
			data.halfdoor.datasets[desk.dataset].resources[type]
		}
	}
}

# No helpdesk writes who somebody is, who pays for them, or what they are treated for.
test_no_writes_of_records if {
	every dataset in data.halfdoor.datasets {
		every type in ["Patient", "Practitioner", "Coverage", "Encounter", "ServiceRequest", "Observation", "Condition"] {
			not dataset.write[type]
		}
	}
}
