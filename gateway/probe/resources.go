package probe

// A node is a JSON object.
type node = map[string]any

// planting is one resource to plant: after those whose ids it names.
type planting struct {
	key, kind string
	body      func(s sheet, id func(key string) string) node
	closed    bool // all of it must stay hidden
	deleted   bool // it is deleted once it has been found
}

// plantings are the canary resources, in the order in which they can be made. Two patients
// beside the first: one that a security label closes, and one that is deleted.
func plantings(patient string) []planting {
	all := []planting{
		{key: "practitioner", kind: "Practitioner", body: practitioner},
		{key: "patient", kind: "Patient", body: patientBody},
		{key: "restricted", kind: "Patient", closed: true, body: func(s sheet, id func(string) string) node {
			b := patientBody(s, id)
			b["meta"] = node{"security": []node{{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R", "display": "restricted"}}}
			return b
		}},
		{key: "deleted", kind: "Patient", deleted: true, body: patientBody},
		{key: "condition", kind: "Condition", body: condition},
		{key: "observation", kind: "Observation", body: func(s sheet, id func(string) string) node { return observation(s, id) }},
		{key: "order", kind: "ServiceRequest", body: order},
		{key: "appointment", kind: "Appointment", body: appointment},
		{key: "encounter", kind: "Encounter", body: encounter},
		{key: "coverage", kind: "Coverage", body: coverage},
		{key: "task", kind: "Task", body: task},
		{key: "message", kind: "Communication", body: communication},
	}
	if patient != "" {
		// Of the canary patient, and naming the client's own where no compartment looks.
		all = append(all, planting{key: "focus", kind: "Observation", body: func(s sheet, id func(string) string) node {
			b := observation(s, id)
			b["focus"] = []node{{"reference": "Patient/" + patient}}
			return b
		}}, planting{key: "about", kind: "Communication", body: func(s sheet, id func(string) string) node {
			b := communication(s, id)
			b["about"] = []node{{"reference": "Patient/" + patient}}
			return b
		}})
	}
	return all
}

func (s sheet) identifier() []node {
	return []node{{"use": "usual", "system": system, "value": s.c.name(s.key)}}
}

func (s sheet) narrative() node {
	return node{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">` + s.mark("text.div") + `</div>`}
}

func (s sheet) extension(path string) []node {
	return []node{{"url": system + "/note", "valueString": s.mark(path + "extension.valueString")}}
}

func (s sheet) code(path string) node {
	return node{"coding": []node{{"system": system, "code": s.mark(path + ".coding.code"), "display": s.mark(path + ".coding.display")}}, "text": s.mark(path + ".text")}
}

func (s sheet) reference(path, to string) node {
	return node{"reference": to, "display": s.mark(path + ".display")}
}

func (s sheet) telecom() []node {
	return []node{{"system": "phone", "use": "home", "value": s.mark("telecom.value")}, {"system": "email", "value": s.mark("telecom.value") + "@mail.example"}}
}

func (s sheet) address() []node {
	return []node{{"use": "home", "line": []string{s.mark("address.line")}, "city": s.mark("address.city"), "postalCode": s.mark("address.postalCode")}}
}

func practitioner(s sheet, _ func(string) string) node {
	return node{"text": s.narrative(), "extension": s.extension(""), "identifier": s.identifier(), "active": true,
		"name": []node{{"family": s.mark("name.family"), "given": []string{s.mark("name.given")}}}, "telecom": s.telecom(), "address": s.address(),
		"birthDate": s.day("birthDate"), "qualification": []node{{"code": s.code("qualification.code")}}}
}

func patientBody(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "extension": s.extension(""),
		"contained":  []node{{"resourceType": "Practitioner", "id": "inside", "name": []node{{"family": s.mark("contained.name.family")}}}},
		"identifier": s.identifier(), "active": true,
		"name":    []node{{"use": "official", "family": s.mark("name.family"), "given": []string{s.mark("name.given")}, "extension": s.extension("name.")}},
		"telecom": s.telecom(), "address": s.address(),
		"birthDate": s.day("birthDate"), "_birthDate": node{"extension": s.extension("_birthDate.")},
		"maritalStatus":        s.code("maritalStatus"),
		"contact":              []node{{"name": node{"family": s.mark("contact.name.family")}, "telecom": []node{{"system": "phone", "value": s.mark("contact.telecom.value")}}}},
		"generalPractitioner":  []node{s.reference("generalPractitioner", "Practitioner/"+id("practitioner")), {"reference": "#inside"}},
		"managingOrganization": node{"display": s.mark("managingOrganization.display")}}
}

func condition(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "identifier": s.identifier(), "code": s.code("code"), "subject": s.reference("subject", "Patient/"+id("patient")),
		"clinicalStatus": node{"coding": []node{{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}}},
		"onsetDateTime":  s.day("onsetDateTime"), "note": []node{{"text": s.mark("note.text")}}}
}

func observation(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "identifier": s.identifier(), "status": "final", "code": s.code("code"), "subject": s.reference("subject", "Patient/"+id("patient")),
		"effectiveDateTime": s.day("effectiveDateTime"), "valueString": s.mark("valueString"), "note": []node{{"text": s.mark("note.text")}}}
}

func order(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "identifier": s.identifier(), "status": "active", "intent": "order", "code": s.code("code"), "category": []node{s.code("category")},
		"subject": s.reference("subject", "Patient/"+id("patient")), "requester": s.reference("requester", "Practitioner/"+id("practitioner")),
		"reasonCode": []node{s.code("reasonCode")}, "reasonReference": []node{s.reference("reasonReference", "Condition/"+id("condition"))},
		"note": []node{{"text": s.mark("note.text")}}, "patientInstruction": s.mark("patientInstruction")}
}

