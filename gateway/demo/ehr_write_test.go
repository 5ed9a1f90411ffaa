package demo_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// send asks with a body; header is names and values in turn.
func send(t *testing.T, h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, demo.BasePath+"/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
		t.Fatalf("%s %s: not JSON: %s", method, path, w.Body)
	}
	return w
}

func TestUpdate(t *testing.T) {
	e := newEHR(10)
	id := e.IDs("Appointment")[0]
	was, _ := e.Resource("Appointment", id)
	version := gjson.GetBytes(was, "meta.versionId").Str
	if strings.Contains(string(was), `"arrived"`) {
		t.Fatal("it is arrived already")
	}
	changed, err := sjson.SetBytes(was, "status", "arrived")
	if err != nil {
		t.Fatal(err)
	}
	if w := send(t, e, "PUT", "Appointment/"+id, string(changed), "If-Match", `W/"77"`); w.Code != 412 || !strings.Contains(w.Body.String(), "is at version") {
		t.Fatalf("with another version: %d %s", w.Code, w.Body)
	}
	w := send(t, e, "PUT", "Appointment/"+id, string(changed), "If-Match", `W/"`+version+`"`)
	now, _ := e.Resource("Appointment", id)
	tag := w.Header().Get("ETag")
	if w.Code != 200 || w.Body.String() != string(now) || tag == `W/"`+version+`"` ||
		w.Header().Get("Location") != base+"/Appointment/"+id+"/_history/"+strings.Trim(tag, `W/"`) || w.Header().Get("Last-Modified") == "" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	for _, path := range []string{"meta.versionId", "meta.lastUpdated"} {
		if gjson.GetBytes(now, path).Str == gjson.GetBytes(was, path).Str {
			t.Errorf("%s stayed", path)
		}
	}
	// All but what was changed is as it was.
	for _, path := range []string{"meta.versionId", "meta.lastUpdated", "status"} {
		was, _ = sjson.DeleteBytes(was, path)
		now, _ = sjson.DeleteBytes(now, path)
	}
	if string(was) != string(now) {
		t.Errorf("was %s\nis %s", was, now)
	}
	if w := send(t, e, "PUT", "Appointment/"+id, string(changed), "If-Match", `W/"`+version+`"`); w.Code != 412 {
		t.Errorf("a second time: %d", w.Code)
	}
	// The search, the index of references and the history know it.
	if s := search(t, e, "Appointment?status=arrived&_id="+id); len(s.ids("match")) != 1 {
		t.Error("the search does not find it")
	}
	history := gjson.ParseBytes(get(t, e, "Appointment/"+id+"/_history").Body.Bytes())
	if history.Get("entry.0.resource.status").Str != "arrived" || history.Get("entry.0.request.method").Str != "PUT" ||
		history.Get("entry.1.response.etag").Str != `W/"`+version+`"` {
		t.Errorf("%s", history.Raw)
	}
}

func TestReferencesFollowAnUpdate(t *testing.T) {
	e := newEHR(10)
	id, others := e.IDs("Task")[0], e.IDs("Patient")
	was, _ := e.Resource("Task", id)
	from := strings.TrimPrefix(gjson.GetBytes(was, "for.reference").Str, "Patient/")
	to := others[len(others)-1]
	if from == to {
		to = others[0]
	}
	changed, _ := sjson.SetBytes(was, "for.reference", base+"/Patient/"+to)
	if w := send(t, e, "PUT", "Task/"+id, string(changed)); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for patient, want := range map[string]int{from: 0, to: 1} {
		for _, q := range []string{"Task?patient=" + patient, "Patient/" + patient + "/Task?"} {
			if s := search(t, e, q+"&_id="+id); len(s.ids("match")) != want {
				t.Errorf("%s: %v", q, s.ids("match"))
			}
		}
	}
}

