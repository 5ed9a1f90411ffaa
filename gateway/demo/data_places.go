package demo

import (
	"fmt"
	"strings"
	"time"
)

// generate fills a store with the sandbox's data.
func generate(o EHROptions) *store {
	g := &generator{seed: o.Seed, store: newStore()}
	g.store.altered = o.Change
	g.organizations()
	g.places()
	g.staff()
	for i := range o.Patients {
		g.patient(i)
	}
	g.deletedPatient(o.Patients)
	return g.store
}

// A generator remembers what others refer to.
type generator struct {
	seed  uint64
	store *store

	hospitals, payers, locations, practitioners, schedules []*draft
	// slots holds, for each schedule, those that are free to be taken.
	slots map[string][]*draft
}

func (g *generator) put(d draft) *draft {
	g.store.put(d)
	return &d
}

func (g *generator) organizations() {
	for i, name := range organizationNames {
		d := roll(g.seed, "Organization", i)
		body := obj("text", narrative("<p>%s</p>", name),
			"identifier", array{identifier("official", systemStaff+"/organization", fmt.Sprintf("ORG-%02d", i+1))},
			"active", true,
			"type", array{concept(terminology+"organization-type", "prov", "Healthcare Provider")},
			"name", name, "alias", array{strings.ToUpper(name[:4])},
			"telecom", array{phone("work", d.phone())}, "address", array{address(d, "work")},
			"contact", array{obj("purpose", concept(terminology+"contactentity-type", "ADMIN", "Administrative"), "name", obj("text", "Front desk"), "telecom", array{phone("work", d.phone())})})
		if i > 0 {
			body = body.with("partOf", reference(g.hospitals[0]))
		}
		g.hospitals = append(g.hospitals, g.put(draft{kind: "Organization", id: fmt.Sprint(11 + i), name: name, updated: d.day(-900, -400), body: body}))
	}
	for i, name := range payerNames {
		d := roll(g.seed, "Payer", i)
		g.payers = append(g.payers, g.put(draft{kind: "Organization", id: fmt.Sprint(71 + i), name: name, updated: d.day(-900, -400),
			body: obj("active", true, "type", array{concept(terminology+"organization-type", "ins", "Insurance Company")},
				"name", name, "telecom", array{phone("work", d.phone())}, "address", array{address(d, "work")})}))
	}
}

func (g *generator) places() {
	for i, name := range locationNames {
		d := roll(g.seed, "Location", i)
		g.locations = append(g.locations, g.put(draft{kind: "Location", id: fmt.Sprintf("loc.%s-%d", strings.ToLower(strings.Fields(name)[0]), i+1), name: name, updated: d.day(-900, -400),
			body: obj("identifier", array{identifier("usual", systemStaff+"/room", fmt.Sprintf("R-%03d", 100+i))},
				"status", "active", "name", name, "description", "Follow the yellow line, then ring.", "mode", "instance",
				"type", array{concept(systemCode, fmt.Sprintf("room-%d", i), name)},
				"telecom", array{phone("work", d.phone())}, "address", address(d, "work"),
				"position", obj("longitude", decimal(fmt.Sprintf("-0.%s0", d.digits(3))), "latitude", decimal(fmt.Sprintf("51.%s", d.digits(4)))),
				"managingOrganization", reference(g.hospitals[i%len(g.hospitals)]))}))
	}
}

// practitionerCount is fixed, so that a patient refers to the same ones however
// many patients there are.
const practitionerCount = 12

