package halfdoor

desicion := {"allow": true}
