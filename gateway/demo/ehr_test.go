package demo_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

const base = "http://ehr.test/fhir"

func newEHR(patients int) *demo.EHR {
	return demo.NewEHR(demo.EHROptions{Seed: 7, Patients: patients, BaseURL: base})
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, demo.BasePath+"/"+path, nil))
	if !json.Valid(w.Body.Bytes()) {
		t.Fatalf("%s: not JSON: %s", path, w.Body)
	}
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/fhir+json") {
		t.Fatalf("%s: content type %q", path, got)
	}
	return w
}

type searchset struct {
	ResourceType string
	Type         string
	Total        *int
	Link         []struct{ Relation, URL string }
	Entry        []struct {
		FullURL  string `json:"fullUrl"`
		Search   struct{ Mode string }
		Resource struct{ ResourceType, ID string }
	}
}

func (s *searchset) link(relation string) string {
	for _, l := range s.Link {
		if l.Relation == relation {
			return l.URL
		}
	}
	return ""
}

func (s *searchset) ids(mode string) []string {
	var ids []string
	for _, e := range s.Entry {
		if e.Search.Mode == mode {
			ids = append(ids, e.Resource.ResourceType+"/"+e.Resource.ID)
		}
	}
	return ids
}

func search(t *testing.T, h http.Handler, path string) *searchset {
	t.Helper()
	w := get(t, h, path)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	s := &searchset{}
	if err := json.Unmarshal(w.Body.Bytes(), s); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return s
}

func TestSameSeedSameBytes(t *testing.T) {
	a, b, more := newEHR(20), newEHR(20), newEHR(30)
	other := demo.NewEHR(demo.EHROptions{Seed: 8, Patients: 20, BaseURL: base})
	differ := 0
	for _, kind := range a.Types() {
		if !slices.Equal(a.IDs(kind), b.IDs(kind)) {
			t.Fatalf("%s: ids differ", kind)
		}
		for _, id := range a.IDs(kind) {
			first, _ := a.Resource(kind, id)
			second, _ := b.Resource(kind, id)
			if string(first) != string(second) {
				t.Fatalf("%s/%s differs:\n%s\n%s", kind, id, first, second)
			}
			if third, ok := more.Resource(kind, id); !ok || string(first) != string(third) {
				t.Fatalf("%s/%s changes with the number of patients:\n%s\n%s", kind, id, first, third)
			}
			if fourth, _ := other.Resource(kind, id); string(first) != string(fourth) {
				differ++
			}
		}
	}
	if differ == 0 {
		t.Error("another seed gives the same data")
	}
	first, second := get(t, a, "Appointment?_sort=date&_count=50").Body, get(t, b, "Appointment?_sort=date&_count=50").Body
	if first.String() != second.String() {
		t.Error("the same search of the same seed differs")
	}
}

// resources walks everything that a sandbox holds.
func resources(t *testing.T, e *demo.EHR, f func(kind, id string, doc map[string]any, raw string)) {
	for _, kind := range e.Types() {
		for _, id := range e.IDs(kind) {
			raw, ok := e.Resource(kind, id)
			var doc map[string]any
			if err := json.Unmarshal(raw, &doc); !ok || err != nil {
				t.Fatalf("%s/%s: %v", kind, id, err)
			}
			f(kind, id, doc, string(raw))
		}
	}
}

func TestResources(t *testing.T) {
	e := newEHR(60)
	var restricted, contained, primitive, longest, clinical int
	shapes := map[string]bool{}
	resources(t, e, func(kind, id string, doc map[string]any, raw string) {
		if doc["resourceType"] != kind || doc["id"] != id {
			t.Errorf("%s/%s says %v/%v", kind, id, doc["resourceType"], doc["id"])
		}
		meta := doc["meta"].(map[string]any)
		if meta["versionId"] == "" || meta["lastUpdated"] == "" {
			t.Errorf("%s/%s: meta %v", kind, id, meta)
		}
		if len(id) > 64 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("%s/%s: no FHIR id", kind, id)
		}
		if strings.Contains(raw, "{{") || strings.Contains(raw, "\uFFFD") || strings.Contains(raw, `""`) {
			t.Errorf("%s/%s: placeholder, broken text or empty value: %s", kind, id, raw)
		}
		if meta["security"] != nil {
			restricted++
		}
		if doc["contained"] != nil {
			contained++
		}
		if doc["_birthDate"] != nil {
			primitive++
		}
		longest = max(longest, len(id))
		if kind == "Patient" {
			switch {
			case len(id) == 36:
				shapes["uuid"] = true
			case strings.Trim(id, "0123456789") == "":
				shapes["decimal"] = true
			case len(id) >= 50:
				shapes["long"] = true
			default:
				shapes["generic"] = true
			}
		}
		for _, word := range demo.ClinicalWords() {
			if strings.Contains(strings.ToLower(raw), word) {
				clinical++
				break
			}
		}
		if (kind == "Patient" || kind == "Practitioner" || kind == "Organization") && slices.ContainsFunc(demo.ClinicalWords(), func(w string) bool { return strings.Contains(strings.ToLower(raw), w) }) {
			t.Errorf("%s/%s has a clinical word", kind, id)
		}
	})
	if restricted == 0 || contained == 0 || primitive == 0 || longest != 64 || clinical == 0 || len(shapes) != 4 {
		t.Errorf("restricted %d, contained %d, primitive extensions %d, longest id %d, clinical %d, shapes %v", restricted, contained, primitive, longest, clinical, shapes)
	}
	for _, kind := range strings.Fields("Patient Practitioner PractitionerRole Organization Location Schedule Slot Appointment Encounter Coverage Task Communication ServiceRequest Observation Condition MedicationRequest AllergyIntolerance") {
		if len(e.IDs(kind)) == 0 {
			t.Errorf("no %s", kind)
		}
	}
}

