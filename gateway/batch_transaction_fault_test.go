package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// moves is a transaction that makes a reminder and moves an appointment.
func moves(id, tag, patient string) []step {
	return []step{
		{method: "POST", url: "Communication", body: reminder(patient, "")},
		{method: "GET", url: "Location?_count=1"},
		{method: "PATCH", url: "Appointment/" + id, match: tag, body: `[{"op":"replace","path":"/status","value":"arrived"}]`},
	}
}

// TestTransactionIsAtomic has the appointment change between the gateway's merge and the EHR's turn: the EHR
// carries out nothing, and every entry's record says so.
func TestTransactionIsAtomic(t *testing.T) {
	w, ehr, token := newWriting(t)
	id, tag, patient := w.booked(token)
	real, _ := w.real("Appointment", id)
	had := len(w.sandbox.IDs("Communication"))
	ehr.first(func(http.ResponseWriter, *http.Request) bool {
		body, _ := w.sandbox.Resource("Appointment", real)
		other, err := sjson.SetBytes(body, "comment", "moved by somebody else")
		check(t, err)
		req := httptest.NewRequest(http.MethodPut, demo.BasePath+"/Appointment/"+real, strings.NewReader(string(other)))
		req.Header.Set("Content-Type", "application/fhir+json")
		done := httptest.NewRecorder()
		w.sandbox.ServeHTTP(done, req)
		if done.Code != 200 {
			t.Errorf("the other change: %d %s", done.Code, done.Body)
		}
		return false
	})
	r := w.transact(token, moves(id, tag, patient))
	if r.status != 412 || r.code() != "version-conflict" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	_, after := w.real("Appointment", id)
	if len(w.sandbox.IDs("Communication")) != had || gjson.GetBytes(after, "status").String() != "booked" {
		t.Errorf("part of it was carried out: %s", after)
	}
	if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 intent 0, 3 intent 0, 1 refusal 412 version-conflict, 2 refusal 412 version-conflict, 3 refusal 412 version-conflict, refusal 412 version-conflict" {
		t.Errorf("records: %s", got)
	}
}

// TestTransactionFails has the EHR fail when it is asked: what is not known to have failed is not called so, and
// nothing is sent twice.
func TestTransactionFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"dies":           {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "502 write-unknown"},
		"error":          {func(rw http.ResponseWriter) { rw.WriteHeader(500) }, "502 write-unknown"},
		"refuses":        {func(rw http.ResponseWriter) { rw.WriteHeader(422) }, "400 ehr-rejected"},
		"is busy":        {func(rw http.ResponseWriter) { rw.WriteHeader(503) }, "503 ehr-busy"},
		"has a conflict": {func(rw http.ResponseWriter) { rw.WriteHeader(409) }, "409 ehr-conflict"},
		"says nothing":   {func(rw http.ResponseWriter) { rw.WriteHeader(204) }, "502 write-unread"},
		"redirects": {func(rw http.ResponseWriter) {
			rw.Header().Set("Location", "https://elsewhere.example/")
			rw.WriteHeader(307)
		}, "502 write-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			w, ehr, token := newWriting(t)
			id, tag, patient := w.booked(token)
			ehr.first(func(rw http.ResponseWriter, _ *http.Request) bool {
				c.answer(rw)
				return true
			})
			r := w.transact(token, moves(id, tag, patient))
			if got := fmt.Sprint(r.status, " ", r.code()); got != c.want {
				t.Errorf("%s, want %s: %s", got, c.want, r.body)
			}
			if ehr.asked() != 1 {
				t.Errorf("the EHR was asked %d times", ehr.asked())
			}
			recs := w.records(r.header.Get("X-Request-Id"))
			if want := "1 intent 0, 3 intent 0, 1 refusal " + c.want + ", 2 refusal "; !strings.HasPrefix(kinds(recs), want) ||
				!strings.HasSuffix(kinds(recs), "3 refusal "+c.want+", refusal "+c.want) {
				t.Errorf("records: %s", kinds(recs))
			}
			if lost := strings.Contains(c.want, "write-"); lost != (len(recs[2].Subjects) > 0) || lost != (len(recs[2].Written) > 0) {
				t.Errorf("the record of what may have been written: %+v", recs[2])
			}
		})
	}
}

