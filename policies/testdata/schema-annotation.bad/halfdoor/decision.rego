package halfdoor

# METADATA
# scope: rule
# schemas:
#   - input: {type: object}
decision := {
	"allow": input.callr.subject == "me",
	"reason": {"code": "allowed", "text": "The desk may do this."},
	"dataset": "desk",
}
