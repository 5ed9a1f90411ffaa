package halfdoor

decision := {"allow": true, "reason": {"code": "a", "text": "A."}, "dataset": "desk"} if {
	n := numbers.range(1, 1000)
	some a in n
	some b in n
	some c in n
	a + b + c == 0
}
