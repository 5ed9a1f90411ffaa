package demo

import (
	"fmt"
	"time"
)

var desks = []struct{ code, text, category string }{
	{"portal-access", "Reset the portal password", "access"},
	{"reschedule", "Move the appointment", "scheduling"},
	{"invoice-query", "Explain the invoice", "billing"},
	{"proxy-access", "Give portal access to a carer", "access"},
}

func (g *generator) task(p *person) {
	d := p.dice
	desk := desks[p.number%len(desks)]
	at := d.day(-14, 0)
	owner := g.hospitals[d.IntN(len(g.hospitals))]
	g.put(draft{kind: "Task", id: d.uuid(), name: p.name, updated: at, versions: 2, restricted: p.restricted,
		body: obj("identifier", array{identifier("usual", systemVisit, fmt.Sprintf("TSK-%06d", p.number))},
			"status", []string{"requested", "in-progress", "on-hold", "completed"}[d.IntN(4)],
			"businessStatus", obj("text", "Waiting for the caller"), "intent", "order", "priority", []string{"routine", "urgent"}[d.IntN(2)],
			"code", concept(systemCode, desk.code, desk.text), "description", desk.text+" for "+p.name+". "+draw(d, remarks),
			"focus", obj("reference", fmt.Sprintf("Appointment/%d", 400000+p.number*8+2)), "for", reference(p.draft),
			"executionPeriod", obj("start", moment(at)), "authoredOn", moment(at.Add(-time.Hour)), "lastModified", moment(at),
			"requester", reference(p.doctor), "owner", reference(owner),
			"note", array{obj("authorReference", reference(p.doctor), "time", moment(at), "text", draw(d, remarks))},
			"input", array{obj("type", obj("text", "Said by the caller"), "valueString", draw(d, remarks)), obj("type", obj("text", "Verified"), "valueBoolean", true)})})
}

func (g *generator) communication(p *person, appointment *draft, v visit) {
	d := p.dice
	sent := d.day(-20, -1)
	body := obj("identifier", array{identifier("usual", systemVisit, "MSG-"+d.digits(7))},
		"status", "completed", "category", array{concept(terminology+"communication-category", "reminder", "Reminder")},
		"priority", "routine", "medium", array{concept(terminology+"v3-ParticipationMode", "EMAILWRIT", "email")},
		"subject", reference(p.draft), "topic", obj("text", "Your visit: "+draw(d, conditions).display), "about", array{reference(appointment)},
		"sent", moment(sent), "received", moment(sent.Add(90*time.Second)),
		"recipient", array{reference(p.draft)}, "sender", reference(g.practitioners[v.schedule]),
		"payload", array{
			obj("contentString", fmt.Sprintf("Dear %s, see you on %s. %s", p.name, v.start.Format("2 January"), draw(d, remarks))),
			obj("contentReference", reference(appointment))},
		"note", note(draw(d, remarks), sent))
	g.put(draft{kind: "Communication", id: d.hex(16), name: p.name, updated: sent, restricted: p.restricted || d.chance(12), body: body})
}

// serviceRequest has a decimal id with leading zeros: an id is text, and 000417
// is not 417.
func (g *generator) serviceRequest(p *person) *draft {
	d := p.dice
	service, reason := draw(d, services), draw(d, conditions)
	at := d.day(-320, -200)
	return g.put(draft{kind: "ServiceRequest", id: fmt.Sprintf("%06d", 400+p.number*17), name: service.display, updated: at, restricted: p.restricted,
		body: obj(
			"contained", array{obj("resourceType", "Practitioner", "id", "asker", "name", array{obj("family", draw(d, familyNames), "given", array{draw(d, givenNames).name})}, "telecom", array{phone("work", d.phone())})},
			"identifier", array{identifier("usual", systemVisit, fmt.Sprintf("ORD-%06d", p.number))},
			"status", []string{"active", "completed", "revoked"}[d.IntN(3)], "intent", "order",
			"category", array{concept(systemCode, "referral", "Referral")}, "priority", "routine",
			"code", concept(systemCode, service.code, service.display), "subject", reference(p.draft), "occurrenceDateTime", moment(at.AddDate(0, 0, 30)),
			"authoredOn", moment(at), "requester", obj("reference", "#asker"), "performer", array{reference(p.doctor)},
			"reasonCode", array{concept(systemCode, reason.code, reason.display)}, "reasonReference", array{obj("reference", "Condition/"+conditionID(p, 0), "display", reason.display)},
			"note", note(draw(d, remarks), at), "patientInstruction", "Bring earlier results.")})
}
