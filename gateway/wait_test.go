package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// hang answers nothing until the gateway lets go, and says then that it did.
func hang(gone chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		gone <- struct{}{}
	}
}

// TestWait has a client say for how long it waits: the call ends then, and so does the EHR's work.
func TestWait(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{}, 1)
			w := newWorld(t, withEHR(hang(gone)))
			speak(w)
			token := w.token("demo-scheduling", demo.TokenOptions{})
			began := time.Now()
			r := w.get(token, "/Location?_count=1", "Prefer", "handling=strict, wait=1")
			if took := time.Since(began); took < time.Second || took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			w.refused(r, "wait=1", "504 deadline-passed")
			<-gone // the EHR's work was cancelled
			r = w.get(token, "/Location?_count=1", "Prefer", "wait=0")
			w.refused(r, "wait=0", "504 deadline-passed")
			if n := w.ehr.Requests(); n != 1 {
				t.Errorf("the EHR was asked %d times", n)
			}
		})
	}
}

// TestWaitIsBounded has a client that would wait for longer than the EHR may take.
func TestWaitIsBounded(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "    path: /fhir\n", "    path: /fhir\n    timeouts: {connect: 300ms, header: 300ms, idle: 300ms, total: 300ms}\n", 1)
	}))
	w.ehr.Set(demo.FaultStall, 0)
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location?_count=1", "Prefer", "wait=86400")
	w.refused(r, "wait=86400", "504 ehr-timeout")
}

// TestWaitEndsInTheBody has the time end when part of the answer has left: it is cut, and the closing record says why.
func TestWaitEndsInTheBody(t *testing.T) {
	w := newWorld(t, withNarrow())
	w.ehr.Set(demo.FaultStallBody, 60<<10)
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Appointment?_count=1000", "Prefer", "wait=1", "X-Request-Id", "cut")
	if r.status != 200 || r.err == nil {
		t.Fatalf("%d, %v: the answer is not cut", r.status, r.err)
	}
	recs := w.records("cut")
	if last := recs[len(recs)-1]; last.Kind != accesslog.KindClose || last.Code != "deadline-passed" || last.Detail != "aborted" {
		t.Errorf("records: %s", kinds(recs))
	}
}

// TestWaitForABody has a client that does not send its body within the time for which it waits.
func TestWaitForABody(t *testing.T) {
	w, ehr, token := newWriting(t)
	body, end := io.Pipe()
	defer end.Close()
	r := w.send("POST", token, "/Communication", body, "Content-Type", "application/fhir+json", "Prefer", "wait=1")
	w.refused(r, "a body that does not come", "504 deadline-passed")
	if ehr.asked() != 0 {
		t.Error("the EHR was asked to write")
	}
}

// TestWaitForAWrite has the time end before a write is sent, and after: what was sent is seen to its end, and told of.
func TestWaitForAWrite(t *testing.T) {
	w, ehr, token := newWriting(t)
	id, tag, patient := w.booked(token)
	w.ehr.Set(demo.FaultStall, 0, "GET")
	r := w.transact(token, moves(id, tag, patient), "Prefer", "wait=1")
	if r.status != 504 || r.code() != "deadline-passed" || ehr.asked() != 0 {
		t.Errorf("a transaction that is not ready: %d %s", r.status, r.body)
	}
	if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 refusal 424 transaction-refused, 2 refusal 424 transaction-refused, 3 refusal 504 deadline-passed, refusal 504 deadline-passed" {
		t.Errorf("records: %s", got)
	}
	w.ehr.Set(demo.FaultNone, 0)

	r = w.put("POST", token, "/Communication", reminder(patient, ""), "Prefer", "wait=0")
	w.refused(r, "a create that nobody waits for", "504 deadline-passed")
	if ehr.asked() != 0 {
		t.Error("it was sent")
	}

	late := make(chan struct{})
	time.AfterFunc(1500*time.Millisecond, func() { close(late) })
	ehr.first(func(http.ResponseWriter, *http.Request) bool { <-late; return false })
	r = w.put("POST", token, "/Communication", reminder(patient, ""), "Prefer", "wait=1")
	if r.status != 201 {
		t.Fatalf("a create that was sent: %d %s", r.status, r.body)
	}
	if _, end := w.intent(r); end.Kind != accesslog.KindAccess || end.Status != 201 {
		t.Errorf("record %+v", end)
	}
}

// TestWaitForABatch has one entry take all of the time: it and those behind it say so, each in its place.
func TestWaitForABatch(t *testing.T) {
	s := &stepped{at: 2, then: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }}
	w := newStepped(t, s)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	r := w.put("POST", token, "", asking("batch", "GET Location?_count=1", "GET Appointment?_count=1", "GET Location?_count=1"), "Prefer", "wait=1")
	entries := r.json().Get("entry").Array()
	if r.status != 200 || len(entries) != 3 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for i, want := range []string{"200", "504 deadline-passed", "504 deadline-passed"} {
		if ends(entries[i]) != want {
			t.Errorf("entry %d: %s, want %s", i+1, entries[i].Raw, want)
		}
	}
	if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 access 200, 2 refusal 504 deadline-passed, 3 refusal 504 deadline-passed, access 200" {
		t.Errorf("records: %s", got)
	}
	if s.n.Load() != 2 {
		t.Errorf("the EHR was asked %d times", s.n.Load())
	}
}
