package halfdoor

ticket_sufficient if input.ticket.id != ""

# The directory of the hospital needs no ticket.
ticket_sufficient if data.halfdoor.tickets.not_for[input.request.type]

ticket_sufficient if data.halfdoor.tickets.required == false

# A ticket whose category is not known is taken for the caller's own desk.
category_fits if {
	input.ticket.category == ""
	desk_name
}

# A category that no desk works on fits none.
category_fits if data.halfdoor.categories[input.ticket.category] == desk_name
