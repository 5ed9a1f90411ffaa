package halfdoor

decision := {"allow": true, "reason": {"code": "a", "text": "A."}, "dataset": "desk"} if {
	count(numbers.range(1, 100000000000)) > 0
}
