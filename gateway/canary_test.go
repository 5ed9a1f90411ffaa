package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestSearchCanaries has an EHR that puts hidden data wherever FHIR has room for it: nothing of it
// leaves a search, what is included and what is read.
func TestSearchCanaries(t *testing.T) {
	const (
		extension = `"extension":[{"url":"https://x.example/CANARY","valueString":"CANARY"}]`
		reference = `"display":"CANARY","identifier":{"value":"CANARY"},` + extension
		coding    = `"display":"CANARY","version":"CANARY","_code":{` + extension + `}`
	)
	var w *world
	appointment := func() string {
		return `{"resourceType":"Appointment","id":"a1","implicitRules":"https://x.example/CANARY","language":"CANARY","status":"booked","_status":{` + extension + `},` +
			`"text":{"status":"generated","div":"<div>CANARY</div>"},"contained":[{"resourceType":"Patient","id":"CANARY","name":[{"family":"CANARY"}]}],` + extension + `,` +
			`"modifierExtension":[{"url":"https://x.example/CANARY"}],"appointmentType":{"text":"CANARY","coding":[{"system":"s","code":"c",` + coding + `}],` + extension + `},` +
			`"description":"CANARY","comment":"CANARY","reasonCode":[{"text":"CANARY"}],"patientInstruction":"CANARY",` +
			`"supportingInformation":[{"reference":"Practitioner/CANARY"}],"slot":[{"reference":"#CANARY","display":"CANARY"}],` +
			`"meta":{"versionId":"1","source":"https://x.example/CANARY","profile":["https://x.example/CANARY"],"tag":[{"system":"CANARY","code":"CANARY"}]},` +
			`"participant":[{"actor":{"reference":"` + w.ehrURL + `/Practitioner/open",` + reference + `}},{"actor":{"reference":"https://evil.example/fhir/Practitioner/CANARY",` + reference + `}},` +
			`{"actor":{"reference":"//evil.example/Practitioner/CANARY"}},{"actor":{"reference":"Practitioner?identifier=CANARY"}},{"actor":{"reference":"urn:uuid:CANARY"}}]}`
	}
	practitioner := `{"resourceType":"Practitioner","id":"open","active":true,"name":[{"family":"Open","text":"CANARY","_given":[{` + extension + `}]}],"telecom":[{"value":"CANARY"}],"birthDate":"1970-CANARY"}`
	entry := func(url, resource string) string {
		return `{"fullUrl":"` + url + `","link":[{"relation":"self","url":"https://x.example/CANARY"}],"resource":` + resource + `,` +
			`"search":{"mode":"match","score":1,` + extension + `},"request":{"method":"GET","url":"Appointment?reason=CANARY"},"response":{"status":"200 CANARY","etag":"CANARY","location":"https://x.example/CANARY"}}`
	}
	w = newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Canary", "CANARY")
		rw.Header().Set("Location", "https://x.example/CANARY")
		rw.Header().Set("Content-Location", "https://x.example/CANARY")
		rw.Header().Set("Set-Cookie", "a=CANARY")
		rw.Header().Set("ETag", `W/"CANARY"`)
		switch {
		case strings.HasSuffix(r.URL.Path, "/a1"):
			says(appointment()).ServeHTTP(rw, r)
		case r.URL.Query().Get("status") == "fulfilled":
			rw.Header().Set("Content-Type", "application/fhir+json")
			rw.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = rw.Write([]byte(`{"resourceType":"OperationOutcome","text":{"div":"CANARY"},"issue":[{"severity":"error","code":"processing","details":{"text":"CANARY"},"diagnostics":"CANARY","expression":["CANARY"]}]}`))
		default:
			says(`{"resourceType":"Bundle","id":"CANARY","type":"searchset","timestamp":"2020-01-01T00:00:00Z","identifier":{"value":"CANARY"},"meta":{"tag":[{"code":"CANARY"}]},"total":12345678,`+
				`"link":[{"relation":"self","url":"https://x.example/?q=CANARY"},{"relation":"next","url":"https://evil.example/fhir?page=CANARY"},{"relation":"CANARY","url":"`+w.ehrURL+`/x"}],"entry":[`+
				entry("https://evil.example/fhir/Appointment/CANARY", appointment())+`,`+entry(w.ehrURL+"/Practitioner/open", practitioner)+`,`+
				entry("urn:uuid:CANARY", `{"resourceType":"OperationOutcome","id":"CANARY","text":{"div":"CANARY"},"issue":[{"severity":"warning","code":"informational","details":{"text":"CANARY"},"diagnostics":"CANARY"}]}`)+`,`+
				entry(w.ehrURL+"/Observation/CANARY", `{"resourceType":"Observation","id":"CANARY"}`)+`],"signature":{"data":"CANARY"}}`).ServeHTTP(rw, r)
		}
	})))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	read := w.sealer("demo-scheduling")("Appointment", "a1")
	for path, status := range map[string]int{
		"/Appointment?_include=Appointment:actor": 200, "/Appointment": 200, "/Appointment/" + read: 200, "/Appointment?status=fulfilled": 400,
		"/Appointment?_include=Appointment:actor&_elements=description,comment,text": 200, "/Appointment?_summary=text": 200, "/Appointment?_summary=data": 200,
	} {
		r := w.get(token, path)
		if r.status != status {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		if strings.Contains(string(r.body), "CANARY") || strings.Contains(string(r.body), "12345678") || strings.Contains(string(r.body), "evil.example") {
			t.Errorf("%s: a canary in %s", path, r.body)
		}
		for name, values := range r.header {
			if strings.Contains(name+strings.Join(values, " "), "CANARY") || name == "X-Canary" {
				t.Errorf("%s: a canary in the header %s: %v", path, name, values)
			}
		}
		if rec := w.record(r); rec.Status != status {
			t.Errorf("%s: record %+v", path, rec)
		}
	}
	r := w.get(token, "/Appointment?_include=Appointment:actor")
	entries := r.json().Get("entry").Array()
	if len(entries) != 3 || entries[0].Get("fullUrl").Exists() || !strings.HasPrefix(entries[1].Get("fullUrl").String(), w.fhir+"/Practitioner/t") {
		t.Errorf("entries %s", r.body)
	}
	if refs := entries[0].Get("resource.participant.#.actor.reference").Array(); len(refs) != 1 || refs[0].String() != entries[1].Get("fullUrl").String() {
		t.Errorf("references %v", refs)
	}
	if totals := w.record(r).Totals; totals.Dropped["type"]["Observation"] != 1 {
		t.Errorf("totals %+v", totals)
	}
}

