package gateway_test

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestIfNoneExist creates what is not there, once, by a condition that names a patient by a token.
func TestIfNoneExist(t *testing.T) {
	w, spy, token := newWriting(t)
	patient := w.get(token, "/Patient?"+identifier(w.sandbox, 5)).json().Get("entry.0.resource.id").String()
	body := strings.Replace(note, "}", `,"subject":{"reference":"Patient/`+patient+`"}}`, 1)
	condition := []string{"If-None-Exist", "subject=Patient/" + patient + "&sent=2026-06-15T10:00:00Z"}
	first := w.put("POST", token, "/Communication", body, condition...)
	if first.status != 201 || w.notes() != 1 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	sent, _ := spy.last()
	query, err := url.ParseQuery(sent.Header.Get("If-None-Exist"))
	check(t, err)
	if query.Get("subject") != "Patient/"+w.sandbox.IDs("Patient")[5] || query.Get("sent") == "" || strings.Contains(sent.Header.Get("If-None-Exist"), patient) {
		t.Errorf("the EHR was asked for %v", query)
	}
	again := w.put("POST", token, "/Communication", body, condition...)
	if again.status != 200 || string(again.body) != string(first.body) || again.header.Get("Location") != first.header.Get("Location") || w.notes() != 1 || spy.asked() != 1 {
		t.Errorf("%d %v %s", again.status, again.header, again.body)
	}
	if rec := w.record(again); rec.Kind != accesslog.KindAccess || rec.Status != 200 || rec.Written != nil || len(rec.Subjects) == 0 || len(rec.Request.Parameters) != 2 {
		t.Errorf("record %+v", rec)
	}
	second := w.put("POST", token, "/Communication", body)
	if second.status != 201 {
		t.Fatalf("%d %s", second.status, second.body)
	}
	for _, tt := range []struct {
		name, condition string
		status          int
		code            string
	}{
		{"several", condition[1], 412, "condition-many"},
		{"a raw id", "subject=Patient/" + w.sandbox.IDs("Patient")[5], 422, "unknown-reference"},
		{"what is hidden", "subject=Patient/" + patient + "&category=x", 403, "search-hidden"},
		{"an unknown parameter", "colour=red", 400, "unknown-parameter"},
		{"nothing", "", 400, "header-malformed"},
	} {
		asked := spy.asked()
		r := w.put("POST", token, "/Communication", body, "If-None-Exist", tt.condition)
		if r.status != tt.status || r.code() != tt.code || spy.asked() != asked {
			t.Errorf("%s: %d %s", tt.name, r.status, r.body)
		} else if rec := w.record(r); rec.Code != tt.code || rec.Kind != accesslog.KindRefusal {
			t.Errorf("%s: record %+v", tt.name, rec)
		}
	}
}

// TestConditionOnTheWithheld makes a condition that only a record meets that the caller may not know of: it creates, as if
// there were none.
func TestConditionOnTheWithheld(t *testing.T) {
	for name, settings := range map[string][]setting{"by the EHR": nil, "by the gateway": {withConfig(labelPages)}} {
		t.Run(name, func(t *testing.T) { conditionOnTheWithheld(t, settings) })
	}
}

func conditionOnTheWithheld(t *testing.T, settings []setting) {
	w, spy, token := newWriting(t, settings...)
	var sent string
	for _, id := range w.sandbox.IDs("Communication") {
		body, _ := w.sandbox.Resource("Communication", id)
		if gjson.GetBytes(body, `meta.security.#(code=="R")`).Exists() {
			sent = gjson.GetBytes(body, "sent").String()
		}
	}
	if sent == "" {
		t.Fatal("no restricted note")
	}
	find := "sent=" + url.QueryEscape(sent)
	if n := len(w.get(token, "/Communication?"+find).json().Get("entry").Array()); n != 0 {
		t.Fatalf("%d others of this time", n)
	}
	r := w.put("POST", token, "/Communication", note, "If-None-Exist", find)
	if r.status != 201 || w.notes() != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
	asked, _ := spy.last()
	if condition := asked.Header.Get("If-None-Exist"); (condition == "") != (settings != nil) || condition != "" && !strings.Contains(condition, "_security:not=") {
		t.Errorf("the EHR would have answered with the restricted one: %q", condition)
	}
}

