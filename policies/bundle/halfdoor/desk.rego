package halfdoor

# The names of the desks that the caller's roles open.
desks_held contains data.halfdoor.roles[input.caller.roles[_]]

# The one desk that this call is for. A ticket picks among several; without one
# there is no desk, as nobody can say which dataset was meant.
desk_name := name if {
	count(desks_held) == 1
	some name in desks_held
} else := name if {
	name := data.halfdoor.categories[input.ticket.category]
	desks_held[name]
}

desk := data.halfdoor.desks[desk_name]
