package halfdoor

decision := {"allow": true
