package halfdoor

decision := {"allow": "yes", "reason": {"code": "a", "text": "A."}, "dataset": "desk"}
