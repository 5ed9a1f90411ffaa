package halfdoor_test

import data.halfdoor

test_organisations_are_one_by_default if {
	decision := halfdoor.decision with input as changed({"context": {"tenant": "anything"}})
	decision.allow == true
}

test_organisation_fits[name] if {
	some name, tenants in {
		"its own": {"role": "site-north", "tenant": "north"},
		"both": {"role": "site-main", "tenant": "north"},
	}
	ask := with_roles(["helpdesk-scheduling", tenants.role], {"context": {"tenant": tenants.tenant}})
	decision := halfdoor.decision with input as ask
		with data.halfdoor.organisations.enforced as true
	decision.allow == true
}

test_organisation_refused[name] if {
	some name, tenants in {
		"another": {"role": "site-north", "tenant": "main"},
		"none": {"role": "staff", "tenant": "main"},
		"an unknown one": {"role": "site-main", "tenant": "south"},
		"not said": {"role": "site-main", "tenant": ""},
	}
	ask := with_roles(["helpdesk-scheduling", tenants.role], {"context": {"tenant": tenants.tenant}})
	decision := halfdoor.decision with input as ask
		with data.halfdoor.organisations.enforced as true
	refused(decision, "policy-organisation")
}

# Settings lost or misspelt close the door.
test_organisations_lost if {
	decision := halfdoor.decision with input as call with data.halfdoor.organisations as {}
	refused(decision, "policy-organisation")
}
