package halfdoor_test

import data.halfdoor

test_hours_are_off_by_default if {
	decision := halfdoor.decision with input as changed({"time": {"weekday": "sunday", "hour": 3}})
	decision.allow == true
}

test_hours_open[name] if {
	some name, time in {
		"opening": {"weekday": "monday", "hour": 7},
		"last hour": {"weekday": "monday", "hour": 18},
		"friday": {"weekday": "friday", "hour": 16},
	}
	decision := halfdoor.decision with input as changed({"time": time})
		with data.halfdoor.hours.enforced as true
	decision.allow == true
}

test_hours_closed[name] if {
	some name, time in {
		"too early": {"weekday": "monday", "hour": 6},
		"just closed": {"weekday": "monday", "hour": 19},
		"friday afternoon": {"weekday": "friday", "hour": 17},
		"weekend": {"weekday": "saturday", "hour": 12},
		"no day": {"weekday": "", "hour": 12},
	}
	decision := halfdoor.decision with input as changed({"time": time})
		with data.halfdoor.hours.enforced as true
	refused(decision, "policy-hours")
}
