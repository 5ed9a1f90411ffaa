package probe

import (
	"encoding/json"
	"fmt"
)

func includeChecks() []Check {
	return []Check{
		{Name: "leak/include", Attack: "include leaks (_include)",
			Sentence: "_include of what planted resources refer to, hidden types among it: nothing hidden comes with it.",
			Advice:   "Admit an include only where its reference leaves and its target type has a row, and filter what is included by its own row.",
			do: func(a *attempt) {
				a.including("_include", "Appointment", "Appointment:patient", "Appointment:actor", "Appointment:practitioner", "Appointment:based-on", "Appointment:supporting-info", "Appointment:reason-reference")
				a.including("_include", "Encounter", "Encounter:diagnosis", "Encounter:patient", "Encounter:subject", "Encounter:reason-reference", "Encounter:diagnosis:Condition")
				a.including("_include", "Task", "Task:focus", "Task:subject", "Task:requester", "Task:based-on")
				a.including("_include", "ServiceRequest", "ServiceRequest:subject", "ServiceRequest:requester", "ServiceRequest:based-on")
				a.including("_include", "Patient", "Patient:general-practitioner", "Patient:link")
			}},
		{Name: "leak/revinclude", Attack: "reverse-include leaks (_revinclude)",
			Sentence: "_revinclude of everything that refers to the canary patient: nothing hidden comes with it.",
			Advice:   "Treat _revinclude as a search in the type that it brings: floor, policy, dataset and compartment of that type.",
			do: func(a *attempt) {
				a.including("_revinclude", "Patient", "Observation:patient", "Observation:subject", "Condition:patient", "Condition:subject", "Encounter:patient", "Task:subject", "Task:patient",
					"Communication:patient", "ServiceRequest:patient", "Coverage:beneficiary", "MedicationRequest:patient", "AllergyIntolerance:patient", "AuditEvent:patient", "Provenance:target")
				a.including("_revinclude", "Appointment", "Encounter:appointment", "Task:focus")
			}},
		{Name: "leak/include-iterate", Attack: "_include:iterate and _revinclude:iterate",
			Sentence: "Includes that go on from what was included: nothing hidden is at their end.",
			Advice:   "Judge every step of an iterated include by itself, or refuse :iterate.",
			do: func(a *attempt) {
				for _, chain := range [][]string{
					{"_include", "Appointment:patient", "_revinclude:iterate", "Observation:patient"},
					{"_include", "Appointment:patient", "_revinclude:iterate", "Condition:patient"},
					{"_include", "Appointment:based-on", "_include:iterate", "ServiceRequest:subject"},
					{"_include", "Appointment:actor", "_include:iterate", "Patient:general-practitioner", "_revinclude:iterate", "Condition:subject"},
					{"_include:recurse", "Appointment:patient"},
				} {
					q := "_count=200"
					for i := 0; i < len(chain); i += 2 {
						q += "&" + pair(chain[i], chain[i+1])
					}
					a.brought("Appointment", a.get("/Appointment?"+q))
					a.brought("Appointment", a.get("/Appointment?"+a.canaries.identifier("appointment")+"&"+q))
				}
				a.including("_revinclude:iterate", "Patient", "Observation:patient", "Condition:subject", "Encounter:patient")
			}},
		{Name: "leak/include-all", Attack: "_include=* and _revinclude=*",
			Sentence: "Includes of everything: nothing hidden comes with it.",
			Advice:   "Admit a star only where every reference of the type leaves, and every type at its end has a row.",
			do: func(a *attempt) {
				for _, kind := range []string{"Appointment", "Encounter", "Task", "Patient"} {
					a.including("_include", kind, "*", kind+":*")
					a.including("_revinclude", kind, "*", "Observation:*", "Condition:*")
				}
			}},
		{Name: "leak/has", Attack: "Patient?_has:Observation:patient:code=… (reverse chains)",
			Sentence: "Searches by what refers to the patient, with a value that is there and one that is not: the answers are the same.",
			Advice:   "Refuse _has where a step or its parameter reads what is hidden.",
			do: func(a *attempt) {
				for _, h := range []struct{ kind, by, parameter, key, path string }{
					{"Observation", "patient", "code", "observation", "code.coding.code"}, {"Observation", "subject", "value-string", "observation", "valueString"},
					{"Condition", "patient", "code", "condition", "code.coding.code"}, {"Condition", "subject", "code", "condition", "code.coding.code"},
					{"Encounter", "patient", "reason-code", "encounter", "reasonCode.coding.code"}, {"ServiceRequest", "patient", "code", "order", "code.coding.code"},
				} {
					has := "_has:" + h.kind + ":" + h.by + ":"
					if value := a.canaries.of(h.key, h.path); value != "" {
						a.differ("Patient", "", has+h.parameter, value, miss)
						a.differ("Patient", a.canaries.identifier("patient"), has+h.parameter, value, miss)
						a.differ("Appointment", "", "patient."+has+h.parameter, value, miss)
					}
					a.differ("Patient", "", has+"_lastUpdated", "gt1900-01-01", "lt1900-01-01")
				}
			}},
		{Name: "leak/include-url", Attack: "absolute or protocol-relative URLs in included references",
			Sentence: "Includes along references to other servers: the gateway calls none of them, and nothing comes from there.",
			Advice:   "Never fetch what a reference names; only the EHR resolves includes.", needs: needsEHR, do: includeURL},
	}
}

