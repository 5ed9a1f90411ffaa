package halfdoor

decision := {"allow": true, "reason": {"code": "a", "text": "A."}, "dataset": "desk", input.ticket.id: true}