// TestTransactionAnswerFails has the EHR carry out a transaction and answer with something else: the entries that
// cannot be told say that they were carried out.
func TestTransactionAnswerFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(string) string
		want   string // of each entry; empty where the whole is cut
	}{
		"as it is":            {func(s string) string { return s }, "201, 200, 200"},
		"cut after the first": {func(s string) string { return s[:strings.Index(s, `"resourceType":"Appointment"`)] }, "201, 200, 502 write-unread"},
		"cut at once":         {func(string) string { return `{"resourceType":` }, "502 write-unread, 502 ehr-invalid, 502 write-unread"},
		"fewer":               {func(s string) string { return fewer(s, 2) }, "201, 200, 502 write-unread"},
		"one more":            {func(s string) string { return strings.TrimSuffix(s, "]}") + `,{"response":{"status":"200"}}]}` }, ""},
		"a batch-response":    {func(s string) string { return strings.Replace(s, "transaction-response", "batch-response", 1) }, "502 write-unread, 502 ehr-invalid, 502 write-unread"},
		"an entry refused":    {func(s string) string { return strings.Replace(s, `"201 Created"`, `"403 Forbidden"`, 1) }, "502 write-unread, 200, 200"},
		"another resource": {func(s string) string {
			return strings.ReplaceAll(s, `"resourceType":"Communication"`, `"resourceType":"Patient"`)
		}, "502 write-unread, 200, 200"},
		"an outcome": {func(string) string { return `{"resourceType":"OperationOutcome","issue":[]}` }, "502 write-unread, 502 ehr-invalid, 502 write-unread"},
	} {
		t.Run(name, func(t *testing.T) {
			w, ehr, token := newWriting(t)
			id, tag, patient := w.booked(token)
			ehr.first(func(rw http.ResponseWriter, r *http.Request) bool {
				whole := httptest.NewRecorder()
				w.sandbox.ServeHTTP(whole, r)
				rw.Header().Set("Content-Type", "application/fhir+json")
				rw.WriteHeader(whole.Code)
				_, _ = io.WriteString(rw, c.change(whole.Body.String()))
				return true
			})
			r := w.transact(token, moves(id, tag, patient), "X-Request-Id", "half")
			if c.want == "" {
				if r.err == nil || gjson.ValidBytes(r.body) {
					t.Errorf("%d and a neat end: %s", r.status, r.body)
				}
				if recs := w.records("half"); recs[len(recs)-1].Detail != "aborted" || recs[len(recs)-1].Code != "ehr-invalid" {
					t.Errorf("records: %s", kinds(recs))
				}
				return
			}
			var got []string
			for _, e := range r.json().Get("entry").Array() {
				got = append(got, ends(e))
			}
			if strings.Join(got, ", ") != c.want || !gjson.ValidBytes(r.body) {
				t.Errorf("%v, want %s: %s", got, c.want, r.body)
			}
			if _, after := w.real("Appointment", id); gjson.GetBytes(after, "status").String() != "arrived" {
				t.Errorf("it was not carried out: %s", after)
			}
		})
	}
}

// fewer leaves the first entries of an answer.
func fewer(s string, n int) string {
	var entries []string
	for _, e := range gjson.Get(s, "entry").Array()[:n] {
		entries = append(entries, e.Raw)
	}
	out, err := sjson.SetRaw(s, "entry", "["+strings.Join(entries, ",")+"]")
	if err != nil {
		panic(err)
	}
	return out
}