// including tries includes from a search of all, of the planted one, and by its id.
func (a *attempt) including(parameter, kind string, values ...string) {
	key := keyOf(kind)
	for _, v := range values {
		q := pair(parameter, v)
		paths := []string{fmt.Sprintf("/%s?_count=200&%s", kind, q)}
		if a.ehr != nil {
			paths = append(paths, fmt.Sprintf("/%s?%s&%s", kind, a.canaries.identifier(key), q))
		}
		if id := a.id(key); id != "" {
			paths = append(paths, fmt.Sprintf("/%s?_id=%s&%s", kind, id, q))
		}
		for _, path := range paths {
			a.brought(kind, a.get(path))
		}
	}
}

// brought judges what an include added to a search of a type.
func (a *attempt) brought(kind string, got answer) {
	if got.allowed() {
		a.seek(got, func(c canary) bool { return c.kind != kind })
	}
}

// keyOf is under which key a resource of a type is planted.
func keyOf(kind string) string {
	for _, p := range plantings("") {
		if p.kind == kind {
			return p.key
		}
	}
	return ""
}

// includeURL follows references to a server that the probe itself is: whoever calls it was
// talked into it.
func includeURL(a *attempt) {
	t, err := newTrap()
	if err != nil {
		a.skipped = "no listener on loopback"
		return
	}
	defer t.close()
	id, err := a.ehr.create(a.ctx, "Appointment", a.trapped(t))
	if err != nil {
		a.skipped = "the EHR takes no reference to another server: " + err.Error()
		return
	}
	a.ehr.planted = append(a.ehr.planted, planted{planting: planting{key: "trap", kind: "Appointment"}, id: id})
	find := "/Appointment?identifier=" + system + "%7C" + a.canaries.name("trap")
	for _, q := range []string{"", "&_include=Appointment:actor", "&_include=Appointment:practitioner", "&_include=Appointment:supporting-info", "&_include=Appointment:slot", "&_include=*", "&_include=Appointment:*&_include:iterate=*"} {
		got := a.get(find + q)
		if where, ok := got.holds(t.bait); ok {
			a.fail("it came from another server: %s, %s", got.what, where)
		}
	}
	if n := t.calls(); n > 0 {
		a.fail("the gateway (or the EHR for it) called the server that a reference names, %d times", n)
	}
}

// trapped is an appointment whose references name the trap: absolute and protocol-relative.
func (a *attempt) trapped(t *trap) []byte {
	body, err := json.Marshal(node{"resourceType": "Appointment", "identifier": []node{{"system": system, "value": a.canaries.name("trap")}}, "status": "booked",
		"start": "2031-03-06T09:00:00Z", "end": "2031-03-06T09:30:00Z", "slot": []node{{"reference": t.url + "/Slot/1"}}, "supportingInformation": []node{{"reference": t.url + "/Observation/1"}},
		"participant": []node{{"actor": node{"reference": t.url + "/Practitioner/1"}, "status": "accepted"}, {"actor": node{"reference": "//" + t.host + "/fhir/Practitioner/1"}, "status": "accepted"},
			{"actor": node{"reference": "Patient/" + a.ehr.id("patient")}, "status": "accepted"}}})
	if err != nil {
		panic(err) // it holds texts only
	}
	return body
}
