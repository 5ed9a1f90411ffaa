package halfdoor

decision := {"allow": true, "reason": {"code": "a", "text": "A."}, "dataset": "front"}
