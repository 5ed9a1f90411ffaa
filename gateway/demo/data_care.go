package demo

import (
	"fmt"
	"time"
)

// A visit is an appointment with what belongs to it.
type visit struct {
	start    time.Time
	status   string
	service  int
	schedule int
}

// care makes what a helpdesk works with: appointments, encounters, coverage,
// tasks, messages, orders. Clinical remarks hide in its free texts.
func (g *generator) care(p *person) {
	d := p.dice
	order := g.serviceRequest(p)
	visits := []visit{
		{d.day(-300, -90), "fulfilled", 0, 0},
		{d.day(-80, -3), []string{"fulfilled", "noshow", "cancelled"}[d.IntN(3)], 0, 0},
		{d.day(1, 20), []string{"booked", "booked", "pending"}[d.IntN(3)], 0, 0},
		{d.day(21, 90), []string{"booked", "proposed", "waitlist", "cancelled"}[d.IntN(4)], 0, 0},
	}
	for n := range visits[:3+p.number%2] {
		v := visits[n]
		v.schedule = d.IntN(len(g.schedules))
		v.service = v.schedule % len(services)
		appointment := g.appointment(p, n, v, order)
		if v.status == "fulfilled" {
			g.encounter(p, v, appointment)
		}
		if n == 2 {
			g.communication(p, appointment, v)
		}
	}
	g.coverage(p)
	g.task(p)
}

func (g *generator) appointment(p *person, n int, v visit, order *draft) *draft {
	d := p.dice
	service := services[v.service]
	practitioner, location := g.practitioners[v.schedule], g.locations[v.schedule%len(g.locations)]
	reason := draw(d, conditions)
	end := v.start.Add(30 * time.Minute)
	body := obj("identifier", array{identifier("usual", systemVisit, fmt.Sprintf("APT-%06d-%d", p.number, n))}, "status", v.status)
	if v.status == "cancelled" {
		body = body.with("cancelationReason", concept(terminology+"appointment-cancellation-reason", "pat", "Patient"))
	}
	body = body.with("serviceCategory", array{concept(terminology+"service-category", "17", "General Practice")},
		"serviceType", array{concept(systemCode, service.code, service.display)},
		"specialty", array{concept(systemCode, slug(service.specialty), service.specialty)},
		"appointmentType", concept(terminology+"v2-0276", "FOLLOWUP", "A follow up visit"),
		"reasonCode", array{concept(systemCode, reason.code, reason.display)}, "priority", 5,
		"description", service.display+" about "+reason.display)
	if v.status != "proposed" && v.status != "waitlist" {
		body = body.with("start", instant(v.start), "end", instant(end), "minutesDuration", 30)
	} else {
		body = body.with("requestedPeriod", array{period(v.start, v.start.AddDate(0, 0, 14))})
	}
	if slots := g.slots[g.schedules[v.schedule].id]; v.status == "booked" && len(slots) > 0 {
		body = body.with("slot", array{obj("reference", "Slot/"+draw(d, slots).id)})
	}
	decision := map[string]string{"booked": "accepted", "fulfilled": "accepted", "noshow": "accepted", "cancelled": "declined"}[v.status]
	if decision == "" {
		decision = "needs-action"
	}
	body = body.with("created", moment(v.start.AddDate(0, 0, -20)), "comment", draw(d, remarks), "patientInstruction", "Bring your letter.",
		"basedOn", array{reference(order)},
		"participant", array{
			obj("actor", reference(p.draft), "required", "required", "status", decision),
			obj("type", array{concept(terminology+"v3-ParticipationType", "ATND", "attender")}, "actor", reference(practitioner), "required", "required", "status", "accepted"),
			obj("actor", reference(location), "required", "information-only", "status", "accepted")})
	return g.put(draft{kind: "Appointment", id: fmt.Sprint(400000 + p.number*8 + n), name: p.name, updated: d.day(-60, -1), versions: 1 + n%2,
		restricted: p.restricted || service.specialty == "Psychiatry", body: body})
}

func (g *generator) encounter(p *person, v visit, appointment *draft) {
	d := p.dice
	service := services[v.service]
	reason := draw(d, conditions)
	g.put(draft{kind: "Encounter", id: d.uuid(), name: p.name, updated: d.day(-60, -1), restricted: p.restricted || service.specialty == "Psychiatry",
		body: obj("text", narrative("<p>%s was seen for %s</p>", p.name, reason.display),
			"identifier", array{identifier("usual", systemVisit, "ENC-"+d.digits(8))}, "status", "finished",
			"class", coding(terminology+"v3-ActCode", "AMB", "ambulatory"),
			"type", array{concept(systemCode, service.code, service.display)}, "subject", reference(p.draft),
			"participant", array{obj("type", array{concept(terminology+"v3-ParticipationType", "PPRF", "primary performer")}, "individual", reference(g.practitioners[v.schedule]))},
			"appointment", array{reference(appointment)}, "period", period(v.start, v.start.Add(40*time.Minute)),
			"reasonCode", array{concept(systemCode, reason.code, reason.display)},
			"diagnosis", array{obj("condition", obj("reference", "Condition/"+conditionID(p, 0), "display", reason.display), "use", concept(terminology+"diagnosis-role", "DD", "Discharge diagnosis"))},
			"hospitalization", obj("dischargeDisposition", concept(terminology+"discharge-disposition", "home", "Home")),
			"location", array{obj("location", reference(g.locations[v.schedule%len(g.locations)]), "status", "completed")},
			"serviceProvider", reference(g.hospitals[v.schedule%len(g.hospitals)]))})
}

func (g *generator) coverage(p *person) {
	d := p.dice
	payer := g.payers[d.IntN(len(g.payers))]
	member := "MBR-" + d.digits(9)
	body := obj()
	payor := reference(payer)
	if p.number%4 == 1 { // an insurer without a record of its own
		body = obj("contained", array{obj("resourceType", "Organization", "id", "payer", "name", "Small Lantern Mutual", "telecom", array{phone("work", d.phone())})})
		payor = obj("reference", "#payer", "display", "Small Lantern Mutual")
	}
	start := d.day(-700, -400)
	body = body.with("identifier", array{identifier("official", systemMember, member)},
		"status", []string{"active", "active", "active", "cancelled"}[d.IntN(4)],
		"type", concept(terminology+"v3-ActCode", "EHCPOL", "extended healthcare"),
		"policyHolder", reference(p.draft), "subscriber", reference(p.draft), "subscriberId", member, "beneficiary", reference(p.draft),
		"dependent", "0", "relationship", concept(terminology+"subscriber-relationship", "self", "Self"),
		"period", obj("start", date(start), "end", date(start.AddDate(3, 0, 0))), "payor", array{payor},
		"class", array{obj("type", concept(terminology+"coverage-class", "group", "Group"), "value", "GRP-"+d.digits(4), "name", "Staff of the Kettle Works"),
			obj("type", concept(terminology+"coverage-class", "plan", "Plan"), "value", "PLN-"+d.digits(2), "name", "Silver Spoon")},
		"order", 1, "network", "N-"+d.digits(3),
		"costToBeneficiary", array{obj("type", concept(terminology+"coverage-copay-type", "gpvisit", "GP Office Visit"), "valueMoney", obj("value", decimal(fmt.Sprintf("%d.00", 10+d.IntN(30))), "currency", "USD"))})
	g.put(draft{kind: "Coverage", id: fmt.Sprintf("cov.%05d.%s", p.number, d.hex(2)), name: p.name, updated: d.day(-90, -1), restricted: p.restricted, body: body})
}
