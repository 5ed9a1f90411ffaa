package halfdoor

decision := {
	"allow": to_number(input.ticket.id) > 0,
	"reason": {"code": "a", "text": "A."},
	"dataset": "desk",
}