// Every reference must lead to something.
func TestReferencesResolve(t *testing.T) {
	e := newEHR(40)
	var walk func(where string, v any)
	walk = func(where string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if s, ok := v["reference"].(string); ok && !strings.HasPrefix(s, "#") {
				s, _, _ = strings.Cut(strings.TrimPrefix(s, base+"/"), "/_history/")
				kind, id, _ := strings.Cut(s, "/")
				if _, ok := e.Resource(kind, id); !ok {
					t.Errorf("%s refers to %s, which is not there", where, s)
				}
			}
			for _, x := range v {
				walk(where, x)
			}
		case []any:
			for _, x := range v {
				walk(where, x)
			}
		}
	}
	resources(t, e, func(kind, id string, doc map[string]any, _ string) { walk(kind+"/"+id, doc) })
}

func TestRead(t *testing.T) {
	e := newEHR(10)
	id := e.IDs("Patient")[1] // two versions
	w := get(t, e, "Patient/"+id)
	want, _ := e.Resource("Patient", id)
	if w.Code != 200 || w.Body.String() != string(want) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w.Header().Get("ETag") != `W/"2"` || w.Header().Get("Last-Modified") == "" || w.Header().Get("Content-Location") != base+"/Patient/"+id+"/_history/2" {
		t.Errorf("headers %v", w.Header())
	}
	older := get(t, e, "Patient/"+id+"/_history/1")
	if older.Code != 200 || older.Header().Get("ETag") != `W/"1"` || !strings.Contains(older.Body.String(), `"versionId":"1"`) {
		t.Errorf("vread: %d %v %s", older.Code, older.Header(), older.Body)
	}
	if pretty := get(t, e, "Patient/"+id+"?_pretty=true").Body.String(); !strings.Contains(pretty, "\n  \"id\": ") {
		t.Errorf("pretty: %s", pretty)
	}
	var history searchset
	if err := json.Unmarshal(get(t, e, "Patient/"+id+"/_history").Body.Bytes(), &history); err != nil || history.Type != "history" || len(history.Entry) != 2 {
		t.Errorf("history: %+v %v", history, err)
	}
	r := httptest.NewRequest(http.MethodGet, "/fhir/Patient/"+id, nil)
	r.Header.Set("If-None-Match", `W/"2"`)
	rec := httptest.NewRecorder()
	if e.ServeHTTP(rec, r); rec.Code != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", rec.Code)
	}
}

func TestRefusals(t *testing.T) {
	e := newEHR(10)
	id := e.IDs("Patient")[0]
	for _, tt := range []struct {
		name, method, path, accept string
		want                       int
		says                       string
	}{
		{name: "missing", path: "Patient/nobody", want: 404, says: "nearest in index"},
		{name: "deleted", path: "Patient/" + e.Deleted("Patient")[0], want: 410, says: "deleted on"},
		{name: "missing version", path: "Patient/" + id + "/_history/9", want: 404, says: "versions"},
		{name: "unknown type", path: "Spaceship/1", want: 404},
		{name: "unknown parameter", path: "Patient?shoe-size=42", want: 400},
		{name: "unknown modifier", path: "Patient?family:above=x", want: 400},
		{name: "bad date", path: "Patient?birthdate=yesterday", want: 400},
		{name: "bad prefix", path: "Patient?birthdate=zz2001", want: 400},
		{name: "empty value", path: "Patient?family=", want: 400},
		{name: "bad count", path: "Patient?_count=-1", want: 400},
		{name: "bad sort", path: "Patient?_sort=shoe-size", want: 400},
		{name: "bad include", path: "Appointment?_include=Appointment:status", want: 400},
		{name: "bad chain", path: "Appointment?status.family=x", want: 400},
		{name: "bad _has", path: "Patient?_has:Task:status", want: 400},
		{name: "a parameter on read", path: "Patient/" + id + "?_elements=name", want: 400},
		{name: "xml by header", path: "Patient/" + id, accept: "application/fhir+xml", want: 406},
		{name: "xml by parameter", path: "Patient/" + id + "?_format=xml", want: 406},
		{name: "patch", method: "PATCH", path: "Patient/" + id, want: 405},
		{name: "conditional delete", method: "DELETE", path: "Patient", want: 405},
		{name: "other interaction", path: "Practitioner/prac-0100/$everything", want: 404},
		{name: "compartment without type", path: "Patient/" + id + "/Slot", want: 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequest(method, "/fhir/"+tt.path, nil)
			if tt.accept != "" {
				r.Header.Set("Accept", tt.accept)
			}
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != tt.want || !strings.Contains(w.Body.String(), `"OperationOutcome"`) || !strings.Contains(w.Body.String(), tt.says) || !json.Valid(w.Body.Bytes()) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

// Without a base URL of its own, the EHR names itself as it was asked.
func TestBaseFollowsHost(t *testing.T) {
	server := httptest.NewServer(demo.NewEHR(demo.EHROptions{Patients: 3}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/fhir/Patient?_count=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `"fullUrl":"`+server.URL+`/fhir/Patient/`) {
		t.Errorf("%v %s", err, body)
	}
}