// TestElementsDoNotWiden asks for elements that the dataset hides, and for fewer than labels are
// judged by: neither reaches the EHR, and what leaves is the dataset's.
func TestElementsDoNotWiden(t *testing.T) {
	var mu sync.Mutex
	var queries []string
	var w *world
	w = newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		queries = append(queries, r.URL.RawQuery)
		mu.Unlock()
		w.sandbox.ServeHTTP(rw, r)
	})))
	ds := dataset(t, "scheduling")
	token := w.token("demo-scheduling", demo.TokenOptions{})
	found := w.get(token, "/Appointment?_count=50")
	id := found.json().Get("entry.0.resource.id").String()
	for _, path := range []string{
		"/Appointment?_count=50&_elements=description,reasonCode,comment", "/Appointment?_count=50&_elements=id", "/Appointment?_count=50&_summary=true",
		"/Appointment?_count=50&_summary=false", "/Appointment?_count=50&_summary=text", "/Appointment?_count=50&_total=none",
		"/Appointment/" + id + "?_elements=description", "/Appointment/" + id + "?_summary=data", "/Appointment/" + id + "/_history?_elements=comment",
	} {
		r := w.get(token, path)
		if r.status != 200 {
			t.Errorf("%s: %d %.300s", path, r.status, r.body)
		}
		self := r.json().Get(`link.#(relation=="self").url`).String()
		if strings.Contains(self, "_elements") || strings.Contains(self, "_summary") || strings.Contains(path, "_count=50") && !strings.Contains(self, "_count=50") {
			t.Errorf("%s: the answer says that it is that of %s", path, self)
		}
		entries := r.json().Get("entry.#.resource").Array()
		if len(entries) == 0 {
			entries = append(entries, r.json())
		}
		if strings.HasPrefix(path, "/Appointment?") && len(entries) != len(found.json().Get("entry").Array()) {
			t.Errorf("%s: %d entries, without it %d: labels were not seen", path, len(entries), len(found.json().Get("entry").Array()))
		}
		for _, e := range entries {
			if e.Get("resourceType").String() != "Bundle" && len(outside(ds, e)) > 0 {
				t.Errorf("%s: outside the dataset: %v", path, outside(ds, e))
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, q := range queries {
		if strings.Contains(q, "_elements") || strings.Contains(q, "_summary") || strings.Contains(q, "_total") {
			t.Errorf("the EHR was asked %s", q)
		}
	}
	for _, path := range []string{"/Appointment?_summary=count", "/Appointment?_total=accurate", "/Appointment?_total=estimate"} {
		w.refused(w.get(token, path), path, "403 search-hidden")
	}
}

// TestOpenChains has a policy that withholds nobody: a chain may be asked where all that it reads
// on its way leaves, and counts may be told.
func TestOpenChains(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.ReplaceAll(allowAll, `"dataset": "access"`, `"dataset": "open"`),
		"halfdoor/datasets/open/data.yaml": `title: Open
version: 1
resources:
  Patient: {id: token, active: keep}
  Practitioner: {id: token, name.family: keep}
  Slot: {id: token, status: keep, start: keep}
  Appointment: {id: token, status: keep, participant.actor: reference}
`}))
	token := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.rs"}})
	patient := w.get(token, "/Appointment?_count=1").json().Get("entry.0.resource.participant.#.actor.reference").Array()[0].String()
	for _, path := range []string{
		"/Appointment?patient.active=true", "/Appointment?actor:Patient.active=true", "/Patient?_has:Appointment:actor:status=booked", "/Appointment?status:not=booked",
		"/Appointment?patient:Patient._id=" + strings.TrimPrefix(patient, "Patient/"), "/Patient?_has:Appointment:patient:actor=" + patient,
	} {
		r := w.get(token, path)
		if r.status != 200 || !r.json().Get("entry").Exists() {
			t.Errorf("%s: %d %.300s", path, r.status, r.body)
		}
		w.named(r)
	}
	if r := w.get(token, "/Appointment?_summary=count"); r.status != 200 || r.json().Get("total").Int() == 0 || r.json().Get("entry").Exists() {
		t.Errorf("a count: %d %s", r.status, r.body)
	}
	narrow := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Appointment.rs", "system/Patient.r"}})
	app := w.token("demo-app", demo.TokenOptions{Scopes: []string{"patient/*.rs"}, Claims: map[string]any{"patient": w.sandbox.IDs("Patient")[appPatient]}})
	for _, c := range []struct{ token, path, want string }{
		{token, "/Appointment?patient.birthdate=1970-01-01", "403 search-hidden"},                                 // the last step is hidden
		{token, "/Appointment?slot.status=busy", "403 search-hidden"},                                             // the link is
		{token, "/Patient?general-practitioner:Practitioner.family=Open", "403 search-hidden"},                    // the link is
		{token, "/Patient?_has:Encounter:patient:status=finished", "403 search-hidden"},                           // no row
		{token, "/Patient?_has:Appointment:actor:reason-code=1", "403 search-hidden"},                             // hidden
		{token, "/Appointment?patient:identifier=x|y", "403 search-hidden"},                                       // not the reference, but what it says besides
		{token, "/Appointment?_has:Encounter:appointment:_has:Observation:encounter:code=1", "403 search-hidden"}, // no rows
		{narrow, "/Appointment?patient.active=true", "403 search-hidden"},                                         // may read patients, and not search them
		{app, "/Appointment?actor:Practitioner.family=Open", "403 search-hidden"},                                 // held to a patient
		{app, "/Appointment?_summary=count", "403 search-hidden"},
		{app, "/Appointment?_total=accurate", "403 search-hidden"},
	} {
		before := w.ehr.Requests()
		w.refused(w.get(c.token, c.path), c.path, c.want)
		if w.ehr.Requests() != before {
			t.Errorf("%s: the EHR was asked", c.path)
		}
	}
}
