package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

func without(t *testing.T, doc []byte, paths ...string) string {
	t.Helper()
	for _, path := range paths {
		var err error
		doc, err = sjson.DeleteBytes(doc, path)
		check(t, err)
	}
	return string(doc)
}

func set(t *testing.T, doc []byte, path string, value any) string {
	t.Helper()
	out, err := sjson.SetBytes(doc, path, value)
	check(t, err)
	return string(out)
}

// TestUpdateDestroysNothing sends the client's filtered copy back with one change: at the EHR that is
// changed and nothing else, hidden elements at every depth included.
func TestUpdateDestroysNothing(t *testing.T) {
	w, spy, token := newWriting(t)
	for _, status := range []string{"booked", "pending"} {
		name := w.get(token, "/Appointment?status="+status+"&_count=1").json().Get("entry.0.resource.id").String()
		r := w.get(token, "/Appointment/"+name)
		if r.status != 200 || r.header.Get("ETag") == "" {
			t.Fatalf("%d %s", r.status, r.body)
		}
		id, before := w.real("Appointment", name)

		up := w.put("PUT", token, "/Appointment/"+name, set(t, r.body, "status", "arrived"), "If-Match", r.header.Get("ETag"))
		_, after := w.real("Appointment", name)
		if up.status != 200 || up.json().Get("status").String() != "arrived" || up.header.Get("ETag") == r.header.Get("ETag") || up.header.Get("ETag") == "" ||
			up.header.Get("Location") != "" || up.header.Get("Last-Modified") == "" {
			t.Fatalf("%d %v %s", up.status, up.header, up.body)
		}
		changed := []string{"status", "meta.versionId", "meta.lastUpdated"}
		if was, is := without(t, before, changed...), without(t, after, changed...); was != is {
			t.Errorf("was %s\nis  %s", was, is)
		}
		if !strings.Contains(string(after), `"status":"arrived"`) {
			t.Errorf("%s", after)
		}
		if sent, body := spy.last(); sent.Method != "PUT" || sent.Header.Get("If-Match") != r.header.Get("ETag") || !strings.Contains(body, `"comment"`) {
			t.Errorf("%s %v %s", sent.Method, sent.Header, body)
		}
		// What the client is told is what it would read.
		again := w.get(token, "/Appointment/"+name)
		if string(again.body) != string(up.body) || again.header.Get("ETag") != up.header.Get("ETag") {
			t.Errorf("told %s\nreads %s", up.body, again.body)
		}
		intent, end := w.intent(up)
		if !slices.Equal(intent.Written, []string{"Appointment.status"}) || intent.Status != 0 || len(intent.Patients) != 1 ||
			!slices.Contains(intent.Subjects, "Appointment/"+name) ||
			intent.Request.Interaction != "update" || intent.Request.ID != name || intent.Ticket.ID == "" {
			t.Errorf("intent %+v", intent)
		}
		if end.Kind != accesslog.KindAccess || end.Status != 200 || !slices.Equal(end.Written, intent.Written) || !slices.Equal(end.Patients, intent.Patients) || end.Totals == nil {
			t.Errorf("end %+v", end)
		}
		if strings.Contains(w.operator.String(), id) {
			t.Error("an id in the operator's log")
		}
	}
	w.verify()
}

func TestPatch(t *testing.T) {
	w, _, token := newWriting(t)
	name := w.get(token, "/Task?_count=1").json().Get("entry.0.resource.id").String()
	_, before := w.real("Task", name)
	status := gjson.GetBytes(before, "status").String()
	r := w.put("PATCH", token, "/Task/"+name, `[{"op":"test","path":"/status","value":"`+status+`"},{"op":"replace","path":"/status","value":"completed"},{"op":"remove","path":"/priority"}]`)
	_, after := w.real("Task", name)
	if r.status != 200 || r.json().Get("status").String() != "completed" || r.json().Get("priority").Exists() || r.header.Get("ETag") == "" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	changed := []string{"status", "priority", "meta.versionId", "meta.lastUpdated"}
	if was, is := without(t, before, changed...), without(t, after, changed...); was != is || gjson.GetBytes(after, "priority").Exists() {
		t.Errorf("was %s\nis  %s", was, is)
	}
	if intent, _ := w.intent(r); !slices.Equal(intent.Written, []string{"Task.status", "Task.priority"}) {
		t.Errorf("written %v", intent.Written)
	}
}

