package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// asking is the Bundle that asks for these, each "METHOD url".
func asking(kind string, calls ...string) string {
	type request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	}
	type entry struct {
		Request request `json:"request"`
	}
	b := struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Entry        []entry `json:"entry"`
	}{ResourceType: "Bundle", Type: kind}
	for _, c := range calls {
		method, url, _ := strings.Cut(c, " ")
		b.Entry = append(b.Entry, entry{request{method, url}})
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // strings
	}
	return string(text)
}

// bundle posts a Bundle to the gateway's base.
func (w *world) bundle(token, body string, headers ...string) reply {
	w.t.Helper()
	return w.send(http.MethodPost, token, "", strings.NewReader(body), append([]string{"Content-Type", "application/fhir+json"}, headers...)...)
}

// batch asks for these in one batch, and sees that each has its answer.
func (w *world) batch(token string, calls ...string) (reply, []gjson.Result) {
	w.t.Helper()
	r := w.bundle(token, asking("batch", calls...))
	entries := r.json().Get("entry").Array()
	if r.status != 200 || r.err != nil || !gjson.ValidBytes(r.body) || r.json().Get("resourceType").String() != "Bundle" ||
		r.json().Get("type").String() != "batch-response" || len(entries) != len(calls) {
		w.t.Fatalf("%d, %d entries for %d, %v: %.2000s", r.status, len(entries), len(calls), r.err, r.body)
	}
	return r, entries
}

// ends says how an entry was answered: its status, and the code of a refusal.
func ends(e gjson.Result) string {
	return strings.TrimSpace(e.Get("response.status").String()[:3] + " " + e.Get("response.outcome.issue.0.details.coding.0.code").String())
}

// TestBatch asks in one batch for what may be seen, what may not, and what is not there: each
// entry is answered as the call alone would be, to the byte, and recorded like it.
func TestBatch(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	found := w.get(token, "/Appointment?_count=2").json()
	id := found.Get("entry.0.resource.id").String()
	patient := found.Get(`entry.0.resource.participant.#.actor.reference|@flatten|#(%"Patient/*")`).String()
	other := w.get(w.token("demo-billing", demo.TokenOptions{}), "/Location?_count=1").json().Get("entry.0.resource.id").String()
	calls := []string{
		"GET Appointment/" + id,
		"GET Appointment?_count=2&status=booked",
		"GET Coverage",
		"GET Appointment/" + w.sandbox.IDs("Appointment")[3],
		"GET Appointment/no-such-id",
		"GET Location/" + other,
		"GET Appointment?patient=" + patient,
		"GET Appointment?_sort=patient",
		"HEAD Appointment/" + id,
		"HEAD Appointment/no-such-id",
		"GET Appointment/" + id + "/_history/1",
		"GET Nonsense/1",
		"GET Patient?shoesize=44",
		"DELETE Appointment/" + id,
	}
	for name, speak := range protocols {
		speak(w)
		r, entries := w.batch(token, calls...)
		recs := w.records(r.header.Get("X-Request-Id"))
		if len(recs) != len(calls)+1 {
			t.Fatalf("%s: %d records of %d entries", name, len(recs), len(calls))
		}
		for i, e := range entries {
			method, url, _ := strings.Cut(calls[i], " ")
			alone := w.do(method, token, "/"+url, "X-Correlation-Id", r.header.Get("X-Correlation-Id"), "X-Request-Id", fmt.Sprintf("%s-%d", name[5:], i))
			if got, want := e.Get("response.status").String(), fmt.Sprintf("%d %s", alone.status, http.StatusText(alone.status)); got != want {
				t.Errorf("%s: %s: status %q, alone %q", name, calls[i], got, want)
			}
			body := e.Get("resource").Raw
			if alone.status >= 400 {
				body = e.Get("response.outcome").Raw
			}
			if body != withoutPage(string(alone.body)) && withoutPage(body) != withoutPage(string(alone.body)) {
				t.Errorf("%s: %s:\n%s\nalone\n%s", name, calls[i], body, alone.body)
			}
			if got, want := e.Get("response.etag").String(), alone.header.Get("ETag"); got != want {
				t.Errorf("%s: %s: etag %q, alone %q", name, calls[i], got, want)
			}
			rec, single := recs[i], w.records(alone.header.Get("X-Correlation-Id"))
			recordedAlike(t, calls[i], rec, single[len(single)-1])
			if want := r.header.Get("X-Request-Id") + "#" + strconv.Itoa(i+1); rec.RequestID != want {
				t.Errorf("%s: %s: the record's request id is %q, want %q", name, calls[i], rec.RequestID, want)
			}
		}
		if ends(entries[3]) != "404 not-found" || entries[3].Get("response").Raw != entries[4].Get("response").Raw || entries[4].Get("response").Raw != entries[5].Get("response").Raw {
			t.Errorf("a raw id, a missing resource and another client's token are told apart:\n%s\n%s\n%s", entries[3].Raw, entries[4].Raw, entries[5].Raw)
		}
		whole := recs[len(recs)-1]
		if whole.Kind != accesslog.KindAccess || whole.Status != 200 || whole.Request.Interaction != "batch" || whole.RequestID != r.header.Get("X-Request-Id") ||
			len(whole.Subjects) != 0 || whole.Totals != nil || whole.Request.Entries != len(calls) {
			t.Errorf("%s: the batch's own record: %+v", name, whole)
		}
	}
	w.verify()
}

