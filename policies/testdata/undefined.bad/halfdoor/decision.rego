package halfdoor

decision := {"allow": true, "reason": {"code": "a", "text": "A."}, "dataset": "desk"} if input.purpose == "TREAT"
