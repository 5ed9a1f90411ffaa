package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// deafTo is an EHR that leaves a parameter of a search aside.
func deafTo(next *demo.EHR, parameter string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		q.Del(parameter)
		r.URL.RawQuery = q.Encode()
		next.ServeHTTP(w, r)
	})
}

// ofStatus are the EHR's ids of appointments in a state, and of those in another, that no label withholds.
func ofStatus(s *demo.EHR, status string) (in, out []string) {
	for _, id := range s.IDs("Appointment") {
		body, _ := s.Resource("Appointment", id)
		switch {
		case gjson.GetBytes(body, "meta.security").Exists():
		case gjson.GetBytes(body, "status").String() == status:
			in = append(in, id)
		default:
			out = append(out, id)
		}
	}
	return in, out
}

// partly is a desk's token whose scopes are these and what a desk's are for everything else.
func (w *world) partly(scopes ...string) string {
	return w.token("demo-scheduling", demo.TokenOptions{Scopes: append([]string{"system/Patient.rs", "system/Practitioner.rs"}, scopes...)})
}

// TestGranularReads reads by scopes for a part of a type: what is in another part cannot be told from what does not exist, in
// a read, a version, a history and as an entry of a batch or transaction.
func TestGranularReads(t *testing.T) {
	w := newWorld(t)
	in, out := ofStatus(w.sandbox, "booked")
	if len(in) == 0 || len(out) == 0 {
		t.Fatal("the sandbox has one kind of appointment")
	}
	booked, other, nobody := w.sealed("Appointment", in[0]), w.sealed("Appointment", out[0]), w.sealed("Appointment", "no-such-one")
	token := w.partly("system/Appointment.rs?status=booked")
	for _, below := range []string{"", "/_history", "/_history/1"} {
		if r := w.get(token, "/Appointment/"+booked+below); r.status != 200 {
			t.Errorf("covered%s: %d %s", below, r.status, r.body)
		}
		same := []string{"X-Correlation-Id", "same", "X-Request-Id"}
		missing := w.get(token, "/Appointment/"+nobody+below, append(same, "missing"+below)...)
		withheld := w.get(token, "/Appointment/"+other+below, append(same, "withheld"+below)...)
		if withheld.status != 404 || withheld.code() != "not-found" || string(withheld.body) != string(missing.body) {
			t.Errorf("withheld%s: %d %s, missing: %s", below, withheld.status, withheld.body, missing.body)
		}
		if rec := w.record(withheld); rec.Kind != accesslog.KindRefusal || rec.Code != "not-found" || len(rec.Subjects)+len(rec.Patients) != 0 {
			t.Errorf("withheld%s: record %+v", below, rec)
		}
		if r := w.get(w.partly("system/Appointment.rs"), "/Appointment/"+other+below); r.status != 200 {
			t.Errorf("by the whole scope%s: %d %s", below, r.status, r.body)
		}
	}
	_, entries := w.batch(token, "GET Appointment/"+booked, "GET Appointment/"+other, "GET Appointment?_count=3")
	for i, want := range []string{"200", "404", "200"} {
		if got := entries[i].Get("response.status").String(); !strings.HasPrefix(got, want) {
			t.Errorf("entry %d of a batch: %s", i, entries[i].Raw)
		}
	}
	if r := w.transact(token, []step{{method: "GET", url: "Appointment/" + booked}}); r.status != 200 || r.json().Get("entry.0.resource.status").String() != "booked" {
		t.Errorf("transaction: %d %s", r.status, r.body)
	}
	if r := w.transact(token, []step{{method: "GET", url: "Appointment/" + other}}); r.status != 404 || r.code() != "not-found" || w.records(r.header.Get("X-Request-Id"))[0].Code != "not-found" {
		t.Errorf("transaction: %d %s", r.status, r.body)
	}
	// In a transaction, the answer to a search is the EHR's to the whole.
	r := w.transact(w.partly("system/Appointment.rs?status=booked", "system/Appointment.rs?patient=Patient/none"), []step{{method: "GET", url: "Appointment?_count=60"}})
	found := r.json().Get("entry.0.resource.entry.#.resource.status").Array()
	for _, status := range found {
		if status.String() != "booked" {
			t.Errorf("a transaction's search found one that is %s", status)
		}
	}
	if r.status != 200 || len(found) == 0 {
		t.Errorf("a transaction's search: %d %.300s", r.status, r.body)
	}
}