func appointment(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "extension": s.extension(""), "identifier": s.identifier(), "status": "booked",
		"serviceType": []node{s.code("serviceType")}, "specialty": []node{s.code("specialty")}, "reasonCode": []node{s.code("reasonCode")},
		"description": s.mark("description"), "comment": s.mark("comment"), "patientInstruction": s.mark("patientInstruction"),
		"start": "2031-03-05T09:00:00Z", "end": "2031-03-05T09:30:00Z", "basedOn": []node{s.reference("basedOn", "ServiceRequest/"+id("order"))},
		"participant": []node{{"actor": s.reference("participant.actor", "Patient/"+id("patient")), "status": "accepted"},
			{"actor": s.reference("participant.actor", "Practitioner/"+id("practitioner")), "status": "accepted"}}}
}

func encounter(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "identifier": s.identifier(), "status": "finished",
		"class": node{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": s.mark("class.display")},
		"type":  []node{s.code("type")}, "subject": s.reference("subject", "Patient/"+id("patient")), "reasonCode": []node{s.code("reasonCode")},
		"appointment": []node{s.reference("appointment", "Appointment/"+id("appointment"))}, "diagnosis": []node{{"condition": s.reference("diagnosis.condition", "Condition/"+id("condition"))}},
		"participant": []node{{"individual": s.reference("participant.individual", "Practitioner/"+id("practitioner"))}}, "period": node{"start": "2031-03-05T09:00:00Z"}}
}

func coverage(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "identifier": s.identifier(), "status": "active", "type": s.code("type"), "subscriberId": s.mark("subscriberId"),
		"beneficiary": s.reference("beneficiary", "Patient/"+id("patient")), "payor": []node{s.reference("payor", "Patient/"+id("patient"))},
		"class":   []node{{"type": node{"coding": []node{{"system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": "group"}}}, "value": s.mark("class.value"), "name": s.mark("class.name")}},
		"network": s.mark("network")}
}

func task(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "identifier": s.identifier(), "status": "requested", "intent": "order", "code": s.code("code"), "businessStatus": s.code("businessStatus"),
		"description": s.mark("description"), "for": s.reference("for", "Patient/"+id("patient")), "focus": s.reference("focus", "Appointment/"+id("appointment")),
		"requester": s.reference("requester", "Practitioner/"+id("practitioner")), "note": []node{{"text": s.mark("note.text")}},
		"input": []node{{"type": node{"text": s.mark("input.type.text")}, "valueString": s.mark("input.valueString")}}}
}

func communication(s sheet, id func(string) string) node {
	return node{"text": s.narrative(), "identifier": s.identifier(), "status": "completed", "category": []node{s.code("category")}, "topic": s.code("topic"),
		"subject": s.reference("subject", "Patient/"+id("patient")), "recipient": []node{s.reference("recipient", "Patient/"+id("patient"))},
		"sender":  s.reference("sender", "Practitioner/"+id("practitioner")),
		"payload": []node{{"contentString": s.mark("payload.contentString")}}, "note": []node{{"text": s.mark("note.text")}}}
}