func TestCreate(t *testing.T) {
	e := newEHR(10)
	patient := e.IDs("Patient")[0]
	body := `{"id":"mine","resourceType":"Communication","meta":{"versionId":"9","tag":[{"code":"x"}]},"status":"completed",
		"identifier":[{"system":"urn:x","value":"note-1"}],"subject":{"reference":"Patient/` + patient + `"}}`
	w := send(t, e, "POST", "Communication", body, "If-None-Exist", "identifier=urn:x|note-1")
	doc := gjson.ParseBytes(w.Body.Bytes())
	id := doc.Get("id").Str
	if w.Code != 201 || id == "mine" || doc.Get("meta.versionId").Str != "1" || doc.Get("meta.tag.0.code").Str != "x" || doc.Get("meta.lastUpdated").Str == "" ||
		w.Header().Get("Location") != base+"/Communication/"+id+"/_history/1" || w.Header().Get("ETag") != `W/"1"` {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if stored, ok := e.Resource("Communication", id); !ok || string(stored) != w.Body.String() {
		t.Errorf("stored %s", stored)
	}
	again := send(t, e, "POST", "Communication", body, "If-None-Exist", "identifier=urn:x|note-1")
	if again.Code != 200 || again.Header().Get("Location") != w.Header().Get("Location") {
		t.Errorf("If-None-Exist: %d %v", again.Code, again.Header())
	}
	other := send(t, e, "POST", "Communication", body, "Prefer", "return=minimal")
	if other.Code != 201 || other.Body.Len() != 0 || other.Header().Get("Location") == w.Header().Get("Location") {
		t.Errorf("minimal: %d %s", other.Code, other.Body)
	}
	if many := send(t, e, "POST", "Communication", body, "If-None-Exist", "identifier=urn:x|note-1"); many.Code != 412 {
		t.Errorf("If-None-Exist of several: %d", many.Code)
	}
	if said := send(t, e, "POST", "Communication", body, "Prefer", "return=OperationOutcome"); !strings.Contains(said.Body.String(), "OperationOutcome") {
		t.Errorf("OperationOutcome: %s", said.Body)
	}
	if n := len(search(t, e, "Communication?identifier=urn:x|note-1").ids("match")); n != 3 {
		t.Errorf("%d were created", n)
	}
	// The same writes make the same bytes.
	twin := newEHR(10)
	if send(t, twin, "POST", "Communication", body).Body.String() != w.Body.String() {
		t.Error("another sandbox makes something else of it")
	}
	if up := send(t, e, "PUT", "Task/by-me", `{"resourceType":"Task","id":"by-me"}`); up.Code != 201 {
		t.Errorf("update of nothing: %d %s", up.Code, up.Body)
	}
}

func TestDelete(t *testing.T) {
	e := newEHR(10)
	id := e.IDs("Task")[0]
	if w := send(t, e, "DELETE", "Task/"+id, "", "If-Match", `W/"9"`); w.Code != 412 {
		t.Fatalf("%d", w.Code)
	}
	if w := send(t, e, "DELETE", "Task/"+id, ""); w.Code != 204 || w.Body.Len() != 0 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := get(t, e, "Task/"+id); w.Code != 410 {
		t.Errorf("read: %d", w.Code)
	}
	if w := get(t, e, "Task/"+id+"/_history/1"); w.Code != 200 {
		t.Errorf("former version: %d", w.Code)
	}
	if w := get(t, e, "Task/"+id+"/_history/3"); w.Code != 410 {
		t.Errorf("the deletion as a version: %d", w.Code)
	}
	if w := send(t, e, "DELETE", "Task/"+id, ""); w.Code != 204 {
		t.Errorf("again: %d", w.Code)
	}
	if w := send(t, e, "DELETE", "Task/nobody", ""); w.Code != 404 {
		t.Errorf("of nothing: %d", w.Code)
	}
	if s := search(t, e, "Task?_id="+id); len(s.Entry) != 0 {
		t.Error("a search finds it")
	}
	for _, path := range []string{"Task/" + id + "/_history", "Task/_history?_count=1", "_history?_count=1"} {
		h := gjson.ParseBytes(get(t, e, path).Body.Bytes())
		if h.Get("entry.0.request.method").Str != "DELETE" || h.Get("entry.0.resource").Exists() || h.Get("entry.0.request.url").Str != "Task/"+id {
			t.Errorf("%s: %s", path, h.Raw)
		}
	}
	since := gjson.Get(get(t, e, "Task/"+id+"/_history").Body.String(), "entry.0.response.lastModified").Str
	if h := gjson.Get(get(t, e, "_history?_since="+since).Body.String(), "entry.#").Int(); h != 1 {
		t.Errorf("since then: %d", h)
	}
	if w := get(t, e, "_history?_sort=x"); w.Code != 400 {
		t.Errorf("unknown parameter: %d", w.Code)
	}
	if w := send(t, e, "DELETE", "Patient/"+e.IDs("Patient")[0], ""); w.Code != 409 || !strings.Contains(w.Body.String(), "by ") {
		t.Errorf("of one that is referred to: %d %s", w.Code, w.Body)
	}
}

func TestWriteRefusals(t *testing.T) {
	e := newEHR(5)
	id := e.IDs("Task")[0]
	task, _ := e.Resource("Task", id)
	for _, tt := range []struct {
		name, method, path, body, contentType string
		want                                  int
	}{
		{"not JSON", "PUT", "Task/" + id, "{", "application/fhir+json", 400},
		{"no object", "PUT", "Task/" + id, "[]", "application/fhir+json", 400},
		{"another id", "PUT", "Task/" + e.IDs("Task")[1], string(task), "application/fhir+json", 400},
		{"another type", "PUT", "Appointment/" + id, string(task), "application/fhir+json", 400},
		{"no FHIR id", "PUT", "Task/a_b", `{"resourceType":"Task","id":"a_b"}`, "application/fhir+json", 400},
		{"XML", "PUT", "Task/" + id, "<Task/>", "application/fhir+xml", 415},
		{"Latin-1", "PUT", "Task/" + id, string(task), "application/fhir+json; charset=latin1", 415},
		{"unknown type", "POST", "Spaceship", `{"resourceType":"Spaceship"}`, "application/fhir+json", 404},
		{"a token for an id", "POST", "Task", `{"resourceType":"Task","for":{"reference":"Patient/hd1.abc"}}`, "application/fhir+json", 422},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := send(t, e, tt.method, tt.path, tt.body, "Content-Type", tt.contentType)
			if w.Code != tt.want || gjson.Get(w.Body.String(), "resourceType").Str != "OperationOutcome" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	if now, _ := e.Resource("Task", id); string(now) != string(task) {
		t.Error("something was written")
	}
}

func bundle(kind string, entries ...string) string {
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}

func TestBatch(t *testing.T) {
	e := newEHR(10)
	task, patient := e.IDs("Task")[0], e.IDs("Patient")[0]
	w := send(t, e, "POST", "", bundle("batch",
		`{"request":{"method":"GET","url":"Patient/`+patient+`"}}`,
		`{"request":{"method":"GET","url":"Patient/nobody"}}`,
		`{"request":{"method":"GET","url":"Appointment?patient=`+patient+`&_count=1"}}`,
		`{"request":{"method":"DELETE","url":"Task/`+task+`","ifMatch":"W/\"2\""}}`,
		`{"resource":{"resourceType":"Communication","status":"completed"},"request":{"method":"POST","url":"Communication"}}`,
		`{"resource":{"resourceType":"Communication"},"request":{"method":"POST","url":"Task"}}`))
	doc := gjson.ParseBytes(w.Body.Bytes())
	var got []string
	doc.Get("entry.#.response.status").ForEach(func(_, v gjson.Result) bool { got = append(got, v.Str); return true })
	if w.Code != 200 || doc.Get("type").Str != "batch-response" ||
		strings.Join(got, "|") != "200 OK|404 Not Found|200 OK|204 No Content|201 Created|400 Bad Request" {
		t.Fatalf("%d %v %s", w.Code, got, w.Body)
	}
	if doc.Get("entry.0.resource.id").Str != patient || doc.Get("entry.1.response.outcome.resourceType").Str != "OperationOutcome" ||
		doc.Get("entry.2.resource.type").Str != "searchset" || doc.Get("entry.4.response.location").Str == "" {
		t.Errorf("%s", doc.Raw)
	}
}

func TestTransaction(t *testing.T) {
	e := newEHR(10)
	patient := e.IDs("Patient")[0]
	create := `{"fullUrl":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a","resource":{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/` + patient + `"}},"request":{"method":"POST","url":"Task"}}`
	note := `{"resource":{"resourceType":"Communication","status":"completed","about":[{"reference":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}]},"request":{"method":"POST","url":"Communication"}}`
	look := `{"request":{"method":"GET","url":"Task?status=requested&patient=` + patient + `"}}`
	before := len(search(t, e, "Task?_count=1000").ids("match"))

	w := send(t, e, "POST", "", bundle("transaction", note, create, look))
	doc := gjson.ParseBytes(w.Body.Bytes())
	task := doc.Get("entry.1.resource.id").Str
	if w.Code != 200 || doc.Get("type").Str != "transaction-response" || task == "" ||
		doc.Get("entry.0.resource.about.0.reference").Str != "Task/"+task || !strings.Contains(doc.Get("entry.2.resource").Raw, `"`+task+`"`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if n := len(search(t, e, "Task?_count=1000").ids("match")); n != before+1 {
		t.Errorf("%d tasks of %d", n, before)
	}

	// All of it, or nothing.
	for _, bad := range []string{
		`{"resource":{"resourceType":"Task","id":"` + task + `"},"request":{"method":"PUT","url":"Task/` + task + `","ifMatch":"W/\"7\""}}`,
		`{"resource":{"resourceType":"Communication","about":[{"reference":"Task/nobody"}]},"request":{"method":"POST","url":"Communication"}}`,
		`{"request":{"method":"PATCH","url":"Task/` + task + `"}}`,
		`{"request":{"method":"POST","url":"//elsewhere/x"}}`,
	} {
		w := send(t, e, "POST", "", bundle("transaction", create, bad))
		if w.Code < 400 || gjson.Get(w.Body.String(), "resourceType").Str != "OperationOutcome" {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
	if n := len(search(t, e, "Task?_count=1000").ids("match")); n != before+1 {
		t.Errorf("%d tasks of %d after refusals", n, before)
	}
	// A Task and the note on it can only go together.
	if w := send(t, e, "DELETE", "Task/"+task, ""); w.Code != 409 {
		t.Errorf("%d", w.Code)
	}
	both := send(t, e, "POST", "", bundle("transaction", `{"request":{"method":"DELETE","url":"Task/`+task+`"}}`,
		`{"request":{"method":"DELETE","url":"Communication/`+doc.Get("entry.0.resource.id").Str+`"}}`))
	if both.Code != 200 {
		t.Errorf("%d %s", both.Code, both.Body)
	}
	if w := send(t, e, "POST", "", bundle("document")); w.Code != 400 {
		t.Errorf("a document: %d", w.Code)
	}
}

// Of writers that all hold the same version one wins; whoever reads meanwhile sees
// one state or another.
func TestConcurrentWrites(t *testing.T) {
	e := newEHR(5)
	id := e.IDs("Task")[0]
	task, _ := e.Resource("Task", id)
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		all.Go(func() {
			body, _ := sjson.SetBytes(task, "priority", fmt.Sprint("p", i))
			if send(t, e, "PUT", "Task/"+id, string(body), "If-Match", `W/"2"`).Code == 200 {
				mu.Lock()
				won++
				mu.Unlock()
			}
			send(t, e, "POST", "Communication", `{"resourceType":"Communication"}`)
		})
		all.Go(func() {
			if w := get(t, e, "Task?_count=100&_include=Task:patient"); w.Code != 200 {
				t.Errorf("%d", w.Code)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
}