// withoutPage leaves the sealed links out: each is sealed anew.
func withoutPage(body string) string {
	for {
		from := strings.Index(body, "_page=")
		if from < 0 {
			return body
		}
		to := from + strings.IndexByte(body[from:], '"')
		body = body[:from] + body[to:]
	}
}

// recordedAlike compares the record of an entry with that of the call alone.
func recordedAlike(t *testing.T, name string, entry, alone *accesslog.Record) {
	t.Helper()
	a, b := *entry, *alone
	for _, r := range []*accesslog.Record{&a, &b} {
		r.RequestID, r.Trace, r.Sequence, r.Previous = "", "", 0, ""
		r.Time, r.Clock = time.Time{}, ""
	}
	if a.Request.Among == 0 || b.Request.Among != 0 {
		t.Errorf("%s: the record says that it is one of %d, alone one of %d", name, a.Request.Among, b.Request.Among)
	}
	a.Request.Among = 0
	if b.Ticket.ID == "" { // refused before the ticket was looked at, which of an entry is known
		b.Ticket, b.Purpose = a.Ticket, a.Purpose
	}
	one, err := json.Marshal(a)
	check(t, err)
	two, err := json.Marshal(b)
	check(t, err)
	if string(one) != string(two) {
		t.Errorf("%s: the record says\n%s\nalone\n%s", name, one, two)
	}
}

// TestBatchURLs puts into entries what is no relative address of FHIR's: each is refused in its
// place, and the EHR is asked for nothing.
func TestBatchURLs(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-access", demo.TokenOptions{})
	id := w.get(token, "/Location?_count=1").json().Get("entry.0.resource.id").String()
	raw := w.sandbox.IDs("Location")[0]
	before := w.ehr.Requests()
	calls := []string{
		"GET " + w.ehrURL + "/Location/" + raw,
		"GET " + w.fhir + "/Location/" + id,
		"GET https://elsewhere.example/Location/" + id,
		"GET //elsewhere.example/Location/" + id,
		"GET /Location/" + id,
		"GET ../fhir/Location/" + id,
		"GET Location/../Location/" + id,
		"GET Location/%2e%2e/Location/" + id,
		"GET Location%2F" + id,
		"GET Location//" + id,
		"GET Location/" + id + "/",
		"GET Location/" + id + "#fragment",
		"GET Location\\" + id,
		"GET %4Cocation/%252e",
		"GET Location/" + id + "?x=/metadata",
		"GET ",
		"GET metadata",
		"GET .well-known/smart-configuration",
		"POST ",
		"POST /",
		"BREW Location/" + id,
		"get Location/" + id,
		"GET Location/" + id + "/$everything",
		"GET $export",
		"POST $graphql",
	}
	_, entries := w.batch(token, calls...)
	for i, e := range entries {
		if status := e.Get("response.status").Int(); e.Get("resource").Exists() || ends(e) < "400" || ends(e) >= "500" {
			t.Errorf("%s: %d %s", calls[i], status, e.Raw)
		}
	}
	if after := w.ehr.Requests(); after != before {
		t.Errorf("the EHR was asked %d times", after-before)
	}
}

