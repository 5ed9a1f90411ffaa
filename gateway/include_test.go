package gateway_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// broughtBy are the types of an answer's entries, by their modes.
func broughtBy(r reply, mode string) []string {
	var kinds []string
	for _, e := range r.json().Get("entry").Array() {
		if kind := e.Get("resource.resourceType").String(); e.Get("search.mode").String() == mode && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// TestIncludes asks for more with a search: what comes is held to the dataset and the scopes of
// its own type, and the records name it.
func TestIncludes(t *testing.T) {
	w := newWorld(t)
	ds := dataset(t, "scheduling")
	raw := rawIDs(w.sandbox)
	patient := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Patient?"+identifier(w.sandbox, 3)).json().Get("entry.0.resource.id").String()
	for _, c := range []struct {
		path   string
		scopes string // besides those for Appointment and Patient
		brings []string
	}{
		{"/Appointment?_count=20&_include=Appointment:actor", "system/*.rs", []string{"Location", "Patient", "Practitioner"}},
		{"/Appointment?_count=20&_include=Appointment:actor:Location", "system/*.rs", []string{"Location"}},
		{"/Appointment?_count=20&_include=Appointment:actor", "system/Location.rs", []string{"Location", "Patient"}},
		{"/Appointment?_count=20&_include=Appointment:actor", "system/Location.r", []string{"Location", "Patient"}},
		{"/Appointment?_count=20&_include=Appointment:actor", "system/Location.s", []string{"Patient"}},
		{"/Appointment?_count=20&_include=Appointment:actor", "system/Location.rs?status=active", []string{"Patient"}},
		{"/Appointment?_count=50&_include=Appointment:slot&_include:iterate=Slot:schedule&_include:iterate=Schedule:actor:Practitioner", "system/*.rs", []string{"Practitioner", "Schedule", "Slot"}},
		{"/Appointment?_count=50&_include:iterate=Schedule:actor:Practitioner&_include:iterate=Slot:schedule&_include=Appointment:slot", "system/*.rs", []string{"Practitioner", "Schedule", "Slot"}},
		{"/Patient?_id=" + patient + "&_revinclude=Appointment:actor", "", []string{"Appointment"}},
		{"/Patient?_id=" + patient + "&_revinclude=Appointment:patient&_include:iterate=Appointment:location", "system/Location.rs", []string{"Appointment", "Location"}},
		{"/Patient?_id=" + patient + "&_revinclude=Encounter:subject", "system/Encounter.rs", []string{"Encounter"}},
	} {
		t.Run(c.path+" "+c.scopes, func(t *testing.T) {
			scopes := append([]string{"system/Appointment.rs", "system/Patient.rs"}, strings.Fields(c.scopes)...)
			r := w.get(w.token("demo-scheduling", demo.TokenOptions{Scopes: scopes}), c.path)
			if got := broughtBy(r, "include"); r.status != 200 || !slices.Equal(got, c.brings) {
				t.Fatalf("%d, includes %v, want %v: %.300s", r.status, got, c.brings, r.body)
			}
			for _, id := range raw {
				if strings.Contains(string(r.body), id) {
					t.Errorf("the EHR's id %s left", id)
				}
			}
			for _, e := range r.json().Get("entry").Array() {
				if bad := outside(ds, e.Get("resource")); len(bad) > 0 {
					t.Errorf("outside the dataset: %v", bad)
				}
			}
			w.named(r)
			var recorded []string
			for _, p := range w.records(r.header.Get("X-Request-Id"))[0].Request.Parameters {
				recorded = append(recorded, p.Name)
			}
			for asked := range strings.SplitSeq(c.path[strings.Index(c.path, "?")+1:], "&") {
				if strings.Contains(asked, "include") && !slices.Contains(recorded, asked) {
					t.Errorf("the record does not name %s: %v", asked, recorded)
				}
			}
		})
	}
}

// TestIncludesOfPages turns the page of a search that includes: the next one does as well, and no
// longer once the scope for what is included is gone.
func TestIncludesOfPages(t *testing.T) {
	w := newWorld(t)
	next := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Appointment?_count=5&_include=Appointment:actor:Practitioner").json().Get(`link.#(relation=="next").url`).String()
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), next)
	if got := broughtBy(r, "include"); r.status != 200 || !slices.Equal(got, []string{"Practitioner"}) {
		t.Errorf("%d %v: %.300s", r.status, got, r.body)
	}
	w.named(r)
	narrow := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/Appointment.rs"}})
	w.refused(w.get(narrow, next), "without the scope", "403 search-hidden")
}

