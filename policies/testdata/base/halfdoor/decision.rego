package halfdoor

decision := {
	"allow": true,
	"reason": {"code": "allowed", "text": "The desk may do this."},
	"dataset": "desk",
}