func TestCreate(t *testing.T) {
	w, spy, token := newWriting(t)
	patient := w.get(token, "/Patient?"+identifier(w.sandbox, 5)).json().Get("entry.0.resource.id").String()
	body := `{"resourceType":"Communication","status":"completed","sent":"2026-06-15T10:00:00Z","medium":[{"coding":[{"system":"urn:x","code":"sms"}]}],
		"subject":{"reference":"Patient/` + patient + `"},"recipient":[{"reference":"` + w.fhir + `/Patient/` + patient + `"}]}`
	r := w.put("POST", token, "/Communication", body)
	if r.status != 201 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	name := r.json().Get("id").String()
	id, stored := w.real("Communication", name)
	if r.header.Get("ETag") != `W/"1"` || r.header.Get("Location") != w.fhir+"/Communication/"+name+"/_history/1" {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	real := "Patient/" + w.sandbox.IDs("Patient")[5]
	if gjson.GetBytes(stored, "subject.reference").String() != real || gjson.GetBytes(stored, "recipient.0.reference").String() != real ||
		strings.Contains(string(stored), patient) {
		t.Errorf("stored %s", stored)
	}
	if r.json().Get("subject.reference").String() != "Patient/"+patient || strings.Contains(string(r.body), id) {
		t.Errorf("told %s", r.body)
	}
	if again := w.get(token, strings.TrimPrefix(r.header.Get("Location"), w.fhir)); string(again.body) != string(r.body) {
		t.Errorf("at its location: %d %s", again.status, again.body)
	}
	intent, end := w.intent(r)
	if !slices.Equal(intent.Written, []string{"Communication.status", "Communication.sent", "Communication.medium.coding.system", "Communication.medium.coding.code", "Communication.recipient", "Communication.subject"}) ||
		!slices.Equal(intent.Subjects, []string{"Patient/" + patient}) || len(intent.Patients) != 1 {
		t.Errorf("intent %+v", intent)
	}
	if end.Status != 201 || !slices.Contains(end.Subjects, "Communication/"+name) || !slices.Equal(end.Written, intent.Written) {
		t.Errorf("end %+v", end)
	}
	if sent, _ := spy.last(); sent.URL.Path != "/fhir/Communication" || sent.Header.Get("If-None-Exist") != "" || sent.Header.Get("Prefer") != "return=representation" {
		t.Errorf("%v", sent)
	}
}

// TestPrefer asks for less than the resource.
func TestPrefer(t *testing.T) {
	w, spy, token := newWriting(t)
	body := `{"resourceType":"Communication","status":"completed"}`
	for _, tt := range []struct {
		prefer, scopes string
		body           string // a part of it
		shows          bool
	}{
		{"return=minimal", "system/*.cruds", "", false},
		{"return=OperationOutcome", "system/*.cruds", `"informational"`, false},
		{"return=representation", "system/*.cruds", `"status":"completed"`, true},
		{"return=representation", "system/Communication.c", "", false}, // who may not read is not shown
	} {
		token := token
		if tt.scopes != "system/*.cruds" {
			token = w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{tt.scopes}})
		}
		r := w.put("POST", token, "/Communication", body, "Prefer", tt.prefer)
		if r.status != 201 || r.header.Get("Location") == "" || r.header.Get("ETag") == "" || !strings.Contains(string(r.body), tt.body) ||
			r.json().Get("id").Exists() != tt.shows || (len(r.body) == 0) != (r.header.Get("Content-Type") == "") || (tt.body == "") != (len(r.body) == 0) {
			t.Errorf("%s with %s: %d %v %s", tt.prefer, tt.scopes, r.status, r.header, r.body)
		}
		if sent, _ := spy.last(); (sent.Header.Get("Prefer") == "return=representation") != tt.shows {
			t.Errorf("the EHR was asked for %s", sent.Header.Get("Prefer"))
		}
		_, end := w.intent(r)
		name := strings.TrimSuffix(strings.TrimPrefix(r.header.Get("Location"), w.fhir+"/"), "/_history/1")
		if end.Status != 201 || !slices.Contains(end.Subjects, name) {
			t.Errorf("record %+v", end)
		}
	}
}

