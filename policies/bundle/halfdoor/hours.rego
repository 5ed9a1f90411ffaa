package halfdoor

within_hours if data.halfdoor.hours.enforced == false

within_hours if {
	day := data.halfdoor.hours.days[input.time.weekday]
	input.time.hour >= day.from
	input.time.hour < day.to
}