// TestBatchOfTwoClients gives one client's tokens to another: in a batch they open no more than
// in a call.
func TestBatchOfTwoClients(t *testing.T) {
	w := newWorld(t)
	one, two := w.token("demo-scheduling", demo.TokenOptions{}), w.token("demo-billing", demo.TokenOptions{})
	id := w.get(one, "/Encounter?_count=1").json().Get("entry.0.resource.id").String()
	calls := []string{"GET Encounter/" + id, "GET Encounter?_id=" + id, "GET Encounter/no-such-id", "GET Encounter?_id=no-such-id"}
	_, own := w.batch(one, calls...)
	_, other := w.batch(two, calls...)
	if ends(own[0]) != "200" || len(own[1].Get("resource.entry").Array()) != 1 {
		t.Fatalf("its own: %s %s", own[0].Raw, own[1].Raw)
	}
	if ends(other[0]) != "404 not-found" || other[0].Get("response").Raw != other[2].Get("response").Raw {
		t.Errorf("another's: %s, a missing one: %s", other[0].Raw, other[2].Raw)
	}
	if other[1].Get("resource.entry").Exists() || ends(other[1]) != ends(other[3]) {
		t.Errorf("another's searched: %s, a missing one: %s", other[1].Raw, other[3].Raw)
	}
}

// TestBatchHeldToAPatient asks for another patient's data, beside one's own.
func TestBatchHeldToAPatient(t *testing.T) {
	w := newWorld(t)
	app := w.token("demo-app", demo.TokenOptions{})
	own := w.get(app, "/Patient").json().Get("entry.0.resource.id").String()
	wide := w.token("demo-app", demo.TokenOptions{Scopes: []string{"user/Appointment.rs"}})
	var mine, foreign string
	for _, e := range w.get(wide, "/Appointment?_count=1000").json().Get("entry").Array() {
		if id := e.Get("resource.id").String(); strings.Contains(e.Raw, "Patient/"+own) {
			mine = id
		} else {
			foreign = id
		}
	}
	r, entries := w.batch(app, "GET Appointment/"+foreign, "GET Appointment/"+mine, "GET Appointment/no-such-id", "GET Appointment", "GET Patient/"+w.sandbox.IDs("Patient")[1])
	for i, want := range []string{"404 not-found", "200", "404 not-found", "200", "404 not-found"} {
		if ends(entries[i]) != want {
			t.Errorf("entry %d: %s", i+1, entries[i].Raw)
		}
	}
	if entries[0].Get("response").Raw != entries[2].Get("response").Raw {
		t.Error("a foreign resource and a missing one are told apart")
	}
	if len(entries[3].Get("resource.entry").Array()) == 0 {
		t.Error("no appointments of one's own")
	}
	for _, e := range entries[3].Get("resource.entry").Array() {
		if !strings.Contains(e.Raw, "Patient/"+own) {
			t.Errorf("a foreign appointment: %s", e.Raw)
		}
	}
	recs := w.records(r.header.Get("X-Request-Id"))
	if len(recs) != 6 || recs[0].Kind != accesslog.KindRefusal || len(recs[0].Subjects) != 0 || recs[1].Kind != accesslog.KindAccess || len(recs[1].Subjects) == 0 {
		t.Errorf("records: %+v", recs)
	}
}

