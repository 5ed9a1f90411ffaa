package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/state"
)

const note = `{"resourceType":"Communication","status":"completed","sent":"2026-06-15T10:00:00Z"}`

func (w *world) notes() int {
	n := 0
	for _, id := range w.sandbox.IDs("Communication") {
		if body, _ := w.sandbox.Resource("Communication", id); gjson.GetBytes(body, "sent").String() == "2026-06-15T10:00:00Z" {
			n++
		}
	}
	return n
}

// TestEHRFailsAWrite breaks the EHR before, while and after it writes. The answer says what is known of the
// write, and so does the record.
func TestEHRFailsAWrite(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "issuers:", "    timeouts: {connect: 300ms, header: 300ms, idle: 300ms, total: 2s}\nissuers:", 1)
	}))
	token := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.cruds"}})
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	const patch = `[{"op":"replace","path":"/status","value":"%s"}]`
	for _, tt := range []struct {
		name    string
		fault   demo.Fault
		methods []string
		status  int
		code    string
		intent  bool
		written bool
	}{
		{"dead before", demo.FaultDead, nil, 502, "ehr-unreachable", false, false},
		{"500 before", demo.FaultInternal, nil, 502, "ehr-error", false, false},
		{"dead when it writes", demo.FaultDead, []string{"PUT"}, 502, "write-unknown", true, false},
		{"carried out without an answer", demo.FaultLost, []string{"PUT"}, 502, "write-unknown", true, true},
		{"no answer in time", demo.FaultStall, []string{"PUT"}, 502, "write-unknown", true, false},
		{"500", demo.FaultInternal, []string{"PUT"}, 502, "write-unknown", true, false},
		{"a page", demo.FaultHTML, []string{"PUT"}, 502, "write-unknown", true, false},
		{"elsewhere", demo.FaultRedirect, []string{"PUT"}, 502, "write-unknown", true, false},
		{"answer cut", demo.FaultCut, []string{"PUT"}, 502, "write-unread", true, true},
		{"answer broken", demo.FaultInvalidJSON, []string{"PUT"}, 502, "write-unread", true, true},
		{"another resource", demo.FaultWrong, []string{"PUT"}, 502, "write-unread", true, false},
		{"refused for good", demo.FaultForbidden, []string{"PUT"}, 502, "ehr-refused", true, false},
		{"busy", demo.FaultBusy, []string{"PUT"}, 503, "ehr-busy", true, false},
		{"throttled", demo.FaultThrottled, []string{"PUT"}, 429, "ehr-busy", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.ehr.Set(tt.fault, 0, tt.methods...)
			_, before := w.real("Task", name)
			value := "ready"
			if gjson.GetBytes(before, "status").String() == value {
				value = "on-hold"
			}
			r := w.put("PATCH", token, "/Task/"+name, fmt.Sprintf(patch, value))
			w.ehr.Set(demo.FaultNone, 0)
			_, after := w.real("Task", name)
			if r.status != tt.status || r.code() != tt.code {
				t.Fatalf("%d %s, want %d %s: %s", r.status, r.code(), tt.status, tt.code, r.body)
			}
			if written := string(before) != string(after); written != tt.written {
				t.Errorf("written %t: %s", written, after)
			}
			if diagnostics := r.json().Get("issue.0.diagnostics").String(); tt.intent && strings.HasPrefix(tt.code, "write-") != strings.Contains(diagnostics, "retry=no") && tt.code != "ehr-refused" {
				t.Errorf("retry: %s", diagnostics)
			}
			if strings.Contains(string(r.body)+fmt.Sprint(r.header)+w.operator.String(), "Oddwick") {
				t.Error("the EHR's words left")
			}
			var rec *accesslog.Record
			if tt.intent {
				var intent *accesslog.Record
				intent, rec = w.intent(r)
				if len(intent.Written) != 1 || len(intent.Subjects) == 0 {
					t.Errorf("intent %+v", intent)
				}
			} else {
				rec = w.record(r)
			}
			known := strings.HasPrefix(tt.code, "write-")
			if rec.Kind != accesslog.KindRefusal || rec.Code != tt.code || (rec.Written != nil) != known || (rec.Subjects != nil) != known {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// TestEHRRefusesAWrite has the EHR answer a write with each status.
func TestEHRRefusesAWrite(t *testing.T) {
	w, spy, token := newWriting(t)
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	for _, tt := range []struct {
		ehr         int
		patch, post string // codes
	}{
		{400, "ehr-rejected", "ehr-rejected"},
		{401, "ehr-refused", "ehr-refused"},
		{404, "not-found", "ehr-rejected"},
		{405, "ehr-rejected", "ehr-rejected"},
		{409, "ehr-conflict", "ehr-conflict"},
		{410, "not-found", "ehr-rejected"},
		{412, "version-conflict", "condition-many"},
		{413, "ehr-rejected", "ehr-rejected"},
		{422, "ehr-rejected", "ehr-rejected"},
		{429, "ehr-busy", "ehr-busy"},
		{500, "write-unknown", "write-unknown"},
		{501, "ehr-rejected", "ehr-rejected"},
		{502, "write-unknown", "write-unknown"},
		{503, "ehr-busy", "ehr-busy"},
		{202, "write-unknown", "write-unknown"},
	} {
		spy.first(func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Type", "application/fhir+json")
			rw.WriteHeader(tt.ehr)
			_, _ = io.WriteString(rw, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"value","diagnostics":"Oddwick"}]}`)
			return true
		})
		for want, r := range map[string]reply{
			"patch " + tt.patch: w.put("PATCH", token, "/Task/"+name, `[{"op":"replace","path":"/status","value":"ready"}]`),
			"post " + tt.post:   w.put("POST", token, "/Communication", note),
		} {
			if _, code, _ := strings.Cut(want, " "); r.code() != code || r.status < 400 || strings.Contains(string(r.body), "Oddwick") {
				t.Errorf("%d: %s: %d %s", tt.ehr, want, r.status, r.body)
			} else if _, end := w.intent(r); end.Code != code || end.Kind != accesslog.KindRefusal {
				t.Errorf("%d: record %+v", tt.ehr, end)
			}
		}
	}
}

// TestAnswersOfAnEHR has the EHR carry a write out and say less of it than it should, or something else.
func TestAnswersOfAnEHR(t *testing.T) {
	w, spy, token := newWriting(t)
	answered := func(change func(*httpAnswer)) {
		spy.first(func(rw http.ResponseWriter, r *http.Request) bool {
			a := &httpAnswer{header: http.Header{}}
			w.sandbox.ServeHTTP(a, r)
			change(a)
			for k, v := range a.header {
				rw.Header()[k] = v
			}
			rw.Header().Del("Content-Length")
			rw.WriteHeader(a.status)
			_, _ = rw.Write(a.body)
			return true
		})
	}
	for _, tt := range []struct {
		name   string
		change func(*httpAnswer)
		code   string
	}{
		{"no body", func(a *httpAnswer) { a.body = nil; a.header.Del("Content-Type") }, ""},
		{"an outcome in place of it", func(a *httpAnswer) { a.body = []byte(`{"resourceType":"OperationOutcome","issue":[]}`) }, ""},
		{"a relative location", func(a *httpAnswer) {
			a.body = nil
			a.header.Set("Location", strings.TrimPrefix(a.header.Get("Location"), w.ehrURL+"/"))
		}, ""},
		{"no location", func(a *httpAnswer) { a.header.Del("Location") }, ""},
		{"neither", func(a *httpAnswer) { a.body = nil; a.header.Del("Location") }, "write-unread"},
		{"a location that is another's", func(a *httpAnswer) {
			a.header.Set("Location", w.ehrURL+"/Communication/"+w.sandbox.IDs("Communication")[0])
		}, "write-unread"},
		{"a location elsewhere, and no body", func(a *httpAnswer) {
			a.body = nil
			a.header.Set("Location", "https://elsewhere.example/fhir/Communication/1")
		}, "write-unread"},
		{"another type", func(a *httpAnswer) {
			a.body = []byte(strings.Replace(string(a.body), "Communication", "Patient", 1))
		}, "write-unread"},
		{"a label that the desk may not see", func(a *httpAnswer) {
			a.body = []byte(strings.Replace(string(a.body), `"meta":{`, `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}],`, 1))
		}, "write-unread"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answered(tt.change)
			r := w.put("POST", token, "/Communication", note)
			_, end := w.intent(r)
			if tt.code != "" {
				if r.status != 502 || r.code() != tt.code || end.Code != tt.code || end.Written == nil {
					t.Errorf("%d %s, record %+v", r.status, r.body, end)
				}
				return
			}
			if r.status != 201 || r.json().Get("status").String() != "completed" || !strings.Contains(r.header.Get("Location"), r.json().Get("id").String()) || end.Status != 201 {
				t.Errorf("%d %v %s", r.status, r.header, r.body)
			}
		})
	}
}

type httpAnswer struct {
	header http.Header
	status int
	body   []byte
}

func (a *httpAnswer) Header() http.Header { return a.header }
func (a *httpAnswer) WriteHeader(s int)   { a.status = s }
func (a *httpAnswer) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

// TestUnversioned has an EHR that names no version: without one nothing is written.
func TestUnversioned(t *testing.T) {
	w, spy, token := newWriting(t)
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	_, task := w.real("Task", name)
	for tag, version := range map[string]string{"": "", `W/"7"`: "8"} {
		spy.next = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/fhir+json")
			if tag != "" {
				rw.Header().Set("ETag", tag)
			}
			body := without(t, task, "meta.versionId")
			if version != "" {
				body = set(t, task, "meta.versionId", version)
			}
			_, _ = io.WriteString(rw, body)
		})
		r := w.put("PATCH", token, "/Task/"+name, `[{"op":"replace","path":"/status","value":"ready"}]`)
		if r.status != 502 || r.code() != "ehr-unversioned" || spy.asked() != 0 {
			t.Errorf("%d %s", r.status, r.body)
		}
		if rec := w.record(r); rec.Code != "ehr-unversioned" {
			t.Errorf("record %+v", rec)
		}
	}
}

// TestLogDiskFullBeforeIntent fills the log's disk when the gateway has read what is there: the EHR is not asked to
// write.
func TestLogDiskFullBeforeIntent(t *testing.T) {
	disk := &fullDisk{}
	w, spy, token := newWriting(t, withLog(disk))
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	_, before := w.real("Task", name)
	spy.next = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		disk.full.Store(true)
		w.sandbox.ServeHTTP(rw, r)
	})
	r := w.put("PATCH", token, "/Task/"+name, `[{"op":"replace","path":"/status","value":"ready"}]`)
	if r.status != 503 || r.code() != "log-unavailable" || spy.asked() != 0 {
		t.Errorf("%d %s, asked %d times", r.status, r.body, spy.asked())
	}
	if _, now := w.real("Task", name); string(now) != string(before) {
		t.Error("something was written")
	}
}

// TestLogDiskFullAfterIntent fills it while the EHR writes: nothing is disclosed, and the client is not told to try
// again.
func TestLogDiskFullAfterIntent(t *testing.T) {
	disk := &fullDisk{}
	w, spy, token := newWriting(t, withLog(disk))
	w.get(token, "/Task?_count=1")
	spy.first(func(http.ResponseWriter, *http.Request) bool { disk.full.Store(true); return false })
	r := w.put("POST", token, "/Communication", note)
	if r.status != 502 || r.code() != "write-unread" || !strings.Contains(string(r.body), "retry=no") || r.header.Get("Location") != "" || w.notes() != 1 {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	_ = w.close() // it tells of the poisoned log
	disk.full.Store(false)
	w.verify()
	found := w.records(r.header.Get("X-Request-Id"))
	if len(found) != 1 || found[0].Kind != accesslog.KindIntent {
		t.Errorf("records %+v", found)
	}
}

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
	if rec := w.record(again); rec.Status != 201 || rec.Subjects != nil || len(rec.Written) == 0 {
		t.Errorf("record %+v", rec)
	}
}
