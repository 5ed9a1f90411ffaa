package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// versions is a policy that lets histories be read; more are further members of its decision.
func versions(more string) []setting {
	return []setting{
		withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }),
		withBundle(map[string]string{
			"halfdoor/decision.rego": strings.ReplaceAll(allowAll, `"dataset": "access"`, `"dataset": "versions"`+more),
			"halfdoor/datasets/versions/data.yaml": `title: Versions
version: 1
resources:
  Patient: {id: token, meta.versionId: keep, meta.lastUpdated: keep, active: keep}
  Appointment: {id: token, meta.versionId: keep, meta.lastUpdated: keep, status: keep, participant.actor: reference}
  Location: {id: token, meta.versionId: keep, status: keep}
`}),
	}
}

const denied = `, "deny_labels": data.halfdoor.deny_labels`

// TestHistories reads what a resource was, what all of a type were, and what all were.
func TestHistories(t *testing.T) {
	w := newWorld(t, versions("")...)
	token := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.rs"}})
	raw := rawIDs(w.sandbox)
	id := w.get(token, "/Patient?_count=1").json().Get("entry.0.resource.id").String()
	for path, most := range map[string]int{
		"/Patient/" + id + "/_history":                                  1,
		"/Patient/" + id + "/_history?_since=2001-01-01T00:00:00Z":      1,
		"/Appointment/_history?_count=7":                                7,
		"/_history?_count=90&_since=2001-01-01T00:00:00Z":               2,
		"/Patient/" + id + "/_history?_count=1":                         1,
		"/Appointment/_history?_count=7&_since=2024-01-01T00:00:00.00Z": 7,
	} {
		r := w.get(token, path)
		entries := r.json().Get("entry").Array()
		if r.status != 200 || r.json().Get("type").String() != "history" || len(entries) < most || r.json().Get("total").Exists() {
			t.Errorf("%s: %d, %d entries: %.300s", path, r.status, len(entries), r.body)
			continue
		}
		for _, e := range entries {
			if e.Get("response.etag").Exists() || e.Get("resource.meta.versionId").String() == "" {
				t.Errorf("%s: entry %s", path, e.Raw)
			}
		}
		for _, one := range raw {
			if strings.Contains(string(r.body), one) {
				t.Errorf("%s: the EHR's id %s left", path, one)
			}
		}
		w.named(r)
		next := r.json().Get(`link.#(relation=="next").url`).String()
		if most > 1 {
			if again := w.get(token, next); again.status != 200 || again.json().Get("type").String() != "history" || !again.json().Get("entry").Exists() {
				t.Errorf("%s: the next page: %d %.300s", path, again.status, again.body)
			}
		}
	}
	// Its versions are not told: nor how many there are.
	where := w.get(token, "/Location?_count=1").json().Get("entry.0.resource.id").String()
	for path, want := range map[string]string{
		"/Location/" + where + "/_history": "403 history-hidden",
		"/Location/_history":               "403 history-hidden",
	} {
		w.refused(w.get(token, path), path, want)
	}
	w.refused(w.get(w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Patient.rs"}}), "/_history"), "all by a scope for one", "403 scope")
	w.refused(w.get(w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Patient.r"}}), "/Patient/_history"), "of the type by r", "403 scope")
	w.refused(w.get(w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Patient.s"}}), "/Patient/"+id+"/_history"), "of one by s", "403 scope")
}

// TestHistoryOfWhatMayNotBeKnown asks for former versions of a deleted patient, of another than the
// one the app was launched for, and of one who is withheld: they cannot be told from nobody's.
func TestHistoryOfWhatMayNotBeKnown(t *testing.T) {
	w := newWorld(t, versions(denied)...)
	token := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.rs"}})
	own := w.sandbox.IDs("Patient")[appPatient]
	app := w.token("demo-app", demo.TokenOptions{Scopes: []string{"patient/*.rs"}, Claims: map[string]any{"patient": own}})
	seal := w.sealer("demo-access")
	appSeal := w.sealer("demo-app")
	var withheld string
	for _, id := range w.sandbox.IDs("Patient") {
		if body, _ := w.sandbox.Resource("Patient", id); gjson.GetBytes(body, `meta.security.#(code=="R")`).Exists() {
			withheld = id
		}
	}
	deleted := w.sandbox.Deleted("Patient")
	if withheld == "" || len(deleted) == 0 {
		t.Fatal("the sandbox has nobody to withhold, or nobody deleted")
	}
	same := []string{"X-Correlation-Id", "same", "X-Request-Id"}
	nobody := w.get(token, "/Patient/"+seal("Patient", "no-such-patient")+"/_history", append(same, "a")...)
	w.refused(nobody, "nobody", "404 not-found")
	for name, ask := range map[string][2]string{
		"deleted":                     {token, seal("Patient", deleted[0])},
		"withheld":                    {token, seal("Patient", withheld)},
		"raw id":                      {token, own},
		"another than the launched":   {app, appSeal("Patient", w.sandbox.IDs("Patient")[1])},
		"a prefix of the launched id": {app, own[:len(own)-1]},
	} {
		for _, below := range []string{"/_history", "/_history/1"} {
			r := w.get(ask[0], "/Patient/"+ask[1]+below, append(same, name+below)...)
			w.refused(r, name+below, "404 not-found")
			if string(r.body) != string(nobody.body) {
				t.Errorf("%s%s: %s, of nobody %s", name, below, r.body, nobody.body)
			}
		}
	}
	// What is missing in the history of many would tell.
	for _, path := range []string{"/Patient/_history", "/_history", "/Appointment/_history?_count=1"} {
		w.refused(w.get(token, path), path, "403 history-hidden")
		w.refused(w.get(app, path), path+" by the app", "403 history-hidden")
	}
	if r := w.get(app, "/Patient/"+own+"/_history"); r.status != 200 || !r.json().Get("entry").Exists() {
		t.Errorf("its own patient's: %d %s", r.status, r.body)
	}
}

// TestHistoryDrops has an EHR whose history holds versions that must not leave.
func TestHistoryDrops(t *testing.T) {
	const history = `{"resourceType":"Bundle","type":"history","total":4,"entry":[` +
		`{"resource":{"resourceType":"Patient","id":"p1","meta":{"versionId":"4"},"active":true},"request":{"method":"PUT","url":"Patient/p1"},"response":{"status":"200","etag":"W/\"4\""}},` +
		`{"fullUrl":"https://evil.example/Patient/p1","request":{"method":"DELETE","url":"Patient/CANARY"},"response":{"status":"204"}},` +
		`{"resource":{"resourceType":"Patient","id":"p1","meta":{"versionId":"2","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"active":false}},` +
		`{"resource":{"resourceType":"Patient","id":"p12","active":true},"response":{"status":"200","location":"Patient/p12"}},` +
		`{"resource":{"resourceType":"Observation","id":"CANARY"}}]}`
	w := newWorld(t, append(versions(denied), withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body := `{"resourceType":"Patient","id":"p1","meta":{"versionId":"4"},"active":true}`
		if strings.HasSuffix(r.URL.Path, "/_history") {
			body = history
		}
		says(body).ServeHTTP(rw, r)
	})))...)
	app := w.token("demo-app", demo.TokenOptions{Scopes: []string{"patient/*.rs"}, Claims: map[string]any{"patient": "p1"}})
	r := w.get(app, "/Patient/p1/_history")
	if entries := r.json().Get("entry").Array(); r.status != 200 || len(entries) != 1 || strings.Contains(string(r.body), "CANARY") || r.json().Get("total").Exists() {
		t.Errorf("%d %s", r.status, r.body)
	}
	if totals := w.record(r).Totals; totals.Dropped["label"]["Patient"] != 1 || totals.Released["Patient"] != 1 {
		t.Errorf("totals %+v", totals)
	}
}

// TestHistoryOfAnother has an EHR that answers with the versions of somebody else.
func TestHistoryOfAnother(t *testing.T) {
	const history = `{"resourceType":"Bundle","type":"history","entry":[` +
		`{"resource":{"resourceType":"Patient","id":"p1","meta":{"versionId":"2"}},"request":{"method":"PUT","url":"Patient/p1"},"response":{"status":"200"}},` +
		`{"resource":{"resourceType":"Patient","id":"p12","meta":{"versionId":"CANARY"}},"request":{"method":"PUT","url":"Patient/p12"},"response":{"status":"200"}},` +
		`{"resource":{"resourceType":"Patient","meta":{"versionId":"CANARY"}}}]}`
	w := newWorld(t, append(versions(""), withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body := `{"resourceType":"Patient","id":"p1","meta":{"versionId":"2"}}`
		if strings.HasSuffix(r.URL.Path, "/_history") {
			body = history
		}
		says(body).ServeHTTP(rw, r)
	})))...)
	token, seal := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.rs"}}), w.sealer("demo-access")
	r := w.get(token, "/Patient/"+seal("Patient", "p1")+"/_history")
	other := seal("Patient", "p12")
	if r.status != 200 || len(r.json().Get("entry").Array()) != 1 || strings.Contains(string(r.body), "CANARY") || strings.Contains(string(r.body), other) {
		t.Errorf("%d %s", r.status, r.body)
	}
	rec := w.record(r)
	if rec.Totals.Dropped["other"]["Patient"] != 2 || rec.Totals.Released["Patient"] != 1 || len(rec.Subjects) != 1 {
		t.Errorf("record %+v, totals %+v", rec, rec.Totals)
	}
}
