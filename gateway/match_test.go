package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// post sends a body below the gateway's FHIR base.
func (w *world) post(token, path, body string) reply {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, w.fhir+path, strings.NewReader(body))
	check(w.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/fhir+json")
	resp, err := w.client.Do(req)
	check(w.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: answer, err: err}
}

// matching is the input of a $match.
func matching(patient string, more ...string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient",` + patient + `}}` + strings.Join(append([]string{""}, more...), ",") + `]}`
}

// eavesdropper keeps what the EHR was asked last.
type eavesdropper struct {
	http.Handler
	last atomic.Pointer[string]
}

func (e *eavesdropper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a broken one is the EHR's to find
	asked := r.Method + " " + r.URL.Path + " " + string(body)
	e.last.Store(&asked)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	e.Handler.ServeHTTP(w, r)
}

// TestMatch finds a caller by what they say of themselves.
func TestMatch(t *testing.T) {
	sandbox := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40})
	ear := &eavesdropper{Handler: sandbox}
	w := newWorld(t, withEHR(ear))
	sandbox.SetBaseURL(w.ehrURL)
	id := sandbox.IDs("Patient")[3]
	body, _ := sandbox.Resource("Patient", id)
	family, born := gjson.GetBytes(body, "name.0.family").String(), gjson.GetBytes(body, "birthDate").String()
	number := gjson.GetBytes(body, "identifier.0")
	who := fmt.Sprintf(`"name":[{"use":"official","family":%q}],"birthDate":%q`, family, born)

	for _, desk := range []string{"demo-access", "demo-scheduling"} {
		token := w.token(desk, demo.TokenOptions{})
		for name, patient := range map[string]string{
			"name and birth date": who,
			"number":              fmt.Sprintf(`"identifier":[{"system":%q,"value":%q}]`, number.Get("system").String(), number.Get("value").String()),
		} {
			r := w.post(token, "/Patient/$match", matching(patient, `{"name":"onlyCertainMatches","valueBoolean":true}`))
			entries := r.json().Get("entry").Array()
			if r.status != 200 || r.json().Get("type").String() != "searchset" || len(entries) != 1 {
				t.Fatalf("%s by %s: %d %s", desk, name, r.status, r.body)
			}
			search, found := entries[0].Get("search"), entries[0].Get("resource")
			if search.Get("score").Float() != 1 || search.Get("extension.0.valueCode").String() != "certain" || search.Get("mode").String() != "match" {
				t.Errorf("%s by %s: search %s", desk, name, search)
			}
			if found.Get("telecom").Exists() || found.Get("birthDate").String() == born || found.Get("id").String() == id {
				t.Errorf("%s by %s: not filtered: %s", desk, name, found)
			}
			if read := w.get(token, "/Patient/"+found.Get("id").String()); read.status != 200 {
				t.Errorf("%s by %s: the token found does not read: %d", desk, name, read.status)
			}
			if r.json().Get("link").Exists() {
				t.Errorf("links %s", r.json().Get("link"))
			}
			rec := w.record(r)
			if rec.Kind != accesslog.KindAccess || rec.Request.Interaction != "operation" || rec.Request.Operation != "match" || len(rec.Patients) != 1 || len(rec.Request.Parameters) == 0 {
				t.Errorf("record %+v", rec)
			}
			for _, p := range rec.Request.Parameters {
				if slices.Contains(p.Values, family) || slices.Contains(p.Values, born) || len(p.Values) != 1 {
					t.Errorf("recorded %+v", p)
				}
			}
		}
	}
	asked := *ear.last.Load()
	// What the EHR is asked last is the read.
	if !strings.HasPrefix(asked, "GET ") {
		t.Errorf("asked %s", asked)
	}
	w.post(w.token("demo-access", demo.TokenOptions{}), "/Patient/$match", matching(who, `{"name":"count","valueInteger":2}`))
	want := fmt.Sprintf(`POST /fhir/Patient/$match {"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","name":[{"family":%q}],"birthDate":%q}},{"name":"count","valueInteger":53}]}`, family, born)
	if asked := *ear.last.Load(); asked != want {
		t.Errorf("asked\n%s, want\n%s", asked, want)
	}
}