// TestTransactionLogFails fills the log's disk before the intents, and after the EHR was asked.
func TestTransactionLogFails(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		disk := &fullDisk{}
		w, ehr, token := newWriting(t, withLog(disk))
		id, tag, patient := w.booked(token)
		disk.full.Store(true) // the first record is the first intent's
		r := w.transact(token, moves(id, tag, patient))
		if r.status != 503 || r.code() != "log-unavailable" || ehr.asked() != 0 {
			t.Errorf("%d %s, the EHR was asked %d times", r.status, r.body, ehr.asked())
		}
	})
	t.Run("after", func(t *testing.T) {
		disk := &fullDisk{}
		w, ehr, token := newWriting(t, withLog(disk))
		id, tag, patient := w.booked(token)
		ehr.first(func(http.ResponseWriter, *http.Request) bool {
			disk.full.Store(true)
			return false
		})
		r := w.transact(token, moves(id, tag, patient))
		if r.status != 502 || r.code() != "write-unread" || strings.Contains(string(r.body), "Communication") {
			t.Errorf("%d %s", r.status, r.body)
		}
		_ = w.close() // it tells of the poisoned log
		disk.full.Store(false)
		w.verify()
		if got := kinds(w.records(r.header.Get("X-Request-Id"))); !strings.HasPrefix(got, "1 intent 0, 3 intent 0") {
			t.Errorf("records: %s", got)
		}
	})
}

// TestTransactionClientGoes has the client go while the EHR is at work: it is seen to its end, and recorded.
func TestTransactionClientGoes(t *testing.T) {
	w, ehr, token := newWriting(t)
	_, _, patient := w.booked(token)
	asked, left := make(chan struct{}), make(chan struct{})
	ehr.first(func(http.ResponseWriter, *http.Request) bool {
		close(asked)
		<-left
		return false
	})
	ctx, leave := context.WithCancel(t.Context())
	text := `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Communication"},"resource":` + reminder(patient, "") + `},` +
		`{"request":{"method":"POST","url":"Communication"},"resource":` + reminder(patient, "") + `}]}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.fhir, strings.NewReader(text))
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("X-Request-Id", "gone")
	gone := make(chan error, 1)
	go func() {
		resp, err := w.client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	<-asked
	leave()
	if err := <-gone; err == nil {
		t.Error("the client did not go")
	}
	had := len(w.sandbox.IDs("Communication"))
	close(left)
	w.until("the records of the end", func() bool {
		recs := w.records("gone")
		return recs[len(recs)-1].RequestID == "gone"
	})
	recs := w.records("gone")
	if len(w.sandbox.IDs("Communication")) != had+2 || recs[0].Kind != accesslog.KindIntent {
		t.Errorf("records: %s", kinds(recs))
	}
	ended := map[string]bool{}
	for _, r := range recs[2:] {
		if len(r.Written) > 0 && (r.Kind == accesslog.KindAccess || r.Code == "write-unread") {
			ended[r.RequestID] = true
		}
	}
	if !ended["gone#1"] || !ended["gone#2"] {
		t.Errorf("what was carried out has no record of its end: %s", kinds(recs))
	}
}

// TestTransactionTime has the EHR take too long over what a transaction reads first: it is refused, and nothing is sent.
func TestTransactionTime(t *testing.T) {
	w, ehr, token := newWriting(t, withConfig(func(y string) string { return y + "limits: {batch_time: 300ms}\n" }))
	id, tag, patient := w.booked(token)
	w.ehr.Set(demo.FaultStall, 0)
	r := w.transact(token, moves(id, tag, patient))
	if r.status != 504 || r.code() != "ehr-timeout" || r.json().Get("issue.0.expression.0").String() != "Bundle.entry[2]" || ehr.asked() != 0 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 refusal 424 transaction-refused, 2 refusal 424 transaction-refused, 3 refusal 504 ehr-timeout, refusal 504 ehr-timeout" {
		t.Errorf("records: %s", got)
	}
}