// TestGranularSearches searches by such scopes, at EHRs that do as they are asked and at one that does not: what is in
// another part of the type does not come, and neither counts, links nor pages tell of it.
func TestGranularSearches(t *testing.T) {
	for name, deaf := range map[string]bool{"an EHR that narrows": false, "one that does not": true} {
		t.Run(name, func(t *testing.T) {
			sandbox := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40})
			var ehr http.Handler = sandbox
			if deaf {
				ehr = deafTo(sandbox, "status")
			}
			w := newWorld(t, withEHR(ehr))
			sandbox.SetBaseURL(w.ehrURL)
			in, out := ofStatus(sandbox, "booked")
			body, _ := sandbox.Resource("Appointment", out[0])
			var patient string
			for _, ref := range gjson.GetBytes(body, "participant.#.actor.reference").Array() {
				if strings.HasPrefix(ref.String(), "Patient/") {
					patient = ref.String()
				}
			}
			of := 0
			for _, id := range out {
				one, _ := sandbox.Resource("Appointment", id)
				if strings.Contains(string(one), `"`+patient+`"`) {
					of++
				}
			}
			for _, c := range []struct {
				name   string
				scopes []string
				want   int
			}{
				{"one scope", []string{"system/Appointment.rs?status=booked"}, len(in)},
				{"two of one parameter", []string{"system/Appointment.rs?status=booked", "system/Appointment.s?status=nonsense"}, len(in)},
				{"two of two parameters", []string{"system/Appointment.rs?status=booked", "system/Appointment.s?patient=" + url.QueryEscape(patient)}, len(in) + of},
				{"beside one that cannot be checked", []string{"system/Appointment.rs?status=booked", "system/Appointment.s?date=ge1900"}, len(in)},
			} {
				token, found, withheld := w.partly(c.scopes...), 0, 0
				for path := "/Appointment?_count=9"; path != ""; {
					r := w.get(token, path)
					if r.status != 200 || r.json().Get("total").Exists() || r.json().Get(`link.#(relation=="last")`).Exists() {
						t.Fatalf("%s: %d %.300s", c.name, r.status, r.body)
					}
					for _, e := range r.json().Get("entry").Array() {
						found++
						refs := e.Get("resource.participant.#.actor.reference").String()
						if e.Get("resource.status").String() != "booked" && !(len(c.scopes) > 1 && strings.Contains(refs, w.sealed("Patient", strings.TrimPrefix(patient, "Patient/")))) {
							t.Errorf("%s: %s", c.name, e.Raw)
						}
					}
					withheld += w.record(r).Totals.Dropped["scope"]["Appointment"]
					path = strings.TrimPrefix(r.json().Get(`link.#(relation=="next").url`).String(), w.fhir)
				}
				if asked := !deaf && c.name != "two of two parameters"; found != c.want || asked == (withheld > 0) {
					t.Errorf("%s: %d found, want %d; %d withheld", c.name, found, c.want, withheld)
				}
			}
			token := w.partly("system/Appointment.rs?status=booked")
			for path, want := range map[string]string{
				"/Appointment?_summary=count":                     "403 search-hidden",
				"/Appointment?_total=accurate":                    "403 search-hidden",
				"/Patient?_revinclude=Appointment:patient":        "403 search-hidden", // a further type's scope has to be for all of it
				"/Patient?_has:Appointment:patient:status=booked": "403 search-hidden",
				"/Appointment?patient:Patient.active=true":        "403 search-hidden",
				"/Appointment?_include=Appointment:slot":          "403 search-hidden",
				"/?_type=Appointment,Patient":                     "403 scope-granular",
				"/Appointment/_history":                           "403 scope-granular",
			} {
				w.refused(w.get(token, path), path, want)
			}
			if r := w.get(token, "/Appointment?_include=Appointment:patient&_count=5"); r.status != 200 || !strings.Contains(string(r.body), `"resourceType":"Patient"`) {
				t.Errorf("an include of another type: %d %.300s", r.status, r.body)
			}
		})
	}
}