func (g *generator) staff() {
	g.slots = map[string][]*draft{}
	for i := range practitionerCount {
		d := roll(g.seed, "Practitioner", i)
		given, family := draw(d, givenNames), familyNames[(i*7+3)%len(familyNames)]
		service := services[i%len(services)]
		qualified := d.day(-9000, -3000)
		practitioner := g.put(draft{kind: "Practitioner", id: fmt.Sprintf("prac-%04d", 100+i*13), name: "Dr " + given.name + " " + family,
			updated: d.day(-400, -10), versions: 1 + i%3,
			body: obj("text", narrative("<p>Dr %s %s, %s</p>", given.name, family, service.specialty),
				"identifier", array{identifier("official", systemStaff, fmt.Sprintf("ST-%06d", 4200+i*37))},
				// The question of an access desk: may this clinician still sign in?
				"active", i%4 != 3,
				"name", array{obj("use", "official", "family", family, "given", array{given.name}, "prefix", array{"Dr"})},
				"telecom", array{phone("work", d.phone()), obj("system", "email", "value", slug(given.name+"."+family)+"@staff.example", "use", "work"), phone("home", d.phone())},
				"address", array{address(d, "home")}, "gender", given.gender, "birthDate", date(d.day(-24000, -11000)),
				"qualification", array{obj("identifier", array{identifier("official", systemStaff+"/licence", "LIC-"+d.digits(6))},
					"code", concept(terminology+"v2-0360", "MD", "Doctor of Medicine"), "period", obj("start", date(qualified)), "issuer", obj("display", "Grimbleport Medical Board"))})})
		g.practitioners = append(g.practitioners, practitioner)
		g.role(i, d, practitioner)
	}
}

func (g *generator) role(i int, d dice, practitioner *draft) {
	service := services[i%len(services)]
	location, hospital := g.locations[i%len(g.locations)], g.hospitals[i%len(g.hospitals)]
	g.put(draft{kind: "PractitionerRole", id: fmt.Sprintf("role.%s-%d", slug(service.specialty), i+1), name: practitioner.name, updated: d.day(-300, -5),
		body: obj("identifier", array{identifier("usual", systemStaff+"/role", fmt.Sprintf("RL-%04d", i+1))}, "active", i%4 != 3,
			"period", obj("start", "2021-04-01"), "practitioner", reference(practitioner), "organization", reference(hospital),
			"code", array{concept(terminology+"practitioner-role", "doctor", "Doctor")}, "specialty", array{concept(systemCode, slug(service.specialty), service.specialty)},
			"location", array{reference(location)}, "telecom", array{phone("work", d.phone())},
			"availableTime", array{obj("daysOfWeek", array{"mon", "tue", "thu"}, "availableStartTime", "08:00:00", "availableEndTime", "17:00:00")},
			"notAvailable", array{obj("description", "Own appointment at the quorrel clinic", "during", obj("start", "2026-07-06", "end", "2026-07-10"))})})

	horizon := Reference().Truncate(24 * time.Hour)
	schedule := g.put(draft{kind: "Schedule", id: fmt.Sprint(9000 + i), name: service.display + ", " + practitioner.name, updated: d.day(-30, -1),
		body: obj("active", i%4 != 3, "serviceType", array{concept(systemCode, service.code, service.display)},
			"specialty", array{concept(systemCode, slug(service.specialty), service.specialty)},
			"actor", array{reference(practitioner), reference(location)}, "planningHorizon", period(horizon.AddDate(0, 0, -28), horizon.AddDate(0, 0, 56)),
			"comment", "Two overbooked mornings a week for gallowrash follow-up")})
	g.schedules = append(g.schedules, schedule)
	for n := range 10 {
		start := horizon.AddDate(0, 0, n*3-9).Add(time.Duration(13+n%8) * time.Hour)
		status := []string{"free", "busy", "free", "busy-tentative", "free"}[(n+i)%5]
		slot := g.put(draft{kind: "Slot", id: fmt.Sprintf("slot-%d-%s", i, d.hex(5)), name: schedule.name, updated: d.day(-30, -1),
			body: obj("serviceType", array{concept(systemCode, service.code, service.display)}, "schedule", reference(schedule), "status", status,
				"start", instant(start), "end", instant(start.Add(30*time.Minute)), "overbooked", n == 4, "comment", draw(d, remarks))})
		if status != "free" {
			g.slots[schedule.id] = append(g.slots[schedule.id], slot)
		}
	}
}
