package halfdoor

decision := {"allow": true, "reason": {"code": "a", "text": "A."}, "dataset": "desk"} if input.purpose != ""

decision := {"allow": false, "reason": {"code": "b", "text": "B."}} if input.ticket.id != ""
