package halfdoor

decision := {
	"allow": count(input.callr.roles) > 0,
	"reason": {"code": "allowed", "text": "The desk may do this."},
	"dataset": "desk",
}

other if input.request.typ == "Patient"

third if input.time.hour == "nine"
