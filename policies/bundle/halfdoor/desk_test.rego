package halfdoor_test

import data.halfdoor

test_role_opens_desk[desk] if {
	some desk in ["access", "scheduling", "billing"]
	ask := with_roles([concat("-", ["helpdesk", desk])], {
		"ticket": {"category": ""},
		"purpose": "",
		"request": {"type": "Patient"},
	})
	decision := halfdoor.decision with input as ask
	decision.dataset == desk
}

test_role_refused[name] if {
	some name, roles in {
		"none": [],
		"another": ["nurse"],
		"case matters": ["Helpdesk-Scheduling"],
		"part of one": ["helpdesk"],
		"empty": [""],
	}
	decision := halfdoor.decision with input as with_roles(roles, {})
	refused(decision, "policy-role")
}

test_other_roles_do_not_matter if {
	roles := ["nurse", "helpdesk-scheduling", "helpdesk-scheduling"]
	decision := halfdoor.decision with input as with_roles(roles, {})
	decision.dataset == "scheduling"
}

test_category_picks_desk[category] if {
	some category, desk in {"appointment": "scheduling", "invoice": "billing"}
	ask := with_roles(["helpdesk-billing", "helpdesk-scheduling"], {
		"ticket": {"category": category},
		"purpose": "",
		"request": {"type": "Encounter"},
	})
	decision := halfdoor.decision with input as ask
	decision.dataset == desk
}

test_several_desks_refused[name] if {
	some name, category in {"no category": "", "unknown": "lunch", "third desk": "login"}
	ask := with_roles(["helpdesk-billing", "helpdesk-scheduling"], {
		"ticket": {"category": category},
		"request": {"type": "Encounter"},
	})
	decision := halfdoor.decision with input as ask
	refused(decision, "policy-desk")
}

# A role that names a desk which is not there opens nothing.
test_unknown_desk_refused if {
	decision := halfdoor.decision with input as call
		with data.halfdoor.roles as {"helpdesk-scheduling": "front"}
	refused(decision, "policy-desk")
}
