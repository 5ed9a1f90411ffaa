package probe

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

func patientChecks() []Check {
	return []Check{
		{Name: "leak/compartment", Attack: "another patient's data with a token held to one patient", needs: needsPatient,
			Sentence: "Searches of every type, includes, and reads of what belongs to another patient, with a token that is held to one: nothing of another patient comes.",
			Advice:   "Narrow the search to the compartment, and hold the answer to it again.", do: compartment},
		{Name: "leak/history-foreign", Attack: "history of a foreign patient", needs: needsPatient | needsEHR,
			Sentence: "Reads, versions, histories and compartments of the canary patient, with a token held to another: it is not there.",
			Advice:   "Check the resource that comes back, before a byte of it leaves.", do: foreign},
		{Name: "leak/focus", Attack: "Observation.focus taken for compartment membership", needs: needsPatient | needsEHR,
			Sentence: "An Observation and a Communication of the canary patient that name the token's patient in focus and about, which are in no compartment: they do not come.",
			Advice:   "Take compartment membership from HL7's CompartmentDefinition alone.", do: focus},
		{Name: "leak/own-prefix", Attack: "id prefix confusion with the patient of the token", needs: needsPatient,
			Sentence: "Ids that begin as the token's own patient does, or go on from it: they name nobody.",
			Advice:   "Compare ids whole.",
			do: func(a *attempt) {
				own := a.o.Patient
				for _, id := range []string{own + "0", own + "1", own + ".", own[:max(1, len(own)-1)], "0" + own, own + "%2f..%2f" + own + "0"} {
					if id != own {
						a.nothing(a.held("/Patient/" + id))
						a.nothingAtAll(a.held("/Patient?_id="+id), "an id near that of the token's patient")
					}
				}
			}},
	}
}

// held asks with the token that is held to a patient.
func (a *attempt) held(path string) answer {
	return a.send(request{path: path, token: a.o.PatientToken})
}

// own is by which id the gateway names the token's patient.
func (a *attempt) own() string {
	got := a.held("/Patient/" + a.o.Patient)
	if id := got.json().Get("id").Str; got.allowed() && id != "" {
		a.self = id
		return id
	}
	return a.o.Patient
}

func compartment(a *attempt) {
	own := a.own()
	table := fhir.PatientCompartment()
	types := []string{"Patient", "Appointment", "Encounter", "Coverage", "Communication", "ServiceRequest", "Task", "Observation", "Condition", "Schedule"}
	for _, kind := range types {
		for _, path := range []string{"/" + kind + "?_count=200", "/" + kind + "?patient=" + a.id("patient"), "/" + kind + "?_include=*&_count=20", "/" + kind + "?_revinclude=Appointment:patient&_count=20", "/Patient/" + own + "/" + kind + "?_count=50"} {
			a.ownOnly(a.held(path), own, table)
		}
	}
	for _, path := range []string{"?_type=Appointment,Patient&_count=50", "/_history?_count=50", "/Appointment/_history?_count=50", "/Patient/" + own + "/*?_count=50", "/Appointment?patient=" + own + "," + a.id("patient")} {
		a.ownOnly(a.held(path), own, table)
	}
	body := `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Appointment?_count=100"}},{"request":{"method":"GET","url":"` + a.ref("appointment") + `"}},{"request":{"method":"GET","url":"` + a.ref("patient") + `"}}]}`
	got := a.send(request{method: "POST", token: a.o.PatientToken, body: body, header: []string{"Content-Type", fhirType}})
	if got.allowed() {
		a.ownOnly(within(got), own, table)
	}
}

// ownOnly fails where an answer holds a resource whose compartment elements leave, and do not
// name the patient.
func (a *attempt) ownOnly(got answer, own string, table map[string][]string) {
	for i, e := range got.entries() {
		kind := e.Get("resourceType").Str
		if kind == "Patient" && e.Get("id").Str != own {
			a.fail("another patient came back: %s, resource %d", got.what, i)
			return
		}
		var named []string
		for _, path := range table[kind] {
			named = append(named, referencesAt(e, strings.Split(path, "."))...)
		}
		if len(named) > 0 && !slices.ContainsFunc(named, func(ref string) bool { return strings.HasSuffix(ref, "Patient/"+own) }) {
			a.fail("%s of another patient came back: %s, resource %d", kind, got.what, i)
			return
		}
	}
	a.foreign(got)
}

// foreign fails where anything planted for another patient comes to the held token.
func (a *attempt) foreign(got answer) {
	for _, c := range a.canaries.all {
		if c.key == "practitioner" {
			continue
		}
		if where, ok := got.holds(c.value); ok {
			a.fail("%s came back: %s, %s", c, got.what, where)
			return
		}
	}
}

// referencesAt are the literal references below a path.
func referencesAt(v gjson.Result, path []string) []string {
	if v.IsArray() {
		var all []string
		for _, e := range v.Array() {
			all = append(all, referencesAt(e, path)...)
		}
		return all
	}
	if len(path) > 0 {
		return referencesAt(v.Get(path[0]), path[1:])
	}
	if ref := v.Get("reference").Str; strings.Contains(ref, "Patient/") {
		return []string{ref}
	}
	return nil
}

func foreign(a *attempt) {
	for _, id := range []string{a.id("patient"), a.ehr.id("patient"), a.id("deleted"), a.ehr.id("restricted")} {
		for _, below := range []string{"", "/_history", "/_history/1", "/$everything", "/Appointment", "/Observation", "?_elements=name"} {
			got := a.held("/Patient/" + id + below)
			a.foreign(got)
			if got.allowed() && len(got.entries()) > 0 && got.json().Get("resourceType").Str == "Patient" {
				a.fail("another patient was read: %s", got.what)
			}
		}
	}
	for _, p := range a.ehr.planted {
		if p.kind == "Patient" || p.key == "practitioner" {
			continue
		}
		for _, id := range []string{a.ids[p.key], p.id} {
			for _, below := range []string{"", "/_history", "/_history/1"} {
				got := a.held("/" + p.kind + "/" + id + below)
				a.foreign(got)
				if got.allowed() && got.json().Get("resourceType").Str == p.kind {
					a.fail("%s of another patient was read: GET /%s/…%s", p.kind, p.kind, below)
				}
			}
		}
	}
}

func focus(a *attempt) {
	own := a.own()
	table := fhir.PatientCompartment()
	for _, path := range []string{
		"/Observation?focus=" + own, "/Observation?focus=Patient/" + own, "/Observation?_count=200", "/Observation?patient=" + own + "&_count=200", "/Communication?_count=500", "/Communication?patient=" + own, "/Patient/" + own + "/Communication",
		"/Communication?" + a.canaries.identifier("about"), "/Observation?" + a.canaries.identifier("focus"), "/Observation/" + a.ids["focus"], "/Communication/" + a.ids["about"], "/Observation/" + a.ehr.id("focus"), "/Communication/" + a.ehr.id("about"),
		"/Patient/" + own + "/$everything", "/Patient?_id=" + own + "&_revinclude=Observation:focus", "/Patient?_id=" + own + "&_revinclude=*",
	} {
		a.ownOnly(a.held(path), own, table)
	}
}
