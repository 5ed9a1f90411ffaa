package halfdoor

decision := {"allow": true, "dataset": "desk"}
