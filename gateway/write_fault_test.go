package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
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
		return strings.Replace(y, "issuers:", "    timeouts: {connect: 300ms, header: 300ms, idle: 300ms, total: 2s}\n    breaker: {calls: 0}\nissuers:", 1)
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
		{"throttled", demo.FaultThrottled, []string{"PUT"}, 429, "ehr-busy", true, false},
		{"busy", demo.FaultBusy, []string{"PUT"}, 503, "ehr-busy", true, false},
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
			if rec.Kind != accesslog.KindRefusal || rec.Code != tt.code || (rec.Written != nil) != known || (rec.Subjects != nil) != tt.intent {
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

// TestClientGoesWhileTheEHRWrites has the client leave in the middle: the write is seen to its end, and its record says
// what became of it.
func TestClientGoesWhileTheEHRWrites(t *testing.T) {
	w, spy, token := newWriting(t)
	w.get(token, "/Task?_count=1")
	under, held := make(chan struct{}), make(chan struct{})
	spy.first(func(http.ResponseWriter, *http.Request) bool {
		close(under)
		<-held
		return false
	})
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", w.fhir+"/Communication", strings.NewReader(note))
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("X-Request-Id", "gone-1")
	req.Header.Set("Idempotency-Key", "gone-1")
	left := make(chan error)
	go func() {
		resp, err := w.client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	<-under
	leave()
	if err := <-left; err == nil {
		t.Error("it was answered")
	}
	close(held)
	w.until("the end of the write", func() bool { return len(w.records("gone-1")) >= 2 })
	found := w.records("gone-1")
	if found[0].Kind != accesslog.KindIntent || found[1].Kind != accesslog.KindAccess || found[1].Status != 201 || w.notes() != 1 {
		t.Errorf("records %+v and %+v, %d notes", found[0], found[1], w.notes())
	}
	// The client comes back with its key, and is told.
	spy.first(nil)
	w.until("the claim to end", func() bool {
		return w.put("POST", token, "/Communication", note, "Idempotency-Key", "gone-1").status == 201
	})
	if w.notes() != 1 || spy.asked() != 1 {
		t.Errorf("%d notes, asked %d times", w.notes(), spy.asked())
	}
}

// TestQuotaBeforeAWrite has an agent write of one patient more than an hour allows: the EHR is not asked.
func TestQuotaBeforeAWrite(t *testing.T) {
	w, spy, token := newWriting(t, limited("patients_per_hour: 1"))
	var names []string
	for _, n := range []int{3, 5} {
		other := w.token("demo-scheduling", demo.TokenOptions{Claims: map[string]any{"sub": fmt.Sprint("agent-", n)}})
		names = append(names, w.get(other, "/Patient?"+identifier(w.sandbox, n)).json().Get("entry.0.resource.id").String())
	}
	about := func(name string) reply {
		return w.put("POST", token, "/Communication", strings.Replace(note, "}", `,"subject":{"reference":"Patient/`+name+`"}}`, 1))
	}
	if r := about(names[0]); r.status != 201 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r := about(names[1])
	if r.status != 429 || r.code() != "patient-quota" || spy.asked() != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Code != "patient-quota" || rec.Patients != nil || rec.Written != nil {
		t.Errorf("record %+v", rec)
	}
}
