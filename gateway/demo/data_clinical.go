package demo

import "fmt"

// conditionID is known before the condition is made, as encounters name it.
func conditionID(p *person, n int) string { return fmt.Sprintf("c%05d-%d", p.number, n) }

// clinical makes what no helpdesk may see.
func (g *generator) clinical(p *person) {
	for n := range 1 + p.number%2 {
		g.condition(p, n)
	}
	g.observations(p)
	g.medication(p)
	if p.number%3 == 0 {
		g.allergy(p)
	}
}

func (g *generator) condition(p *person, n int) {
	d := p.dice
	at, what := d.day(-900, -30), draw(d, conditions)
	g.put(draft{kind: "Condition", id: conditionID(p, n), name: what.display, updated: at, restricted: p.restricted || what.code == "cond-047",
		body: obj("text", narrative("<p>%s: %s</p>", p.name, what.display),
			"clinicalStatus", obj("coding", array{obj("system", terminology+"condition-clinical", "code", []string{"active", "remission", "resolved"}[d.IntN(3)])}),
			"verificationStatus", obj("coding", array{obj("system", terminology+"condition-ver-status", "code", "confirmed")}),
			"category", array{concept(terminology+"condition-category", "encounter-diagnosis", "Encounter Diagnosis")},
			"severity", obj("text", "moderate"), "code", concept(systemCode, what.code, what.display), "subject", reference(p.draft),
			"onsetDateTime", at.Format("2006-01"), "recordedDate", date(at), "recorder", reference(p.doctor), "note", note(draw(d, remarks), at))})
}

func (g *generator) observations(p *person) {
	d := p.dice
	vital := array{concept(terminology+"observation-category", "vital-signs", "Vital Signs")}
	quantity := func(value, unit, code string) object {
		return obj("value", decimal(value), "unit", unit, "system", "http://unitsofmeasure.org", "code", code)
	}
	observation := func(body object) {
		at := d.day(-300, -3)
		g.put(draft{kind: "Observation", id: d.uuid(), name: p.name, updated: at, restricted: p.restricted,
			body: append(obj("status", "final"), body...).with("subject", reference(p.draft), "effectiveDateTime", moment(at), "issued", instant(at),
				"performer", array{reference(p.doctor)}, "note", note(draw(d, remarks), at))})
	}
	observation(obj("category", vital, "code", concept("http://loinc.org", "8867-4", "Heart rate"), "valueQuantity", quantity(fmt.Sprint(55+d.IntN(50)), "beats/minute", "/min")))
	observation(obj("category", vital, "code", concept("http://loinc.org", "85354-9", "Blood pressure"), "component", array{
		obj("code", concept("http://loinc.org", "8480-6", "Systolic"), "valueQuantity", quantity(fmt.Sprintf("%d.0", 105+d.IntN(60)), "mmHg", "mm[Hg]")),
		obj("code", concept("http://loinc.org", "8462-4", "Diastolic"), "valueQuantity", quantity(fmt.Sprintf("%d.50", 60+d.IntN(30)), "mmHg", "mm[Hg]"))}))
	observation(obj("category", array{concept(terminology+"observation-category", "laboratory", "Laboratory")}, "code", concept(systemCode, "lab-serrin", "Serrin in blood"),
		"valueString", draw(d, []string{"serrin low", "serrin high", "serrin not found"}), "interpretation", array{concept(terminology+"v3-ObservationInterpretation", "A", "Abnormal")}))
}

func (g *generator) medication(p *person) {
	d := p.dice
	at, what := d.day(-200, -2), draw(d, medicines)
	body := obj()
	medicine := member{"medicationCodeableConcept", concept(systemCode, what.code, what.display)}
	if p.number%2 == 1 {
		body = obj("contained", array{obj("resourceType", "Medication", "id", "med", "code", concept(systemCode, what.code, what.display))})
		medicine = member{"medicationReference", obj("reference", "#med", "display", what.display)}
	}
	body = body.with("status", "active", "intent", "order", medicine.name, medicine.value, "subject", reference(p.draft), "authoredOn", moment(at),
		"requester", reference(p.doctor), "reasonCode", array{concept(systemCode, draw(d, conditions).code, draw(d, conditions).display)},
		"dosageInstruction", array{obj("sequence", 1, "text", "One at night", "doseAndRate", array{obj("doseQuantity", obj("value", decimal("1.0"), "unit", "tablet"))})},
		"note", note(draw(d, remarks), at))
	g.put(draft{kind: "MedicationRequest", id: fmt.Sprintf("mr.%s", d.hex(9)), name: what.display, updated: at, restricted: p.restricted, body: body})
}

func (g *generator) allergy(p *person) {
	d := p.dice
	at, what := d.day(-3000, -100), draw(d, medicines)
	g.put(draft{kind: "AllergyIntolerance", id: fmt.Sprint(700000 + p.number), name: what.display, updated: at, restricted: p.restricted,
		body: obj("clinicalStatus", obj("coding", array{obj("system", terminology+"allergyintolerance-clinical", "code", "active")}),
			"verificationStatus", obj("coding", array{obj("system", terminology+"allergyintolerance-verification", "code", "confirmed")}),
			"type", "allergy", "category", array{"medication"}, "criticality", "high", "code", concept(systemCode, what.code, what.display),
			"patient", reference(p.draft), "recordedDate", date(at), "recorder", reference(p.doctor),
			"reaction", array{obj("manifestation", array{concept(systemCode, "cond-052", "Gallowrash, type 3")}, "severity", "severe", "onset", moment(at))})})
}
