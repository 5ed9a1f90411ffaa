package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/state"
)

// TestIdempotency sends one write again and again.
func TestIdempotency(t *testing.T) {
	w, spy, token := newWriting(t)
	key := []string{"Idempotency-Key", "note-1"}
	first := w.put("POST", token, "/Communication", note, key...)
	if first.status != 201 || w.notes() != 1 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	again := w.put("POST", token, "/Communication", note, key...)
	if again.status != 201 || string(again.body) != string(first.body) || again.header.Get("Location") != first.header.Get("Location") ||
		again.header.Get("ETag") != first.header.Get("ETag") || w.notes() != 1 || spy.asked() != 1 {
		t.Errorf("%d %v %s", again.status, again.header, again.body)
	}
	_, end := w.intent(first)
	if rec := w.record(again); rec.Kind != accesslog.KindAccess || rec.Status != 201 || rec.Detail != "repeated" ||
		fmt.Sprint(rec.Subjects, rec.Written) != fmt.Sprint(end.Subjects, end.Written) {
		t.Errorf("record %+v", rec)
	}
	other := w.put("POST", token, "/Communication", strings.Replace(note, "completed", "stopped", 1), key...)
	if other.status != 422 || other.code() != "idempotency-other" || spy.asked() != 1 {
		t.Errorf("another request: %d %s", other.status, other.body)
	}
	if rec := w.record(other); rec.Code != "idempotency-other" {
		t.Errorf("record %+v", rec)
	}
	// The key is one subject's of one client.
	colleague := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.cruds"}, Claims: map[string]any{"sub": "agent-2"}})
	if r := w.put("POST", colleague, "/Communication", note, key...); r.status != 201 || w.notes() != 2 {
		t.Errorf("a colleague's: %d %s", r.status, r.body)
	}
	// A retry by one who may not write any more is refused.
	if r := w.put("POST", w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.rs"}}), "/Communication", note, key...); r.code() != "scope" {
		t.Errorf("without the scope: %d %s", r.status, r.body)
	}
	// What failed before the EHR was asked can be sent again.
	w.ehr.Set(demo.FaultForbidden, 0)
	if r := w.put("POST", token, "/Communication", note, "Idempotency-Key", "note-2"); r.code() != "ehr-refused" {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.ehr.Set(demo.FaultNone, 0)
	if r := w.put("POST", token, "/Communication", note, "Idempotency-Key", "note-2"); r.status != 201 || w.notes() != 3 {
		t.Errorf("%d %s", r.status, r.body)
	}
	// What nobody knows stays so.
	w.ehr.Set(demo.FaultLost, 0, "POST")
	for range 3 {
		if r := w.put("POST", token, "/Communication", note, "Idempotency-Key", "note-3"); r.code() != "write-unknown" || w.notes() != 4 {
			t.Errorf("%d %s: %d", r.status, r.body, w.notes())
		}
		w.ehr.Set(demo.FaultNone, 0)
	}
	for _, bad := range []string{"", "a b", strings.Repeat("x", 200)} {
		if r := w.put("POST", token, "/Communication", note, "Idempotency-Key", bad); r.status != 400 || r.code() != "header-malformed" {
			t.Errorf("%q: %d %s", bad, r.status, r.body)
		}
	}
}

// TestIdempotencyOfAnUpdate repeats an update whose first answer was lost on the way to the client: its version is not the
// newest any more, but it is the one that it made.
func TestIdempotencyOfAnUpdate(t *testing.T) {
	w, spy, token := newWriting(t)
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	mine := w.get(token, "/Task/"+name)
	send := func() reply {
		return w.put("PUT", token, "/Task/"+name, set(t, mine.body, "status", "ready"), "If-Match", mine.header.Get("ETag"), "Idempotency-Key", "u-1", "Accept-Encoding", "gzip")
	}
	first, again := send(), send()
	if first.status != 200 || again.status != 200 || string(first.body) != string(again.body) || spy.asked() != 1 {
		t.Errorf("%d and %d, asked %d times", first.status, again.status, spy.asked())
	}
}

// TestConcurrentRetries sends the same write many times at once: it is carried out once, and whoever asks
// meanwhile is told to wait.
func TestConcurrentRetries(t *testing.T) {
	w, spy, token := newWriting(t)
	held, under := make(chan struct{}), make(chan struct{})
	var once sync.Once
	spy.first(func(http.ResponseWriter, *http.Request) bool {
		once.Do(func() { close(under) })
		<-held
		return false
	})
	w.get(token, "/Task?_count=1")
	done := make(chan reply)
	go func() { done <- w.put("POST", token, "/Communication", note, "Idempotency-Key", "k") }()
	<-under
	for range 5 {
		r := w.put("POST", token, "/Communication", note, "Idempotency-Key", "k")
		if r.status != 409 || r.code() != "idempotency-busy" {
			t.Errorf("meanwhile: %d %s", r.status, r.body)
		}
	}
	close(held)
	first := <-done
	if r := w.put("POST", token, "/Communication", note, "Idempotency-Key", "k"); r.status != 201 || string(r.body) != string(first.body) || w.notes() != 1 || spy.asked() != 1 {
		t.Errorf("after: %d %s", r.status, r.body)
	}
}

// TestOutcomesFull has no room for another key: a write that asks to be held to once is not begun.
func TestOutcomesFull(t *testing.T) {
	w, spy, token := newWriting(t, func(o *worldOptions) {
		o.run = func(r *gateway.RunOptions) { r.Outcomes = state.NewOutcomes(state.OutcomesOptions{Entries: 1}) }
	})
	if r := w.put("POST", token, "/Communication", note, "Idempotency-Key", "1"); r.status != 201 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r := w.put("POST", token, "/Communication", note, "Idempotency-Key", "2")
	if r.status != 503 || r.code() != "idempotency-full" || spy.asked() != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Code != "idempotency-full" {
		t.Errorf("record %+v", rec)
	}
	if r := w.put("POST", token, "/Communication", note); r.status != 201 {
		t.Errorf("without a key: %d %s", r.status, r.body)
	}
}

// TestRepeatedUnderAnotherPolicy tells of a write again when the policy has changed: that it was made, and nothing of what
// the policy of then showed.
func TestRepeatedUnderAnotherPolicy(t *testing.T) {
	w, spy, token := newWriting(t, withEverything...)
	first := w.put("POST", token, "/Communication", note, "Idempotency-Key", "k")
	if first.status != 201 || len(first.body) == 0 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	w.edit("bundle/halfdoor/decision.rego", func(rules string) string { return strings.Replace(rules, "Everything.", "All.", 1) })
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask("POST", "/reload", string(admin)); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	again := w.put("POST", token, "/Communication", note, "Idempotency-Key", "k")
	if again.status != 201 || len(again.body) != 0 || again.header.Get("Location") != first.header.Get("Location") || spy.asked() != 1 {
		t.Errorf("%d %s", again.status, again.body)
	}
	if again.header.Get("ETag") != "" || again.header.Get("Last-Modified") != "" {
		t.Errorf("header %v", again.header)
	}
	if rec := w.record(again); rec.Status != 201 || !slices.Contains(rec.Subjects, "Communication/"+first.json().Get("id").String()) || len(rec.Written) == 0 {
		t.Errorf("record %+v", rec)
	}
}