// TestIncludesRefused asks to include by what is hidden, or what nobody may see.
func TestIncludesRefused(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{
		"/Appointment?_include=Appointment:supporting-info":                                "403 search-hidden", // hidden
		"/Appointment?_include=Appointment:reason-reference":                               "403 search-hidden",
		"/Appointment?_include=*":                                                          "403 search-hidden", // some are hidden
		"/Appointment?_include=Appointment:*":                                              "403 search-hidden",
		"/Appointment?_include=Appointment:actor:Device":                                   "403 search-hidden", // no row
		"/Appointment?_include=Appointment:slot&_include:iterate=Slot:*:HealthcareService": "403 search-hidden",
		"/Appointment?_include:iterate=Slot:schedule":                                      "403 search-hidden", // from what does not come
		"/Appointment?_include:iterate=Device:patient":                                     "403 search-hidden",
		"/Patient?_id=x&_include=Patient:general-practitioner":                             "403 search-hidden",
		"/Patient?_id=x&_revinclude=Observation:subject":                                   "403 search-hidden",
		"/Patient?_id=x&_revinclude=Provenance:target":                                     "403 search-hidden",
		"/Patient?_id=x&_revinclude=Task:*":                                                "403 search-hidden",
		"/Task?_include=Task:part-of":                                                      "403 search-hidden",
		"/Encounter?_include=Encounter:part-of":                                            "403 search-hidden",
		"/Patient?_id=x&_revinclude=Appointment:":                                          "400 malformed-parameter",
		"/Patient?_id=x&_include:recurse=Patient:link":                                     "400 not-supported",
		"/Appointment?_include=Appointment:actor&_summary=count":                           "400 malformed-parameter",
	} {
		before := w.ehr.Requests()
		r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), path)
		w.refused(r, path, want)
		if w.ehr.Requests() != before {
			t.Errorf("%s: the EHR was asked", path)
		}
	}
	// Nothing that is included may leave: neither scope covers it.
	narrow := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/Appointment.rs"}})
	w.refused(w.get(narrow, "/Appointment?_include=Appointment:actor"), "no scope", "403 search-hidden")
}

// refused checks a refusal and its record.
func (w *world) refused(r reply, what, want string) {
	w.t.Helper()
	if got := fmt.Sprint(r.status, " ", r.code()); got != want {
		w.t.Errorf("%s: %s, want %s: %.300s", what, got, want, r.body)
		return
	}
	if rec := w.record(r); rec.Status != r.status || rec.Code != r.code() || len(rec.Subjects)+len(rec.Patients) != 0 {
		w.t.Errorf("%s: record %+v", what, rec)
	}
}

// searchset is a Bundle of resources; those of the types named first are what was searched for.
func searchset(resources ...string) string {
	return `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":` + strings.Join(resources, `},{"resource":`) + `}]}`
}

// restricted is the label that the default policy denies.
const restricted = `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}`