// TestGranularPages turns every page of searches of which most is withheld: each page is full but the last, which has one at least and
// none behind it, in the order of the EHR, whatever is withheld between them.
func TestGranularPages(t *testing.T) {
	sandbox := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40})
	w := newWorld(t, withEHR(deafTo(sandbox, "status")))
	sandbox.SetBaseURL(w.ehrURL)
	in, _ := ofStatus(sandbox, "booked")
	token := w.partly("system/Appointment.rs?status=booked", "system/Appointment.rs?patient=Patient/none")
	var want []string
	for path := "/Appointment?_sort=date&_count=200"; path != ""; {
		r := w.get(w.partly("system/Appointment.rs"), path)
		for _, e := range r.json().Get("entry").Array() {
			if e.Get("resource.status").String() == "booked" {
				want = append(want, e.Get("resource.id").String())
			}
		}
		path = strings.TrimPrefix(r.json().Get(`link.#(relation=="next").url`).String(), w.fhir)
	}
	if len(want) != len(in) || len(want) < 20 {
		t.Fatalf("%d are booked, of %d", len(want), len(in))
	}
	for _, size := range []int{1, 2, 7, len(want) - 1, len(want), len(want) + 1} {
		var found []string
		for path := fmt.Sprintf("/Appointment?_sort=date&_include=Appointment:patient&_count=%d", size); path != ""; {
			r := w.get(token, path)
			var here []string
			for _, e := range r.json().Get("entry").Array() {
				if e.Get("search.mode").String() != "include" {
					here = append(here, e.Get("resource.id").String())
				}
			}
			next := r.json().Get(`link.#(relation=="next").url`).String()
			found = append(found, here...)
			if relations := fmt.Sprint(texts(r.json().Get("link.#.relation"))); r.status != 200 || (relations == "[self next]") != (next != "") || r.json().Get("total").Exists() ||
				len(here) != size && next != "" || len(here) == 0 || (len(found) < len(want)) != (next != "") {
				t.Fatalf("by %d, after %d: %d, %d entries, %s", size, len(found), r.status, len(here), relations)
			}
			path = strings.TrimPrefix(next, w.fhir)
		}
		if !slices.Equal(found, want) {
			t.Errorf("by %d: %q, want %q", size, found, want)
		}
	}
	if r := w.get(token, "/Appointment?_count=0"); r.status != 200 || r.json().Get("entry").Exists() || r.json().Get(`link.#(relation=="next")`).Exists() {
		t.Errorf("none: %d %s", r.status, r.body)
	}
	if r := w.get(w.partly("system/Appointment.rs?status=nonsense"), "/Appointment?_count=1"); r.status != 200 || r.json().Get("entry").Exists() || r.json().Get(`link.#(relation=="next")`).Exists() {
		t.Errorf("nothing that is covered: %d %s", r.status, r.body)
	}
}

// TestGranularIncludes includes by such scopes, where the EHR brings what is referred to by all that it found: what only a withheld one
// refers to does not leave, and a next page has what its own refer to.
func TestGranularIncludes(t *testing.T) {
	sandbox := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40})
	w := newWorld(t, withEHR(deafTo(sandbox, "status")))
	sandbox.SetBaseURL(w.ehrURL)
	token, withheld := w.partly("system/Appointment.rs?status=booked", "system/Appointment.rs?patient=Patient/none"), 0
	for path := "/Appointment?_include=Appointment:patient&_count=7"; path != ""; {
		r := w.get(token, path)
		named, came := map[string]bool{}, 0
		for _, ref := range r.json().Get("entry.#.resource.participant.#.actor.reference|@flatten").Array() {
			named[ref.String()] = true
		}
		for _, e := range r.json().Get(`entry.#(resource.resourceType=="Patient")#.resource.id`).Array() {
			if came++; !named["Patient/"+e.String()] {
				t.Errorf("a patient of none that was found: %s", e)
			}
		}
		if r.status != 200 || came == 0 {
			t.Fatalf("%d: %d patients", r.status, came)
		}
		withheld += w.record(r).Totals.Dropped["scope"]["Appointment"]
		path = strings.TrimPrefix(r.json().Get(`link.#(relation=="next").url`).String(), w.fhir)
	}
	if withheld == 0 {
		t.Error("nothing was withheld")
	}
}