// TestMatchRefused asks by what may not be asked about, and for what is not offered.
func TestMatchRefused(t *testing.T) {
	w := newWorld(t)
	scheduling := w.token("demo-scheduling", demo.TokenOptions{})
	for _, c := range []struct {
		name, token, path, body string
		status                  int
		code                    string
	}{
		{"half of a combination", scheduling, "/Patient/$match", matching(`"birthDate":"1970-01-01"`), 403, "search-hidden"},
		{"part of a date", scheduling, "/Patient/$match", matching(`"name":[{"family":"Oddwick"}],"birthDate":"1970-01"`), 403, "search-hidden"},
		{"two first names", scheduling, "/Patient/$match", matching(`"name":[{"family":"Oddwick","given":["A","B"]}],"birthDate":"1970-01-01"`), 403, "search-hidden"},
		{"a range", scheduling, "/Patient/$match", matching(`"name":[{"family":"Oddwick"}],"birthDate":"ge1970-01-01"`), 403, "search-hidden"},
		{"a combination and what is hidden beside it", scheduling, "/Patient/$match", matching(`"name":[{"family":"Oddwick"}],"birthDate":"1970-01-01","gender":"female"`), 403, "search-hidden"},
		{"a hidden telephone number", scheduling, "/Patient/$match", matching(`"telecom":[{"system":"phone","value":"+1"}]`), 403, "search-hidden"},
		{"two names", scheduling, "/Patient/$match", matching(`"name":[{"family":"A"},{"family":"B"}],"birthDate":"1970-01-01"`), 400, "match-fact"},
		{"an extension", scheduling, "/Patient/$match", matching(`"extension":[{"url":"x","valueString":"y"}],"birthDate":"1970-01-01"`), 400, "match-fact"},
		{"a sibling", scheduling, "/Patient/$match", matching(`"_birthDate":{"id":"x"},"birthDate":"1970-01-01"`), 400, "match-fact"},
		{"an id", scheduling, "/Patient/$match", matching(`"id":"x","birthDate":"1970-01-01"`), 400, "match-fact"},
		{"an identifier's assigner", scheduling, "/Patient/$match", matching(`"identifier":[{"value":"1","assigner":{"reference":"Organization/1"}}]`), 400, "match-fact"},
		{"an invented element", scheduling, "/Patient/$match", matching(`"shoe size <44>":"44"`), 400, "match-fact"},
		{"nothing", scheduling, "/Patient/$match", matching(`"name":[]`), 400, "match-fact"},
		{"a number as a text", scheduling, "/Patient/$match", matching(`"birthDate":1970`), 400, "match-fact"},
		{"a desk that may not", w.token("demo-billing", demo.TokenOptions{}), "/Patient/$match", matching(`"identifier":[{"value":"1"}]`), 403, "policy-interaction"},
		{"without the scope to search", w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Patient.r"}}), "/Patient/$match", matching(`"identifier":[{"value":"1"}]`), 403, "scope"},
		{"of another type", scheduling, "/Practitioner/$match", matching(`"identifier":[{"value":"1"}]`), 403, "not-supported"},
		{"of one patient", scheduling, "/Patient/1/$match", matching(`"identifier":[{"value":"1"}]`), 403, "not-supported"},
		{"everything", scheduling, "/Patient/1/$everything", `{"resourceType":"Parameters"}`, 403, "not-supported"},
		{"invented", scheduling, "/$drop-tables", `{"resourceType":"Parameters"}`, 403, "not-supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.ehr.Requests()
			r := w.post(c.token, c.path, c.body)
			if r.status != c.status || r.code() != c.code {
				t.Fatalf("%d %s, want %d %s: %s", r.status, r.code(), c.status, c.code, r.body)
			}
			if w.ehr.Requests() != before {
				t.Error("the EHR was asked")
			}
			if strings.Contains(string(r.body), "<44>") {
				t.Errorf("the client's own words are told back: %s", r.body)
			}
			if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != c.code || rec.Request.Interaction != "operation" {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// TestMatchMany has more match than may be shown, and an EHR that cannot match.
func TestMatchMany(t *testing.T) {
	many := func(n int) http.Handler {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf(`{"resource":{"resourceType":"Patient","id":"p%d"},"search":{"score":0.9}}`, i)
		}
		return says(`{"resourceType":"Bundle","type":"searchset","total":9,"entry":[` + strings.Join(entries, ",") + `]}`)
	}
	in := matching(`"identifier":[{"value":"1"}]`)
	for _, c := range []struct {
		name   string
		ehr    http.Handler
		in     string
		status int
		code   string
	}{
		{"as many as may be", many(5), in, 200, ""},
		{"one more", many(6), in, 422, "too-many-candidates"},
		{"more than the client's count", many(3), matching(`"identifier":[{"value":"1"}]`, `{"name":"count","valueInteger":2}`), 422, "too-many-candidates"},
		{"an EHR without it", http.NotFoundHandler(), in, 403, "not-supported"},
	} {
		w := newWorld(t, withEHR(c.ehr))
		r := w.post(w.token("demo-scheduling", demo.TokenOptions{}), "/Patient/$match", c.in)
		if r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
		if c.status != 200 {
			if rec := w.record(r); rec.Code != c.code || len(rec.Patients) != 0 {
				t.Errorf("%s: record %+v", c.name, rec)
			}
		}
	}
}
