package halfdoor

decision := {"reason": {"code": "a", "text": "A."}, "dataset": "desk"}