// TestConditionalChanges updates, patches and deletes by a search.
func TestConditionalChanges(t *testing.T) {
	w, spy, token := newWriting(t, withEverything...)
	one := w.get(token, "/Task?_count=1").json().Get("entry.0.resource")
	name := one.Get("id").String()
	_, before := w.real("Task", name)
	by := "/Task?_id=" + name
	mine := w.get(token, "/Task/"+name)

	up := w.put("PUT", token, by, without(t, []byte(set(t, mine.body, "status", "ready")), "id"))
	_, after := w.real("Task", name)
	changed := []string{"status", "meta.versionId", "meta.lastUpdated"}
	if up.status != 200 || up.json().Get("status").String() != "ready" || without(t, before, changed...) != without(t, after, changed...) {
		t.Fatalf("%d %s", up.status, up.body)
	}
	if intent, _ := w.intent(up); !slices.Equal(intent.Written, []string{"Task.status"}) || !slices.Contains(intent.Subjects, "Task/"+name) {
		t.Errorf("intent %+v", intent)
	}
	patch := w.put("PATCH", token, by, `[{"op":"replace","path":"/status","value":"on-hold"}]`)
	if patch.status != 200 || patch.json().Get("status").String() != "on-hold" {
		t.Errorf("%d %s", patch.status, patch.body)
	}
	asked := spy.asked()
	for _, tt := range []struct {
		name, method, path, body string
		code                     string
	}{
		{"several", "PUT", "/Task?intent=order", note, "body-mismatch"},
		{"several", "PUT", "/Task?intent=order", `{"resourceType":"Task","status":"ready"}`, "condition-many"},
		{"several", "PATCH", "/Task?intent=order", `[{"op":"replace","path":"/status","value":"ready"}]`, "condition-many"},
		{"several", "DELETE", "/Task?intent=order", "", "condition-many"},
		{"none", "PATCH", "/Task?authored-on=1999", `[{"op":"replace","path":"/status","value":"ready"}]`, "not-found"},
		{"none", "DELETE", "/Task?authored-on=1999", "", "not-found"},
		{"none, with an id", "PUT", "/Task?authored-on=1999", `{"resourceType":"Task","id":"mine","status":"ready"}`, "body-mismatch"},
		{"hidden", "DELETE", "/Task?code=x", "", "search-hidden"},
		{"a raw id", "DELETE", "/Task?patient=" + w.sandbox.IDs("Patient")[0], "", "unknown-reference"},
		{"another version", "DELETE", by, "", "version-conflict"},
	} {
		headers := []string{}
		if tt.name == "another version" {
			headers = []string{"If-Match", `W/"1"`}
		}
		var r reply
		if tt.method == "DELETE" {
			r = w.do("DELETE", token, tt.path, headers...)
		} else {
			r = w.put(tt.method, token, tt.path, tt.body)
		}
		if r.code() != tt.code || spy.asked() != asked {
			t.Errorf("%s %s: %d %s", tt.name, tt.method, r.status, r.body)
		} else if rec := w.record(r); rec.Code != tt.code {
			t.Errorf("record %+v", rec)
		}
	}
	// An update of nothing creates.
	made := w.put("PUT", token, "/Communication?sent=2026-06-15T10:00:00Z", note)
	if made.status != 201 || w.notes() != 1 || made.header.Get("Location") == "" {
		t.Errorf("%d %s", made.status, made.body)
	}
	if sent, _ := spy.last(); sent.Method != "POST" || !strings.HasPrefix(sent.Header.Get("If-None-Exist"), "sent=") {
		t.Errorf("%s %v", sent.Method, sent.Header)
	}
	if again := w.put("PUT", token, "/Communication?sent=2026-06-15T10:00:00Z", note); again.status != 200 || w.notes() != 1 {
		t.Errorf("%d %s", again.status, again.body)
	}
	// It needs the scope to create only then.
	updater := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.rus"}})
	if r := w.put("PUT", updater, "/Communication?sent=2026-06-15T10:00:00Z", note); r.status != 200 || w.notes() != 1 {
		t.Errorf("without c, of what is there: %d %s", r.status, r.body)
	}
	sends := spy.asked()
	r := w.put("PUT", updater, "/Communication?sent=2027-06-15T10:00:00Z", note)
	w.refused(r, "without c, of nothing", "403 scope")
	if spy.asked() != sends || w.notes() != 1 {
		t.Errorf("the EHR was asked to write: %d notes", w.notes())
	}
	// The condition of a call that is held to a patient finds that patient's alone.
	held := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"patient/*.cruds"}, Claims: map[string]any{"patient": w.sandbox.IDs("Patient")[9]}})
	if r := w.put("PATCH", held, by, `[{"op":"replace","path":"/status","value":"ready"}]`); r.code() != "not-found" && gjson.GetBytes(before, "for.reference").String() != "Patient/"+w.sandbox.IDs("Patient")[9] {
		t.Errorf("%d %s", r.status, r.body)
	}
	gone := w.do("DELETE", token, by)
	if gone.status != 204 || len(gone.body) != 0 || w.get(token, "/Task/"+name).status != 404 {
		t.Errorf("%d %s", gone.status, gone.body)
	}
}