// TestIncludeLeaks has an EHR that includes what only a withheld resource leads to: that would
// tell of it.
func TestIncludeLeaks(t *testing.T) {
	const (
		open    = `{"resourceType":"Appointment","id":"a1","status":"booked","participant":[{"actor":{"reference":"Practitioner/open"}}]}`
		closed  = `{"resourceType":"Appointment","id":"a2","status":"booked",` + restricted + `,"participant":[{"actor":{"reference":"Practitioner/closed"}},{"actor":{"reference":"Patient/p9"}}]}`
		hidden  = `{"resourceType":"Appointment","id":"a3","status":"booked","supportingInformation":[{"reference":"Practitioner/hidden"}]}`
		doctor  = `{"resourceType":"Practitioner","id":"open","active":true,"name":[{"family":"Open"}]}`
		psych   = `{"resourceType":"Practitioner","id":"closed","active":true,"name":[{"family":"Closed"}]}`
		unnamed = `{"resourceType":"Practitioner","id":"hidden","active":true,"name":[{"family":"Hidden"}]}`
		patient = `{"resourceType":"Patient","id":"p1","active":true}`
		visit   = `{"resourceType":"Encounter","id":"e1","status":"finished",` + restricted + `,"subject":{"reference":"Patient/p1"},"location":[{"location":{"reference":"Location/closed"}}]}`
		ward    = `{"resourceType":"Location","id":"closed","name":"Closed"}`
	)
	for _, c := range []struct {
		name, path, body string
		want             []string // types that leave
		strays           int
	}{
		{"withheld by a label", "/Appointment?_include=Appointment:actor", searchset(closed, psych), nil, 1},
		{"withheld beside one that is not", "/Appointment?_include=Appointment:actor", searchset(open, closed, doctor, psych), []string{"Appointment", "Practitioner"}, 1},
		{"by a hidden element", "/Appointment?_include=Appointment:actor", searchset(hidden, unnamed), []string{"Appointment"}, 1},
		{"by a withheld step", "/Patient?_id=TOKEN&_revinclude=Encounter:subject&_include:iterate=Encounter:location", searchset(patient, visit, ward), []string{"Patient"}, 1},
	} {
		w := newWorld(t, withEHR(says(c.body)))
		token := w.token("demo-scheduling", demo.TokenOptions{Claims: map[string]any{"patient": "p1"}})
		r := w.get(token, strings.Replace(c.path, "TOKEN", "p1", 1))
		var got []string
		for _, e := range r.json().Get("entry").Array() {
			got = append(got, e.Get("resource.resourceType").String())
		}
		if r.status != 200 || !slices.Equal(got, c.want) || strings.Contains(string(r.body), "Closed") || strings.Contains(string(r.body), "Hidden") {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
		strays := 0
		for _, n := range w.record(r).Totals.Dropped["stray"] {
			strays += n
		}
		if strays != c.strays {
			t.Errorf("%s: totals %+v", c.name, w.record(r).Totals)
		}
	}
}

// TestIncludeHeld has an app that was launched for a patient: what is included is of that patient.
func TestIncludeHeld(t *testing.T) {
	w := newWorld(t)
	app := w.token("demo-app", demo.TokenOptions{Claims: map[string]any{"patient": w.sandbox.IDs("Patient")[appPatient]}})
	r := w.get(app, "/Appointment?_count=100&_include=Appointment:patient")
	patients := r.json().Get(`entry.#(resource.resourceType=="Patient")#.resource.id`).Array()
	if own := w.get(app, "/Patient").json().Get("entry.0.resource.id").String(); r.status != 200 || len(patients) != 1 || patients[0].String() != own {
		t.Errorf("%d, patients %v", r.status, patients)
	}
}

// TestPolicyOfIncludes has policies that refuse what an include brings, give it another dataset, or
// deny a label of it: each type is decided by itself.
func TestPolicyOfIncludes(t *testing.T) {
	const header = "package halfdoor\n\n# METADATA\n# entrypoint: true\n"
	const allow = `decision := {"allow": true, "dataset": "scheduling", "reason": {"code": "test-allowed", "text": "The test allows it."}`
	const refuse = ` else := {"allow": false, "reason": {"code": "test-refused", "text": "The test refuses it."}}` + "\n"
	path := "/Appointment?_count=50&_include=Appointment:actor"
	for name, c := range map[string]struct {
		rule   string
		brings []string
	}{
		"all":             {allow + "}\n", []string{"Location", "Patient", "Practitioner"}},
		"refused":         {allow + `} if input.request.type != "Practitioner"` + refuse, []string{"Location", "Patient"}},
		"not read":        {allow + `} if input.request.interaction != "read"` + refuse, nil},
		"another dataset": {strings.Replace(allow, `"scheduling"`, `{"Practitioner": "access"}[input.request.type]`, 1) + "} if input.request.type == \"Practitioner\"\nelse := " + allow[len("decision := "):] + "}\n", []string{"Location", "Patient"}},
		"another patient": {allow + `, "patient": "p1"} if input.request.type == "Practitioner"` + "\nelse := " + allow[len("decision := "):] + "}\n", []string{"Location", "Patient"}},
		"label":           {allow + `, "deny_labels": data.halfdoor.deny_labels} if input.request.type == "Practitioner"` + "\nelse := " + allow[len("decision := "):] + "}\n", []string{"Location", "Patient", "Practitioner"}},
		"includes named":  {allow + `} if {count(input.request.includes) == 0}` + refuse, nil},
	} {
		w := newWorld(t, withConfig(func(y string) string { return labelPages(y) + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{"halfdoor/decision.rego": header + c.rule}))
		r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), path)
		if c.brings == nil {
			code := "403 search-hidden"
			if name == "includes named" {
				code = "403 test-refused"
			}
			w.refused(r, name, code)
			continue
		}
		if got := broughtBy(r, "include"); r.status != 200 || !slices.Equal(got, c.brings) {
			t.Errorf("%s: %d %v, want %v: %.300s", name, r.status, got, c.brings, r.body)
		}
		records := w.records(r.header.Get("X-Request-Id"))
		if labelled := records[len(records)-1].Totals.Dropped["label"]; (len(labelled) > 0) != (name == "label") {
			t.Errorf("%s: dropped by label: %v", name, labelled)
		}
	}
}

