decision := {"allow": true}