// TestLostUpdate has somebody else change the record: before the app writes, and between the gateway's own
// reading and writing.
func TestLostUpdate(t *testing.T) {
	w, spy, token := newWriting(t)
	name := w.get(token, "/Appointment?status=booked&_count=1").json().Get("entry.0.resource.id").String()
	mine := w.get(token, "/Appointment/"+name)
	id, before := w.real("Appointment", name)
	other := func() {
		r := httptest.NewRequest("PUT", "/fhir/Appointment/"+id, strings.NewReader(set(t, before, "comment", "moved by the ward")))
		r.Header.Set("Content-Type", "application/fhir+json")
		rec := httptest.NewRecorder()
		if w.sandbox.ServeHTTP(rec, r); rec.Code != 200 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	lost := func(r reply, asked int) {
		t.Helper()
		_, now := w.real("Appointment", name)
		if r.status != 412 || r.code() != "version-conflict" || spy.asked() != asked || gjson.GetBytes(now, "status").String() != "booked" ||
			gjson.GetBytes(now, "comment").String() != "moved by the ward" {
			t.Fatalf("%d %s, asked %d times, %s", r.status, r.body, spy.asked(), now)
		}
	}
	other()
	r := w.put("PUT", token, "/Appointment/"+name, set(t, mine.body, "status", "arrived"), "If-Match", mine.header.Get("ETag"))
	lost(r, 0)
	if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != "version-conflict" || rec.Written != nil {
		t.Errorf("record %+v", rec)
	}
	spy.first(func(http.ResponseWriter, *http.Request) bool { other(); return false })
	for i, send := range []func() reply{
		func() reply {
			now := w.get(token, "/Appointment/"+name)
			return w.put("PUT", token, "/Appointment/"+name, set(t, now.body, "status", "arrived"), "If-Match", now.header.Get("ETag"))
		},
		func() reply {
			return w.put("PATCH", token, "/Appointment/"+name, `[{"op":"replace","path":"/status","value":"arrived"}]`)
		},
	} {
		r := send()
		lost(r, i+1)
		if intent, end := w.intent(r); end.Kind != accesslog.KindRefusal || end.Code != "version-conflict" || len(intent.Written) != 1 || end.Written != nil {
			t.Errorf("intent %+v end %+v", intent, end)
		}
	}
}

// TestWriteRefusals makes each write that must not be made: the EHR is not asked to write, and the record says
// why.
func TestWriteRefusals(t *testing.T) {
	w, spy, token := newWriting(t)
	seal := w.sealer("demo-scheduling")
	var restricted, patient string
	for _, id := range w.sandbox.IDs("Appointment") {
		if body, _ := w.sandbox.Resource("Appointment", id); strings.Contains(string(body), `"code":"R"`) {
			restricted = seal("Appointment", id)
		}
	}
	name := w.get(token, "/Appointment?status=booked&_count=1").json().Get("entry.0.resource.id").String()
	id, before := w.real("Appointment", name)
	mine := w.get(token, "/Appointment/"+name).body
	patient = w.get(token, "/Appointment/"+name).json().Get(`participant.#(actor.reference%"Patient*").actor.reference`).String()
	own := gjson.GetBytes(before, `participant.#(actor.reference%"Patient*").actor.reference`).String()
	theirs := w.sandbox.IDs("Patient")[0]
	if own == "Patient/"+theirs {
		theirs = w.sandbox.IDs("Patient")[1]
	}
	held := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"patient/*.cruds"}, Claims: map[string]any{"patient": theirs}})
	mineHeld := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"patient/*.cruds"}, Claims: map[string]any{"patient": strings.TrimPrefix(own, "Patient/")}})
	scoped := func(scopes ...string) string { return w.token("demo-scheduling", demo.TokenOptions{Scopes: scopes}) }
	tag := gjson.GetBytes(before, "meta.versionId").String()
	foreign := "Patient/" + seal("Patient", theirs)
	participants := gjson.GetBytes(mine, "participant").Raw
	note := `{"resourceType":"Communication","status":"completed","subject":{"reference":"`
	for _, tt := range []struct {
		name, method, token, path, body string
		headers                         []string
		status                          int
		code                            string
	}{
		{"without a version", "PUT", token, "/Appointment/" + name, string(mine), []string{}, 428, "version-required"},
		{"another version", "PUT", token, "/Appointment/" + name, string(mine), []string{"If-Match", `W/"77"`}, 412, "version-conflict"},
		{"any version", "PUT", token, "/Appointment/" + name, string(mine), []string{"If-Match", `*`}, 400, "header-malformed"},
		{"a hidden element", "PUT", token, "/Appointment/" + name, set(t, mine, "comment", "x"), nil, 422, "not-writable"},
		{"a hidden element as it is", "PUT", token, "/Appointment/" + name, set(t, mine, "comment", gjson.GetBytes(before, "comment").String()), nil, 422, "not-writable"},
		{"an element that is not writable", "PUT", token, "/Appointment/" + name, set(t, mine, "created", "2026-01-01"), nil, 422, "not-writable"},
		{"a masked number", "PUT", token, "/Appointment/" + name, set(t, mine, "identifier.0.value", "123"), nil, 422, "not-writable"},
		{"one participant fewer", "PUT", token, "/Appointment/" + name, set(t, mine, "participant", []any{}), nil, 422, "not-writable"},
		{"another patient", "PUT", token, "/Appointment/" + name, strings.Replace(string(mine), patient, foreign, 1), nil, 422, "not-writable"},
		{"by a raw id", "PUT", token, "/Appointment/" + id, strings.Replace(string(mine), name, id, 1), nil, 404, "no-such-target"},
		{"of a restricted record", "PUT", token, "/Appointment/" + restricted, strings.Replace(string(mine), name, restricted, 1), nil, 404, "no-such-target"},
		{"of what is not there", "PUT", token, "/Appointment/" + seal("Appointment", "nothing"), strings.Replace(string(mine), name, seal("Appointment", "nothing"), 1), nil, 404, "no-such-target"},
		{"of an id that the app chose", "PUT", token, "/Appointment/mine", strings.Replace(string(mine), name, "mine", 1), nil, 404, "no-such-target"},
		{"of another patient's", "PUT", held, "/Appointment/" + name, string(mine), nil, 404, "no-such-target"},
		{"patch of another patient's", "PATCH", held, "/Appointment/" + name, `[{"op":"replace","path":"/status","value":"arrived"}]`, nil, 404, "not-found"},
		{"of another id in the body", "PUT", token, "/Appointment/" + name, strings.Replace(string(mine), name, seal("Appointment", "x"), 1), nil, 400, "body-mismatch"},
		{"of another type in the body", "PUT", token, "/Task/" + name, string(mine), nil, 400, "body-mismatch"},
		{"malformed", "PUT", token, "/Appointment/" + name, `{"resourceType":"Appointment",`, nil, 400, "malformed-body"},
		{"a key twice", "PUT", token, "/Appointment/" + name, strings.Replace(string(mine), `"status"`, `"status":"booked","status"`, 1), nil, 400, "malformed-body"},
		{"an array", "PUT", token, "/Appointment/" + name, `[]`, nil, 400, "malformed-body"},
		{"oversized", "PUT", token, "/Appointment/" + name, set(t, mine, "status", strings.Repeat("x", 2<<20)), nil, 413, "body-too-large"},
		{"XML", "PUT", token, "/Appointment/" + name, "<Appointment/>", []string{"Content-Type", "application/fhir+xml"}, 415, "media-type"},
		{"compressed", "PUT", token, "/Appointment/" + name, string(mine), []string{"Content-Encoding", "gzip"}, 415, "media-type"},
		{"without u", "PUT", scoped("system/Appointment.crds"), "/Appointment/" + name, string(mine), nil, 403, "scope"},
		{"without r", "PUT", scoped("system/Appointment.u"), "/Appointment/" + name, string(mine), nil, 403, "scope"},
		{"patch without r", "PATCH", scoped("system/Appointment.u"), "/Appointment/" + name, `[{"op":"test","path":"/status","value":"booked"}]`, nil, 403, "scope"},
		{"create without c", "POST", scoped("system/Communication.ruds"), "/Communication", note + patient + `"}}`, nil, 403, "scope"},
		{"condition without s", "POST", scoped("system/Communication.c"), "/Communication", note + patient + `"}}`, []string{"If-None-Exist", "status=completed"}, 403, "scope"},
		{"another desk", "PUT", w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.cruds"}}), "/Patient/" + name, `{"resourceType":"Patient","id":"` + name + `"}`, nil, 403, "policy-interaction"},
		{"what the desk does not write", "POST", token, "/Appointment", `{"resourceType":"Appointment","status":"booked"}`, nil, 403, "policy-interaction"},
		{"delete", "DELETE", token, "/Appointment/" + name, "", nil, 403, "policy-interaction"},
		{"create of what is hidden", "POST", token, "/Communication", `{"resourceType":"Communication","status":"completed","payload":[{"contentString":"x"}]}`, nil, 422, "not-writable"},
		{"create with a raw id", "POST", token, "/Communication", note + "Patient/" + theirs + `"}}`, nil, 422, "unknown-reference"},
		{"create with an EHR's address", "POST", token, "/Communication", note + w.ehrURL + "/Patient/" + theirs + `"}}`, nil, 422, "unknown-reference"},
		{"create with another client's token", "POST", token, "/Communication", note + "Patient/" + w.sealer("demo-access")("Patient", theirs) + `"}}`, nil, 422, "unknown-reference"},
		{"create for another patient", "POST", mineHeld, "/Communication", note + foreign + `"}}`, nil, 422, "unknown-reference"},
		{"create for nobody, held to a patient", "POST", mineHeld, "/Communication", `{"resourceType":"Communication","status":"completed"}`, nil, 403, "write-outside"},
		{"patch of what is hidden", "PATCH", token, "/Appointment/" + name, `[{"op":"add","path":"/comment","value":"x"}]`, nil, 422, "not-writable"},
		{"patch that tests what is hidden", "PATCH", token, "/Appointment/" + name, `[{"op":"test","path":"/comment","value":"x"}]`, nil, 422, "patch-place"},
		{"patch whose test fails", "PATCH", token, "/Appointment/" + name, `[{"op":"test","path":"/status","value":"arrived"}]`, nil, 409, "patch-test"},
		{"patch of another type", "PATCH", token, "/Appointment/" + name, `[{"op":"replace","path":"/resourceType","value":"Task"}]`, nil, 400, "malformed-body"},
		{"no patch", "PATCH", token, "/Appointment/" + name, `[{"op":"increase","path":"/status"}]`, nil, 400, "malformed-patch"},
		{"a merge patch", "PATCH", token, "/Appointment/" + name, `{"status":"arrived"}`, []string{"Content-Type", "application/merge-patch+json"}, 415, "media-type"},
		{"a patch that fills the participants", "PATCH", token, "/Appointment/" + name, `[{"op":"add","path":"/participant/-","value":` + gjson.Get(participants, "0").Raw + `}]`, nil, 422, "not-writable"},
		{"method override", "POST", token, "/Appointment/" + name, string(mine), []string{"X-HTTP-Method-Override", "PUT"}, 400, "malformed-request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := tt.headers
			if headers == nil && tt.method == "PUT" {
				headers = []string{"If-Match", `W/"` + tag + `"`}
			}
			r := w.put(tt.method, tt.token, tt.path, tt.body, headers...)
			if r.status != tt.status || r.code() != tt.code {
				t.Fatalf("%d %s, want %d %s: %s", r.status, r.code(), tt.status, tt.code, r.body)
			}
			if spy.asked() != 0 {
				t.Fatal("the EHR was asked to write")
			}
			if strings.Contains(string(r.body), theirs) || strings.Contains(string(r.body), "Oddwick") {
				t.Errorf("it tells %s", r.body)
			}
			rec := w.record(r)
			if rec.Kind != accesslog.KindRefusal || rec.Status != tt.status || rec.Code != tt.code || rec.Written != nil {
				t.Errorf("record %+v", rec)
			}
			// What is refused once the record was looked at tells of it.
			looked := slices.Contains([]string{"version-conflict", "patch-place", "patch-test", "malformed-patch"}, tt.code) ||
				tt.code == "not-writable" && tt.method != "POST" || tt.name == "patch of another type"
			if slices.Contains(rec.Subjects, "Appointment/"+name) != looked || looked != (rec.Subjects != nil) || looked != (rec.Patients != nil) {
				t.Errorf("record %+v", rec)
			}
		})
	}
	if _, now := w.real("Appointment", name); !bytes.Equal(now, before) {
		t.Error("something was written")
	}
	if !json.Valid(before) || restricted == "" || patient == "" {
		t.Fatal("the sandbox has not what the test is about")
	}
}
