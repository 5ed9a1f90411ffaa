# The rules of the default bundle as they are first written down: collect, walk lists, look at each. They decide the
# same, and are what the benchmark compares with.
package halfdoor

order := [
	"policy-interaction", "policy-break-glass", "policy-role", "policy-desk", "policy-type", "policy-category",
	"policy-ticket", "policy-purpose", "policy-organisation", "policy-hours",
]

emergency_order := [
	"policy-break-glass-role", "policy-break-glass-reason", "policy-break-glass-ticket", "policy-break-glass-data",
]

refusals contains "policy-interaction" if not interaction_allowed

refusals contains "policy-role" if count(desks_held) == 0

refusals contains "policy-break-glass" if {
	count(desks_held) == 0
	emergency_role
}

refusals contains "policy-organisation" if not organisation_fits

refusals contains "policy-desk" if not desk

refusals contains "policy-type" if not type_shown

refusals contains "policy-category" if not category_fits

refusals contains "policy-ticket" if not ticket_sufficient

refusals contains "policy-purpose" if not purpose_allowed

refusals contains "policy-hours" if not within_hours

emergency_refusals contains "policy-break-glass-role" if not emergency_role

emergency_refusals contains "policy-break-glass-reason" if not emergency_reason

emergency_refusals contains "policy-break-glass-ticket" if input.ticket.id == ""

emergency_refusals contains "policy-break-glass-data" if not emergency_interaction

emergency_refusals contains "policy-break-glass-data" if not emergency_type

emergency_refusals contains "policy-break-glass-data" if not data.halfdoor.deny_labels

calm if input.break_glass.reason == ""

first_refusal := [code | some code in order; code in refusals][0] if calm

first_refusal := [code | some code in emergency_order; code in emergency_refusals][0] if not calm

reason(code) := {"code": code, "text": text} if {
	some name, text in data.halfdoor.reasons
	name == code
}

default decision := {
	"allow": false,
	"reason": {"code": "policy-refused", "text": "The policy of the hospital does not allow this call."},
}

decision := {"allow": false, "reason": reason(first_refusal)}

decision := {
	"allow": true,
	"reason": reason("policy-allowed"),
	"dataset": desk.dataset,
	"purpose": purpose,
	"deny_labels": labels,
	"break_glass": false,
	"obligations": obligations,
} if {
	calm
	count(refusals) == 0
}

decision := {
	"allow": true,
	"reason": reason("policy-break-glass-allowed"),
	"dataset": data.halfdoor.break_glass.dataset,
	"purpose": data.halfdoor.break_glass.purpose,
	"deny_labels": data.halfdoor.deny_labels,
	"break_glass": true,
} if {
	not calm
	count(emergency_refusals) == 0
}

emergency_role if {
	some held in input.caller.roles
	some role, _ in data.halfdoor.break_glass.roles
	held == role
}

emergency_reason if {
	some reason, _ in data.halfdoor.break_glass.reasons
	reason == input.break_glass.reason
}

emergency_interaction if {
	some interaction, _ in data.halfdoor.break_glass.interactions
	interaction == input.request.interaction
}

emergency_type if {
	some name, dataset in data.halfdoor.datasets
	name == data.halfdoor.break_glass.dataset
	some type, _ in dataset.resources
	type == input.request.type
}

organisation_fits if data.halfdoor.organisations.enforced == false

organisation_fits if {
	some tenant, roles in data.halfdoor.organisations.tenants
	tenant == input.context.tenant
	some role, _ in roles
	role in input.caller.roles
}

labels := data.halfdoor.deny_labels if not desk.deny_labels

labels := array.concat(data.halfdoor.deny_labels, [label | some label in desk.deny_labels]) if desk.deny_labels

desks_held contains desk if {
	some role, desk in data.halfdoor.roles
	some held in input.caller.roles
	held == role
}

desks_of_ticket contains desk if {
	some category, desk in data.halfdoor.categories
	category == input.ticket.category
}

desk_name := name if {
	count(desks_held) == 1
	some name in desks_held
} else := name if {
	some name in desks_held & desks_of_ticket
}

desk := settings if {
	some name, settings in data.halfdoor.desks
	name == desk_name
}

interaction_allowed if input.request.interaction in interactions_of_all

interaction_allowed if input.request.interaction in interactions_of_desk

interaction_allowed if {
	input.request.interaction == "operation"
	input.request.operation in operations_of_desk
}

interactions_of_all := {interaction | some interaction, _ in data.halfdoor.interactions}

interactions_of_desk := {interaction |
	some type, by_interaction in desk.writes
	type == input.request.type
	some interaction, _ in by_interaction
}

operations_of_desk := {operation |
	some type, by_operation in desk.operations
	type == input.request.type
	some operation, _ in by_operation
}

changes := {"update", "patch", "delete"} - {interaction | some interaction, _ in data.halfdoor.unversioned}

obligations := ["if-match" | some interaction in changes; interaction == input.request.interaction]

type_shown if {
	some name, dataset in data.halfdoor.datasets
	name == desk.dataset
	types := {type | some type, _ in dataset.resources}
	input.request.type in types
}

category_fits if {
	input.ticket.category == ""
	desk_name
}

category_fits if desk_name in desks_of_ticket

ticket_sufficient if input.ticket.id != ""

ticket_sufficient if {
	types := {type | some type, _ in data.halfdoor.tickets.not_for}
	input.request.type in types
}

ticket_sufficient if data.halfdoor.tickets.required == false

purpose := input.purpose if {
	input.purpose != ""
} else := desk.default_purpose

purpose_allowed if {
	purposes := {name | some name, _ in desk.purposes}
	purpose in purposes
}

within_hours if data.halfdoor.hours.enforced == false

within_hours if {
	some weekday, day in data.halfdoor.hours.days
	weekday == input.time.weekday
	input.time.hour >= day.from
	input.time.hour < day.to
}
