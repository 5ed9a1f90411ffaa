package halfdoor

# METADATA
# title: Emergency access
# description: |
#   Decides every call that states a reason for emergency access, and no other. It opens a
#   dataset of its own to roles of its own, at any hour, for reading alone. The gateway
#   holds it to a ticket as well, ends it after limits.break_glass, and marks its records.
emergency := {
	"allow": true,
	"reason": {"code": "policy-break-glass-allowed", "text": data.halfdoor.reasons["policy-break-glass-allowed"]},
	"dataset": data.halfdoor.break_glass.dataset,
	"purpose": data.halfdoor.break_glass.purpose,
	"deny_labels": data.halfdoor.deny_labels,
	"break_glass": true,
} if {
	emergency_role
	data.halfdoor.break_glass.reasons[input.break_glass.reason]
	input.ticket.id != ""
	data.halfdoor.break_glass.interactions[input.request.interaction]
	data.halfdoor.datasets[data.halfdoor.break_glass.dataset].resources[input.request.type]
} else := refusal("policy-break-glass-role") if {
	not emergency_role
} else := refusal("policy-break-glass-reason") if {
	not data.halfdoor.break_glass.reasons[input.break_glass.reason]
} else := refusal("policy-break-glass-ticket") if {
	not input.ticket.id != ""
} else := refusal("policy-break-glass-data")

emergency_role if {
	some role in input.caller.roles
	data.halfdoor.break_glass.roles[role]
}