func TestDelete(t *testing.T) {
	w, spy, token := newWriting(t, withEverything...)
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	tag := w.get(token, "/Task/"+name).header.Get("ETag")
	id, _ := w.real("Task", name)
	for path, code := range map[string]string{
		"/Task/" + id:                       "not-found",
		"/Task/" + w.sealed("Task", "none"): "not-found",
		"/Condition/1":                      "dataset-type",
	} {
		if r := w.do("DELETE", token, path); r.code() != code || spy.asked() != 0 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	held := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"patient/*.cruds"}, Claims: map[string]any{"patient": w.sandbox.IDs("Patient")[9]}})
	if r := w.do("DELETE", held, "/Task/"+name); r.status != 404 || spy.asked() != 0 {
		t.Errorf("of another patient's: %d %s", r.status, r.body)
	}
	r := w.do("DELETE", token, "/Task/"+name, "If-Match", tag)
	if r.status != 204 || len(r.body) != 0 || slices.Contains(w.sandbox.IDs("Task"), id) {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if sent, _ := spy.last(); sent.Method != "DELETE" || sent.Header.Get("If-Match") != tag {
		t.Errorf("%s %v", sent.Method, sent.Header)
	}
	intent, end := w.intent(r)
	if !slices.Equal(intent.Written, []string{"Task"}) || !slices.Contains(intent.Subjects, "Task/"+name) || len(intent.Patients) != 1 || end.Status != 204 || end.Totals != nil {
		t.Errorf("intent %+v end %+v", intent, end)
	}
	if again := w.do("DELETE", token, "/Task/"+name); again.status != 404 || again.code() != "not-found" {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	// What others refer to, the EHR keeps.
	appointment := ""
	for _, encounter := range w.sandbox.IDs("Encounter") {
		body, _ := w.sandbox.Resource("Encounter", encounter)
		if ref, ok := strings.CutPrefix(gjson.GetBytes(body, "appointment.0.reference").String(), "Appointment/"); ok {
			appointment = ref
		}
	}
	if r := w.do("DELETE", token, "/Appointment/"+w.sealed("Appointment", appointment)); r.status != 409 || r.code() != "ehr-conflict" || bytes.Contains(r.body, []byte(appointment)) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestWritesInABatch sends entries that write: each has its own records.
func TestWritesInABatch(t *testing.T) {
	w, spy, token := newWriting(t)
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	r := w.put("POST", token, "", `{"resourceType":"Bundle","type":"batch","entry":[
		{"resource":`+note+`,"request":{"method":"POST","url":"Communication"}},
		{"resource":{"resourceType":"Task","id":"`+name+`","status":"ready"},"request":{"method":"PUT","url":"Task/`+name+`"}},
		{"request":{"method":"GET","url":"Task/`+name+`"}}]}`)
	doc := r.json()
	if r.status != 200 || doc.Get("entry.0.response.status").String() != "201 Created" || doc.Get("entry.0.response.location").String() == "" ||
		doc.Get("entry.0.resource.status").String() != "completed" || !strings.HasPrefix(doc.Get("entry.1.response.status").String(), "428") ||
		doc.Get("entry.2.response.status").String() != "200 OK" || w.notes() != 1 || spy.asked() != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
	kinds := map[accesslog.Kind]int{}
	for _, rec := range w.records(r.header.Get("X-Correlation-Id")) {
		if strings.HasSuffix(rec.RequestID, "#1") {
			kinds[rec.Kind]++
		}
	}
	if kinds[accesslog.KindIntent] != 1 || kinds[accesslog.KindAccess] != 1 {
		t.Errorf("records of the first entry: %v", kinds)
	}
}
