package demo_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestSearchSemantics compares each search with a predicate, written without the
// sandbox's own tables, over every resource of the type.
func TestSearchSemantics(t *testing.T) {
	e := newEHR(60)
	patient := e.IDs("Patient")[2]
	practitioner := e.IDs("Practitioner")[1]
	some := func(path string, f func(gjson.Result) bool) func(gjson.Result) bool {
		return func(doc gjson.Result) bool { return slices.ContainsFunc(doc.Get(path).Array(), f) }
	}
	is := func(want string) func(gjson.Result) bool {
		return func(v gjson.Result) bool { return v.String() == want }
	}
	prefix := func(want string) func(gjson.Result) bool {
		return func(v gjson.Result) bool { return strings.HasPrefix(strings.ToLower(v.Str), want) }
	}
	born := func(f func(string) bool) func(gjson.Result) bool {
		return func(doc gjson.Result) bool { return f(doc.Get("birthDate").Str) }
	}
	for _, tt := range []struct {
		kind, query string
		want        func(gjson.Result) bool
	}{
		{"Patient", "", func(gjson.Result) bool { return true }},
		{"Patient", "_id=" + patient, some("id", is(patient))},
		{"Patient", "_id=nobody", func(gjson.Result) bool { return false }},
		{"Patient", "identifier=https://sandbox.halfdoor.example/mrn|MRN-100037", some("identifier.#.value", is("MRN-100037"))},
		{"Patient", "identifier=MRN-100037,MRN-100074", some("identifier.#.value", func(v gjson.Result) bool { return v.Str == "MRN-100037" || v.Str == "MRN-100074" })},
		{"Patient", "identifier=|MRN-100037", func(gjson.Result) bool { return false }},
		{"Patient", "identifier=http://hl7.org/fhir/sid/us-ssn|", some("identifier.#.system", is("http://hl7.org/fhir/sid/us-ssn"))},
		{"Patient", "identifier=http://hl7.org/fhir/sid/us-ssn|MRN-100037", func(gjson.Result) bool { return false }},
		{"Patient", "family=qui", some("name.#.family", prefix("qui"))},
		{"Patient", "family:exact=Oddwick", some("name.#.family", is("Oddwick"))},
		{"Patient", "family:exact=oddwick", func(gjson.Result) bool { return false }},
		{"Patient", "family:contains=wick", some("name.#.family", func(v gjson.Result) bool { return strings.Contains(strings.ToLower(v.Str), "wick") })},
		{"Patient", "family=angstrup,kroplund", some("name.#.family", func(v gjson.Result) bool { return v.Str == "Ångstrup" || v.Str == "Krøplund" })},
		{"Patient", "given=tam", some("name.#.given|@flatten", prefix("tam"))},
		{"Patient", "name=z", some("name.#.[family,given,text,prefix]|@flatten|@flatten", func(v gjson.Result) bool {
			return slices.ContainsFunc(v.Array(), prefix("z")) || prefix("z")(v)
		})},
		{"Patient", "gender=female", some("gender", is("female"))},
		{"Patient", "gender:not=female", func(d gjson.Result) bool { return d.Get("gender").Str != "female" }},
		{"Patient", "gender:missing=true", func(d gjson.Result) bool { return !d.Get("gender").Exists() }},
		{"Patient", "active=false", func(d gjson.Result) bool { return !d.Get("active").Bool() }},
		{"Patient", "birthdate=ge1990", born(func(s string) bool { return s >= "1990" })},
		{"Patient", "birthdate=gt1990", born(func(s string) bool { return s >= "1991" })},
		{"Patient", "birthdate=lt1990-06", born(func(s string) bool { return s < "1990-06" })},
		{"Patient", "birthdate=le1990-06-15", born(func(s string) bool { return s <= "1990-06-15" })},
		{"Patient", "birthdate=ne1990", born(func(s string) bool { return !strings.HasPrefix(s, "1990") })},
		{"Patient", "birthdate=sa1999&birthdate=eb2010", born(func(s string) bool { return s >= "2000" && s < "2010" })},
		{"Patient", "_lastUpdated=ge2026-05-01", func(d gjson.Result) bool { return d.Get("meta.lastUpdated").Str >= "2026-05-01" }},
		{"Patient", "_lastUpdated=lt2026-05-01T12:00:00Z", func(d gjson.Result) bool { return d.Get("meta.lastUpdated").Str < "2026-05-01T12:00:00" }},
		{"Patient", "_security=R", some("meta.security.#.code", is("R"))},
		{"Patient", "language=es", some("communication.#.language.coding.0.code", is("es"))},
		{"Patient", "phone=nothing", func(gjson.Result) bool { return false }},
		{"Practitioner", "active=true", func(d gjson.Result) bool { return d.Get("active").Bool() }},
		{"PractitionerRole", "practitioner=" + practitioner, some("practitioner.reference", is("Practitioner/"+practitioner))},
		{"Appointment", "patient=" + patient, some("participant.#.actor.reference", is("Patient/"+patient))},
		{"Appointment", "patient=Patient/" + patient, some("participant.#.actor.reference", is("Patient/"+patient))},
		{"Appointment", "patient=" + base + "/Patient/" + patient, some("participant.#.actor.reference", is("Patient/"+patient))},
		{"Appointment", "actor:Practitioner=" + practitioner, some("participant.#.actor.reference", is("Practitioner/"+practitioner))},
		{"Appointment", "patient=Practitioner/" + practitioner, func(gjson.Result) bool { return false }},
		{"Appointment", "practitioner=" + practitioner + "&status=booked,pending", func(d gjson.Result) bool {
			s := d.Get("status").Str
			return (s == "booked" || s == "pending") && strings.Contains(d.Get("participant").Raw, `"Practitioner/`+practitioner+`"`)
		}},
		{"Appointment", "date=ge2026-06-15&date=lt2026-07-01", func(d gjson.Result) bool {
			s := d.Get("start").Str
			return s >= "2026-06-15" && s < "2026-07-01"
		}},
		{"Appointment", "reason-code=cond-047", some("reasonCode.#.coding.0.code", is("cond-047"))},
		{"Schedule", "actor=Practitioner/" + practitioner, some("actor.#.reference", is("Practitioner/"+practitioner))},
		{"Slot", "schedule=9003&status=free", func(d gjson.Result) bool {
			return d.Get("schedule.reference").Str == "Schedule/9003" && d.Get("status").Str == "free"
		}},
		{"Slot", "start=ge2026-06-20", func(d gjson.Result) bool { return d.Get("start").Str >= "2026-06-20" }},
		{"Encounter", "class=http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB", some("class.code", is("AMB"))},
		{"Encounter", "date=ge2026", some("period.start", func(v gjson.Result) bool { return v.Str >= "2026" })},
		{"Coverage", "beneficiary=" + patient, some("beneficiary.reference", is("Patient/"+patient))},
		{"Coverage", "status=cancelled", some("status", is("cancelled"))},
		{"Task", "owner=Organization/12", some("owner.reference", is("Organization/12"))},
		{"Location", "organization=11", some("managingOrganization.reference", is("Organization/11"))},
		{"Observation", "code=http://loinc.org|8867-4&subject=Patient/" + patient, func(d gjson.Result) bool {
			return d.Get("code.coding.0.code").Str == "8867-4" && d.Get("subject.reference").Str == "Patient/"+patient
		}},
		{"Observation", "code=http://example.org|8867-4", func(gjson.Result) bool { return false }},
		{"Observation", "value-string=serrin low", some("valueString", is("serrin low"))},
		{"Observation", `value-string=serrin\, low`, func(gjson.Result) bool { return false }},
	} {
		t.Run(tt.kind+"?"+tt.query, func(t *testing.T) {
			var want []string
			for _, id := range e.IDs(tt.kind) {
				raw, _ := e.Resource(tt.kind, id)
				if tt.want(gjson.ParseBytes(raw)) {
					want = append(want, tt.kind+"/"+id)
				}
			}
			values, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			values.Set("_count", "10000")
			s := search(t, e, tt.kind+"?"+values.Encode())
			if got := s.ids("match"); !slices.Equal(got, want) || *s.Total != len(want) {
				t.Errorf("got %d (total %d), want %d\n%v\n%v", len(got), *s.Total, len(want), got, want)
			}

			// The same by POST.
			r := httptest.NewRequest(http.MethodPost, "/fhir/"+tt.kind+"/_search", strings.NewReader(values.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			var posted searchset
			if err := json.Unmarshal(w.Body.Bytes(), &posted); err != nil || !slices.Equal(posted.ids("match"), want) {
				t.Errorf("POST: %v %v", err, posted.ids("match"))
			}
		})
	}
}

func TestSearchFindsSomething(t *testing.T) {
	e := newEHR(60)
	for _, q := range []string{
		"Patient?family=qui", "Patient?gender=female", "Patient?birthdate=ge1990", "Patient?active=false", "Patient?_security=R", "Patient?gender:missing=true",
		"Practitioner?active=false", "Appointment?status=booked", "Appointment?date=gt2026-06-15", "Appointment?date=lt2026-06-15", "Slot?status=free", "Coverage?status=active",
		"Task?status=requested", "Condition?clinical-status=active", "Appointment?_security=R", "Communication?_security=R",
		"Appointment?patient.family=O", "Appointment?actor:Patient.gender=female", "Patient?_has:Condition:patient:code=cond-047", "Task?patient.general-practitioner.name=Dr",
	} {
		if s := search(t, e, q); *s.Total == 0 {
			t.Errorf("%s finds nothing", q)
		}
	}
	all, some := search(t, e, "Patient?_summary=count"), search(t, e, "Patient?_has:Condition:patient:code=cond-047&_summary=count")
	if len(all.Entry) != 0 || *some.Total >= *all.Total {
		t.Errorf("_has finds %d of %d", *some.Total, *all.Total)
	}
	if s := search(t, e, "Patient?_total=none"); s.Total != nil {
		t.Error("a total although none was asked for")
	}
}

// TestPaging follows next to the end, and previous back, and sees each once.
func TestPaging(t *testing.T) {
	e := newEHR(37)
	for _, start := range []string{"Patient?_count=5", "Patient?_count=1", "Appointment?_count=7&_sort=-date&status=booked", "Patient?_count=37", "Patient?_count=10000", "Patient?family=nobody-at-all"} {
		var all []string
		s := search(t, e, start)
		if s.link("previous") != "" || s.link("first") == "" || s.link("last") == "" {
			t.Errorf("%s: links %v", start, s.Link)
		}
		want := *s.Total
		for pages := 0; ; pages++ {
			if pages > 60 {
				t.Fatalf("%s: no end", start)
			}
			all = append(all, s.ids("match")...)
			next := s.link("next")
			if next == "" {
				break
			}
			if !strings.HasPrefix(next, base+"/") {
				t.Fatalf("next is %q", next)
			}
			s = search(t, e, strings.TrimPrefix(next, base+"/"))
			if s.link("previous") == "" {
				t.Errorf("no way back from %s", next)
			}
		}
		last := all
		if s.link("self") != s.link("last") {
			t.Errorf("%s: ended on %s, last is %s", start, s.link("self"), s.link("last"))
		}
		slices.Sort(last)
		if len(all) != want || len(slices.Compact(last)) != want {
			t.Errorf("%s: saw %d, %d different, of %d", start, len(all), len(slices.Compact(last)), want)
		}
	}
}

func TestSort(t *testing.T) {
	e := newEHR(40)
	for _, tt := range []struct{ query, path string }{
		{"Patient?_sort=family", "resource.name.0.family"},
		{"Patient?_sort=-birthdate", "resource.birthDate"},
		{"Patient?_sort=_lastUpdated", "resource.meta.lastUpdated"},
		{"Appointment?_sort=date", "resource.start"},
	} {
		w := get(t, e, tt.query+"&_count=500")
		var keys []string
		gjson.GetBytes(w.Body.Bytes(), "entry").ForEach(func(_, entry gjson.Result) bool {
			if v := entry.Get(tt.path).Str; v != "" {
				keys = append(keys, strings.ToLower(strings.NewReplacer("Å", "a", "ø", "o", "ñ", "n", "ü", "u").Replace(v)))
			} else if tt.query != "Appointment?_sort=date" {
				t.Errorf("%s: an entry without %s", tt.query, tt.path)
			} else {
				keys = append(keys, "~") // those without come last
			}
			return true
		})
		if strings.Contains(tt.query, "=-") {
			slices.Reverse(keys)
		}
		if len(keys) < 40 || !slices.IsSorted(keys) {
			t.Errorf("%s: %v", tt.query, keys)
		}
	}
}

func TestIncludes(t *testing.T) {
	e := newEHR(20)
	id := e.IDs("Patient")[0]
	kinds := func(s *searchset) map[string]int {
		n := map[string]int{}
		for _, ref := range s.ids("include") {
			kind, _, _ := strings.Cut(ref, "/")
			n[kind]++
		}
		return n
	}
	s := search(t, e, "Appointment?patient="+id+"&_include=Appointment:patient")
	if n := kinds(s); n["Patient"] != 1 || len(n) != 1 || *s.Total != len(s.ids("match")) {
		t.Errorf("_include: %v, total %d", n, *s.Total)
	}
	if n := kinds(search(t, e, "Appointment?patient="+id+"&_include=Appointment:actor")); n["Patient"] != 1 || n["Practitioner"] == 0 || n["Location"] == 0 {
		t.Errorf("_include of all targets: %v", n)
	}
	if n := kinds(search(t, e, "Appointment?patient="+id+"&_include=Appointment:actor:Location&_include:iterate=Location:organization")); n["Organization"] == 0 || n["Patient"] != 0 {
		t.Errorf("_include:iterate: %v", n)
	}
	if n := kinds(search(t, e, "Patient?_id="+id+"&_revinclude=Observation:patient&_revinclude=Condition:subject&_revinclude=Task:*")); n["Observation"] != 3 || n["Condition"] == 0 || n["Task"] != 1 {
		t.Errorf("_revinclude: %v", n)
	}
	if n := kinds(search(t, e, "Encounter?patient="+id+"&_include=Encounter:*")); n["Condition"] == 0 || n["Patient"] != 1 {
		t.Errorf("_include of all: %v", n)
	}
}

func TestCompartment(t *testing.T) {
	e := newEHR(20)
	for _, id := range e.IDs("Patient") {
		for kind, query := range map[string]string{"Appointment": "actor=Patient/", "Observation": "subject=Patient/", "Coverage": "beneficiary="} {
			in, by := search(t, e, "Patient/"+id+"/"+kind), search(t, e, kind+"?"+query+id)
			if !slices.Equal(in.ids("match"), by.ids("match")) || *in.Total == 0 {
				t.Errorf("Patient/%s/%s: %v, by parameter %v", id, kind, in.ids("match"), by.ids("match"))
			}
		}
		all := search(t, e, "Patient/"+id+"/$everything")
		found := all.ids("match")
		for _, kind := range []string{"Observation", "Condition", "MedicationRequest", "Encounter", "Practitioner", "Organization"} {
			if !slices.ContainsFunc(found, func(ref string) bool { return strings.HasPrefix(ref, kind+"/") }) {
				t.Errorf("$everything of %s has no %s", id, kind)
			}
		}
		others := slices.DeleteFunc(slices.Clone(found), func(ref string) bool { return !strings.HasPrefix(ref, "Patient/") || ref == "Patient/"+id })
		if len(others) > 1 { // the one that is linked to it may be there
			t.Errorf("$everything of %s has %v", id, others)
		}
	}
	if w := get(t, e, "Patient/nobody/Appointment"); w.Code != http.StatusNotFound {
		t.Errorf("compartment of nobody: %d", w.Code)
	}
}

func TestMetadata(t *testing.T) {
	w := get(t, newEHR(3), "metadata")
	doc := gjson.ParseBytes(w.Body.Bytes())
	if doc.Get("resourceType").Str != "CapabilityStatement" || doc.Get("fhirVersion").Str != "4.0.1" || doc.Get("implementation.url").Str != base ||
		!doc.Get(`rest.0.resource.#(type=="Appointment").searchParam.#(name=="date")`).Exists() {
		t.Errorf("%s", w.Body)
	}
}

// A large search leaves in pieces: it has no Content-Length and is not held.
func TestLargeSearchStreams(t *testing.T) {
	server := httptest.NewServer(demo.NewEHR(demo.EHROptions{Seed: 1, Patients: 300}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/fhir/Observation?_count=10000&_pretty=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s searchset
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || len(s.Entry) != 900 || resp.ContentLength != -1 {
		t.Errorf("%v, %d entries, content length %d", err, len(s.Entry), resp.ContentLength)
	}
}