// TestBatchPages turns a page of a search that was an entry, by the link and in another batch.
func TestBatchPages(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	_, first := w.batch(token, "GET Appointment?_count=3&status=booked")
	next := first[0].Get(`resource.link.#(relation=="next").url`).String()
	if !strings.HasPrefix(next, w.fhir+"/Appointment?_page=") {
		t.Fatalf("next is %q", next)
	}
	alone := w.get(token, next)
	_, second := w.batch(token, "GET "+strings.TrimPrefix(next, w.fhir+"/"), "GET Encounter?"+next[strings.Index(next, "_page="):], "GET Appointment?_page=forged")
	if got := second[0].Get("resource").Raw; alone.status != 200 || withoutPage(got) != withoutPage(string(alone.body)) {
		t.Errorf("the second page: %d\n%.300s\nalone\n%.300s", alone.status, got, alone.body)
	}
	for _, e := range second[1:] {
		if ends(e) != "400 page-invalid" {
			t.Errorf("another's link: %s", e.Raw)
		}
	}
}

// TestBatchRefusedWhole sends what is no batch: it is refused before an entry is looked at, and
// recorded once.
func TestBatchRefusedWhole(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "limits: {batch_entries: 3, request_bytes: 4KiB}\n" }))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	one := `{"request":{"method":"GET","url":"Location?_count=1"}}`
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    string
	}{
		"too many entries":   {asking("batch", "GET Location", "GET Location", "GET Location", "GET Location"), nil, "413 body-too-large"},
		"too long":           {asking("batch", "GET Location?name="+strings.Repeat("x", 5000)), nil, "413 body-too-large"},
		"no body":            {"", nil, "400 malformed-body"},
		"no JSON":            {`{"resourceType":"Bundle"`, nil, "400 malformed-body"},
		"a member twice":     {`{"resourceType":"Bundle","type":"batch","entry":[` + one + `],"entry":[]}`, nil, "400 malformed-body"},
		"no type":            {`{"resourceType":"Bundle","entry":[` + one + `]}`, nil, "400 malformed-body"},
		"a searchset":        {`{"resourceType":"Bundle","type":"searchset","entry":[` + one + `]}`, nil, "400 malformed-body"},
		"another resource":   {`{"resourceType":"Patient"}`, nil, "400 malformed-body"},
		"XML":                {asking("batch", "GET Location"), []string{"Content-Type", "application/fhir+xml"}, "415 media-type"},
		"an Idempotency-Key": {asking("batch", "GET Location"), []string{"Idempotency-Key", "k1"}, "400 not-supported"},
		"a method override":  {asking("batch", "GET Location"), []string{"X-HTTP-Method-Override", "GET"}, "400 malformed-request"},
	} {
		headers := c.headers
		if len(headers) == 0 || headers[0] != "Content-Type" {
			headers = append(headers, "Content-Type", "application/fhir+json")
		}
		before := w.ehr.Requests()
		r := w.send(http.MethodPost, token, "", strings.NewReader(c.body), headers...)
		if got := fmt.Sprint(r.status, " ", r.code()); got != c.want {
			t.Errorf("%s: %s %s", name, got, r.body)
			continue
		}
		if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != r.status || rec.Code != r.code() || w.ehr.Requests() != before {
			t.Errorf("%s: record %+v", name, rec)
		}
	}
	r := w.bundle(token, `{"resourceType":"Bundle","type":"batch"}`)
	if r.status != 200 || string(r.body) != `{"resourceType":"Bundle","type":"batch-response"}` {
		t.Errorf("a batch of nothing: %d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Kind != accesslog.KindAccess || rec.Request.Interaction != "batch" || rec.Status != 200 {
		t.Errorf("record of nothing: %+v", rec)
	}
	if r := w.bundle("", asking("batch", "GET Location")); r.status != 401 || r.code() != "token-missing" {
		t.Errorf("without a token: %d %s", r.status, r.body)
	}
}