// TestGranularRefused has scopes for a part of a type that cannot be held: each call is refused with the code that says so.
func TestGranularRefused(t *testing.T) {
	w, spy, _ := newWriting(t)
	id, tag, _ := w.booked(w.partly("system/Appointment.rs"))
	body := string(w.get(w.partly("system/Appointment.rs"), "/Appointment/"+id).body)
	for name, c := range map[string]struct {
		scope, method string
	}{
		"a date, read":            {"system/Appointment.rs?date=ge2020", "GET"},
		"a modifier":              {"system/Appointment.r?date=ge2020 system/Appointment.r?_lastUpdated=ge2020", "GET"},
		"the write":               {"system/Appointment.rs system/Appointment.u?status=booked", "PUT"},
		"what is read of a write": {"system/Appointment.u system/Appointment.rs?status=booked", "PUT"},
	} {
		r := w.put(c.method, w.partly(strings.Fields(c.scope)...), "/Appointment/"+id, map[string]string{"PUT": body}[c.method], "If-Match", tag)
		if c.method == "GET" {
			r = w.get(w.partly(strings.Fields(c.scope)...), "/Appointment/"+id)
		}
		w.refused(r, name, "403 scope-granular")
	}
	if spy.asked() != 0 {
		t.Error("the EHR was asked to write")
	}
}

// TestGranularNonsense has an EHR that answers such a search with something else: it is refused, and not taken for nothing found.
func TestGranularNonsense(t *testing.T) {
	var says atomic.Pointer[string]
	w := newWorld(t, withEHR(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "application/fhir+json")
		_, _ = out.Write([]byte(*says.Load()))
	})))
	token := w.partly("system/Appointment.rs?status=booked")
	const booked = `{"resource":{"resourceType":"Appointment","id":"1","status":"booked"}}`
	for _, c := range []struct{ name, body, want string }{
		{"an outcome", `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}`, "502 ehr-invalid"},
		{"a history", `{"resourceType":"Bundle","type":"history","entry":[` + booked + `]}`, "502 ehr-invalid"},
		{"entries twice", `{"resourceType":"Bundle","type":"searchset","entry":[` + booked + `],"entry":[]}`, "502 ehr-invalid"},
		{"no type", `{"resourceType":"Bundle","entry":[` + booked + `]}`, "502 ehr-invalid"},
		{"a resource twice", `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Appointment","id":"1","status":"fulfilled","status":"booked"}}]}`, "502 ehr-invalid"},
		{"an array", `[` + booked + `]`, "502 ehr-invalid"},
		{"half", `{"resourceType":"Bundle","type":"searchset","entry":[` + booked, "502 ehr-invalid"},
		{"more than can be compared", `{"resourceType":"Bundle","type":"searchset","entry":[` + booked + `],"x":"` + strings.Repeat("x", 4<<20) + `"}`, "502 ehr-too-large"},
	} {
		says.Store(&c.body)
		w.refused(w.get(token, "/Appointment"), c.name, c.want)
	}
	good := `{"resourceType":"Bundle","type":"searchset","entry":[` + booked + `]}`
	says.Store(&good)
	if r := w.get(token, "/Appointment"); r.status != 200 || r.json().Get("entry.#").Int() != 1 {
		t.Errorf("one: %d %s", r.status, r.body)
	}
}
