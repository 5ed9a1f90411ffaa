# METADATA
# title: The question that the gateway asks of every call
# description: |
#   A call is allowed when every condition holds; what is not said to be allowed
#   is refused. The refusals below only explain, in this order, the first
#   condition that did not hold.
package halfdoor

# METADATA
# title: The decision
# entrypoint: true
decision := emergency if {
	input.break_glass.reason != ""
} else := {
	"allow": true,
	"reason": {"code": "policy-allowed", "text": data.halfdoor.reasons["policy-allowed"]},
	"dataset": desk.dataset,
	"purpose": purpose,
	"deny_labels": labels,
	"break_glass": false,
	"obligations": obligations,
} if {
	interaction_allowed
	type_shown
	category_fits
	ticket_sufficient
	purpose_allowed
	organisation_fits
	within_hours
} else := refusal("policy-interaction") if {
	not interaction_allowed
} else := refusal("policy-break-glass") if {
	count(desks_held) == 0
	emergency_role
} else := refusal("policy-role") if {
	count(desks_held) == 0
} else := refusal("policy-desk") if {
	not desk
} else := refusal("policy-type") if {
	not type_shown
} else := refusal("policy-category") if {
	not category_fits
} else := refusal("policy-ticket") if {
	not ticket_sufficient
} else := refusal("policy-purpose") if {
	not purpose_allowed
} else := refusal("policy-organisation") if {
	not organisation_fits
} else := refusal("policy-hours") if {
	not within_hours
} else := {
	"allow": false,
	"reason": {"code": "policy-refused", "text": "The policy of the hospital does not allow this call."},
}

interaction_allowed if data.halfdoor.interactions[input.request.interaction]

# What writes is for one desk, and one type of its own.
interaction_allowed if desk.writes[input.request.type][input.request.interaction]

# So is an operation.
interaction_allowed if {
	input.request.interaction == "operation"
	desk.operations[input.request.type][input.request.operation]
}

# Of a create there is no version yet.
default obligations := []

obligations := ["if-match"] if {
	input.request.interaction == "update"
	not data.halfdoor.unversioned.update
}

obligations := ["if-match"] if {
	input.request.interaction == "patch"
	not data.halfdoor.unversioned.patch
}

obligations := ["if-match"] if {
	input.request.interaction == "delete"
	not data.halfdoor.unversioned["delete"]
}

# A desk sees the resource types that its dataset has a row for.
type_shown if data.halfdoor.datasets[desk.dataset].resources[input.request.type]

refusal(code) := {
	"allow": false,
	"reason": {"code": code, "text": data.halfdoor.reasons[code]},
}