// TestPostSearch searches by POST: it is the same search, with the same answer, and a record.
func TestPostSearch(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	form := func(query, body string, headers ...string) reply {
		return w.send("POST", token, "/Appointment/_search"+query, strings.NewReader(body), append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	want := w.get(token, "/Appointment?status=booked&_count=3&_include=Appointment:slot")
	for name, r := range map[string]reply{
		"form":           form("", "status=booked&_count=3&_include=Appointment%3Aslot"),
		"query and form": form("?status=booked", "_count=3&_include=Appointment:slot"),
		"query alone":    form("?status=booked&_count=3&_include=Appointment:slot", ""),
		"both the same":  form("?_count=3&status=booked", "_count=3&_include=Appointment:slot"),
	} {
		if r.status != 200 || r.json().Get("entry").Raw != want.json().Get("entry").Raw {
			t.Errorf("%s: %d %.300s", name, r.status, r.body)
		}
		if rec := w.record(r); rec.Request.Method != "POST" || rec.Request.Interaction != "search-type" || len(rec.Request.Parameters) != 3 {
			t.Errorf("%s: record %+v", name, rec.Request)
		}
	}
	next := form("", "status=booked&_count=3").json().Get(`link.#(relation=="next").url`).String()
	if r := w.get(token, next); r.status != 200 || len(r.json().Get("entry").Array()) == 0 {
		t.Errorf("the next page: %d %.300s", r.status, r.body)
	}
	for name, c := range map[string]struct {
		r    reply
		want string
	}{
		"disagree":           {form("?_count=3", "_count=4"), "400 malformed-parameter"},
		"disagree on order":  {form("?_sort=date", "_sort=-date"), "400 malformed-parameter"},
		"hidden in the body": {form("?status=booked", "reason-code=1"), "403 search-hidden"},
		"JSON":               {w.send("POST", token, "/Appointment/_search", strings.NewReader(`{"status":"booked"}`), "Content-Type", "application/fhir+json"), "415 media-type"},
		"no content type":    {w.send("POST", token, "/Appointment/_search", strings.NewReader(`status=booked`)), "415 media-type"},
		"in Latin-1":         {w.send("POST", token, "/Appointment/_search", strings.NewReader(`status=booked`), "Content-Type", "application/x-www-form-urlencoded; charset=iso-8859-1"), "415 media-type"},
		"PUT":                {w.send("PUT", token, "/Appointment/_search", strings.NewReader(`status=booked`), "Content-Type", "application/x-www-form-urlencoded"), "405 method-not-allowed"},
		"overridden":         {form("", "status=booked", "X-HTTP-Method-Override", "GET"), "400 malformed-request"},
	} {
		w.refused(c.r, name, c.want)
	}
}

// TestChains asks about a resource by another one that it refers to.
func TestChains(t *testing.T) {
	w := newWorld(t)
	number := url.QueryEscape(gjson.GetBytes(first(w.sandbox, "Patient", 3), "identifier.0.value").String())
	born := gjson.GetBytes(first(w.sandbox, "Patient", 3), "birthDate").String()
	token := w.token("demo-scheduling", demo.TokenOptions{})
	// The default policy withholds what has a label, so a chain could tell of that.
	for _, path := range []string{
		"/Appointment?patient.birthdate=" + born, "/Appointment?actor:Patient.identifier=" + number, "/Appointment?patient.active=true",
		"/Appointment?patient.general-practitioner:Practitioner.name=x", "/Slot?schedule.actor:Practitioner.family=x", "/Patient?_has:Appointment:actor:status=booked",
		"/Patient?_has:Observation:patient:code=1234-5", "/Patient?_has:Appointment:actor:_has:Encounter:appointment:status=finished",
	} {
		before := w.ehr.Requests()
		w.refused(w.get(token, path), path, "403 search-hidden")
		if w.ehr.Requests() != before {
			t.Errorf("%s: the EHR was asked", path)
		}
	}
}

// first is a resource of the sandbox by its place.
func first(e *demo.EHR, kind string, i int) []byte {
	body, _ := e.Resource(kind, e.IDs(kind)[i])
	return body
}

// TestNamedChain has a dataset that names a chain: it confirms, and does not find out.
func TestNamedChain(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.ReplaceAll(allowAll, `"dataset": "access"`, `"dataset": "chains", "deny_labels": data.halfdoor.deny_labels`),
		"halfdoor/datasets/chains/data.yaml": `title: Chains
version: 1
resources:
  Patient: {id: token, active: keep}
  Appointment: {id: token, status: keep, participant.actor: reference}
search: {Appointment: ["actor:Patient.identifier", "patient:Patient.family+patient:Patient.birthdate"]}
`}))
	token := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.rs"}})
	patient := first(w.sandbox, "Patient", 3)
	number := gjson.GetBytes(patient, "identifier.0")
	family, born := gjson.GetBytes(patient, "name.0.family").String(), gjson.GetBytes(patient, "birthDate").String()
	identified := url.QueryEscape(number.Get("system").String() + "|" + number.Get("value").String())
	for _, path := range []string{
		"/Appointment?_count=100&actor:Patient.identifier=" + identified,
		"/Appointment?_count=100&patient.family=" + url.QueryEscape(family) + "&patient.birthdate=" + born,
	} {
		r := w.get(token, path)
		if n := len(r.json().Get("entry").Array()); r.status != 200 || n == 0 {
			t.Errorf("%s: %d, %d entries: %.300s", path, r.status, n, r.body)
		}
		if rec := w.record(r); !strings.Contains(rec.Request.Parameters[1].Name, ":Patient.") {
			t.Errorf("%s: record %+v", path, rec.Request)
		}
	}
	if r := w.get(token, "/Appointment?patient.family="+url.QueryEscape(family[:2])+"&patient.birthdate="+born); r.status != 200 || r.json().Get("entry").Exists() {
		t.Errorf("half a name: %d %.300s", r.status, r.body)
	}
	for _, path := range []string{
		"/Appointment?patient.birthdate=" + born, "/Appointment?patient.family=" + family, "/Appointment?patient.family=x&patient.birthdate=ge1970",
		"/Appointment?actor:Patient.identifier=" + identified + ",x", "/Appointment?actor:Patient.identifier:missing=true",
		"/Appointment?actor:Patient.identifier=x&actor:Patient.identifier=y", "/Appointment?patient.identifier=" + identified,
	} {
		w.refused(w.get(token, path), path, "403 search-hidden")
	}
	// The floor is code: without a scope for patients, they are not searched by way of appointments either.
	narrow := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Appointment.rs"}})
	w.refused(w.get(narrow, "/Appointment?actor:Patient.identifier="+identified), "no scope", "403 search-hidden")
}
