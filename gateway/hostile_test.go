package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestNoSilentOK makes the gateway's own side of a call fail, not the client's: the answer
// must be a refusal, and never the 200 that a handler sends which says nothing.
func TestNoSilentOK(t *testing.T) {
	t.Run("an id that is none", func(t *testing.T) {
		w := newWorld(t, withEHR(says(`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Location","id":"not an id","status":"active"}}]}`)))
		r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location")
		if r.status != 502 || r.code() != "ehr-invalid" {
			t.Fatalf("%d %q %v", r.status, r.body, r.err)
		}
		if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != 502 || len(rec.Subjects) != 0 || rec.More || rec.Totals != nil {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("more subjects than a record holds", func(t *testing.T) {
		var many strings.Builder
		many.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Appointment","id":"a1","status":"booked","participant":[`)
		for i := range 60_000 {
			if i > 0 {
				many.WriteByte(',')
			}
			fmt.Fprintf(&many, `{"actor":{"reference":"Patient/registration-number-%d"}}`, i)
		}
		many.WriteString(`]}}]}`)
		w := newWorld(t, withEHR(says(many.String())), withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\nlimits: {patients_per_hour: 0}\n" }), withBundle(map[string]string{
			"halfdoor/decision.rego":                 strings.Replace(allowAll, `"access"`, `"scheduling"`, 1),
			"halfdoor/datasets/scheduling/data.yaml": "title: Narrow\nversion: 1\nresources:\n  Appointment: {id: token, status: keep}\nsearch: {}\nwrite: {}\n",
		}))
		r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Appointment")
		if r.status != 502 || r.code() != "ehr-too-large" {
			t.Fatalf("%d %.300q %v", r.status, r.body, r.err)
		}
		if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != 502 || len(rec.Subjects) != 0 || len(rec.Patients) != 0 || rec.More || rec.Totals != nil {
			t.Errorf("record: %s %d, %d subjects, more %v, totals %v", rec.Kind, rec.Status, len(rec.Subjects), rec.More, rec.Totals)
		}
	})
}

// TestOnlyTheTypeAsked has an EHR that adds to a search what nobody asked for: the scopes
// cover the type that was asked for, not those.
func TestOnlyTheTypeAsked(t *testing.T) {
	w := newWorld(t, withEHR(says(`{"resourceType":"Bundle","type":"searchset","entry":[`+
		`{"resource":{"resourceType":"Appointment","id":"a1","status":"booked","participant":[{"actor":{"reference":"Patient/p1"}}]}},`+
		`{"resource":{"resourceType":"Patient","id":"p1","active":true,"birthDate":"1970-01-01"},"search":{"mode":"include"}}]}`)))
	token := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/Appointment.rs"}})
	r := w.get(token, "/Appointment")
	entries := r.json().Get("entry").Array()
	if r.status != 200 || len(entries) != 1 || entries[0].Get("resource.resourceType").String() != "Appointment" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Totals.Dropped["type"]["Patient"] != 1 || rec.Totals.Released["Appointment"] != 1 {
		t.Errorf("totals %+v", rec.Totals)
	}
}

// TestContained has a dataset that keeps what a resource contains: that leaves by the row of its own
// type, which is not the one asked for, and only as a part of it.
func TestContained(t *testing.T) {
	const (
		coverage = `{"resourceType":"Coverage","id":"c1","status":"active","payor":[{"reference":"#o"}],"contained":[` +
			`{"resourceType":"Organization","id":"o","name":"Small Lantern","telecom":[{"value":"CANARY"}]},{"resourceType":"Medication","id":"CANARY"}]}`
		organization = `{"resourceType":"Organization","id":"CANARY","name":"Small Lantern"}`
	)
	keeps := withBundle(map[string]string{
		"halfdoor/decision.rego": strings.Replace(allowAll, `"access"`, `"keeping"`, 1),
		"halfdoor/datasets/keeping/data.yaml": `title: Contained resources kept
version: 1
resources:
  Coverage: {id: keep, status: keep, payor: reference, contained: keep}
  Organization: {id: token, name: keep}
`,
	})
	for path, body := range map[string]string{
		"/Coverage/c1": coverage,
		"/Coverage": `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":` + coverage + `},{"resource":` + organization + `},` +
			`{"resource":{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + organization + `}]}}]}`,
	} {
		w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), keeps, withEHR(says(body)))
		r := w.get(w.token("demo-billing", demo.TokenOptions{Scopes: []string{"system/Coverage.rs"}}), path)
		got := r.json()
		if path == "/Coverage" {
			got = got.Get(`entry.#(resource.resourceType=="Coverage").resource`)
		}
		contained := `[{"resourceType":"Organization","id":"o","name":"Small Lantern"}]`
		if r.status != 200 || got.Get("contained").Raw != contained || got.Get("payor.0.reference").String() != "#o" || strings.Contains(string(r.body), "CANARY") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		rec := w.record(r)
		if rec.Totals.Released["Coverage"] != 1 || rec.Totals.Dropped["type"]["Medication"] != 1 || path == "/Coverage" && rec.Totals.Dropped["type"]["Organization"] != 2 {
			t.Errorf("%s: totals %+v", path, rec.Totals)
		}
		if len(rec.Subjects) != 1 || !strings.HasPrefix(rec.Subjects[0], "Coverage/") {
			t.Errorf("%s: subjects %v", path, rec.Subjects)
		}
	}
}

// TestEntityTag has EHRs whose entity tag says more than the version.
func TestEntityTag(t *testing.T) {
	for tag, leaves := range map[string]bool{`W/"3"`: true, `W/"a1/_history/3"`: false, `"c2VjcmV0"`: false, `W/"33"`: false} {
		w := newWorld(t, withEHR(says(`{"resourceType":"Location","id":"a1","meta":{"versionId":"3"},"status":"active"}`, "ETag", tag)),
			withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
				"halfdoor/decision.rego":                 strings.Replace(allowAll, `"access"`, `"scheduling"`, 1),
				"halfdoor/datasets/scheduling/data.yaml": "title: Ids kept\nversion: 1\nresources:\n  Location: {id: keep, meta.versionId: keep, status: keep}\nsearch: {}\nwrite: {}\n",
			}))
		r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location/a1")
		if r.status != 200 || (r.header.Get("ETag") != "") != leaves {
			t.Errorf("%s: %d, ETag %q", tag, r.status, r.header.Get("ETag"))
		}
	}
}

// TestNotASearchset has an EHR that answers a search with a Bundle of another type.
func TestNotASearchset(t *testing.T) {
	w := newWorld(t, withEHR(says(`{"resourceType":"Bundle","type":"transaction-response","entry":[{"resource":{"resourceType":"Location","id":"1","status":"active"},"response":{"status":"200"}}]}`)))
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location")
	if r.status != 502 || r.code() != "ehr-invalid" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Code != "ehr-invalid" || len(rec.Subjects) != 0 {
		t.Errorf("record %+v", rec)
	}
}

// TestNoType has an EHR that does not say what it sends, in the first entry and behind a good one.
func TestNoType(t *testing.T) {
	const good = `{"resource":{"resourceType":"Location","id":"1","status":"active"}}`
	for _, entries := range []string{
		`{"resource":{"id":"1","status":"active"}}`, good + `,{"resource":{"id":"2"}}`, good + `,{"resource":{"resourceType":7,"id":"2"}}`,
	} {
		w := newWorld(t, withEHR(says(`{"resourceType":"Bundle","type":"searchset","entry":[`+entries+`]}`)))
		r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location")
		if r.status != 502 || r.code() != "ehr-invalid" {
			t.Errorf("%s: %d %s", entries, r.status, r.body)
		}
		if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != "ehr-invalid" || len(rec.Subjects) != 0 {
			t.Errorf("%s: record %+v", entries, rec)
		}
	}
}

// TestMetricLabels has an EHR that invents resource types: none becomes a label.
func TestMetricLabels(t *testing.T) {
	w := newWorld(t, withEHR(says(`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Oddwick","id":"1"}},{"resource":{"resourceType":"Observation","id":"1"}}]}`)))
	if r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location"); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	_, metrics := w.ask("GET", "/metrics", "")
	if strings.Contains(metrics, "Oddwick") || !strings.Contains(metrics, `halfdoor_filter_resources_total{outcome="type",type="other"} 1`) ||
		!strings.Contains(metrics, `halfdoor_filter_resources_total{outcome="type",type="Observation"} 1`) {
		t.Error("labels of the EHR's invention, or none")
	}
}

// TestPolicyLabels has a policy that makes its reason codes of what it is told.
func TestPolicyLabels(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego": "package halfdoor\n\n# METADATA\n# entrypoint: true\ndecision := {\"allow\": false, \"reason\": {\"code\": sprintf(\"no-%s\", [input.caller.subject]), \"text\": \"No.\"}}\n",
	}))
	for i := range 70 {
		token := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"sub": fmt.Sprintf("u%d", i)}})
		if r := w.get(token, "/Location"); r.code() != fmt.Sprintf("no-u%d", i) {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	_, metrics := w.ask("GET", "/metrics", "")
	if n := strings.Count(metrics, `outcome="no-u`); n != 64 || !strings.Contains(metrics, `outcome="policy-other",status="403"} 6`) {
		t.Errorf("%d labels of the policy's", n)
	}
}

// TestFormerVersion asks for a version from before the resource was restricted: what it is now
// decides.
func TestFormerVersion(t *testing.T) {
	w := newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		label := `{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}`
		switch path := strings.TrimPrefix(r.URL.Path, demo.BasePath); {
		case path == "/Location": // before the restriction, as it were
			says(`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Location","id":"a","status":"active"}},{"resource":{"resourceType":"Location","id":"b","status":"active"}}]}`).ServeHTTP(rw, r)
		case strings.HasPrefix(path, "/Location/a") && !strings.Contains(path, "_history"):
			says(`{"resourceType":"Location","id":"a","meta":{"versionId":"2","security":[`+label+`]},"status":"active"}`).ServeHTTP(rw, r)
		case strings.HasPrefix(path, "/Location/a"):
			says(`{"resourceType":"Location","id":"a","meta":{"versionId":"1"},"status":"active"}`).ServeHTTP(rw, r)
		default:
			says(`{"resourceType":"Location","id":"b","meta":{"versionId":"1"},"status":"active"}`).ServeHTTP(rw, r)
		}
	})))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	ids := w.get(token, "/Location").json().Get("entry.#.resource.id").Array()
	for path, want := range map[string]int{
		"/Location/" + ids[0].String():                 404,
		"/Location/" + ids[0].String() + "/_history/1": 404,
		"/Location/" + ids[1].String() + "/_history/1": 200,
	} {
		r := w.get(token, path)
		if r.status != want {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		if rec := w.record(r); rec.Status != want || (len(rec.Subjects) > 0) != (want == 200) {
			t.Errorf("record %+v", rec)
		}
	}
}
