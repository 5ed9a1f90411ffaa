package gateway_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestMisread sends what two servers could read differently, and what means nothing. None of it
// reaches the EHR, and each refusal is recorded as what was recognised of it.
func TestMisread(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	const task = `{"resourceType":"Task","status":"ready"}`
	form, json := "application/x-www-form-urlencoded", "application/fhir+json"
	entry := func(method, url string) string {
		return `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Location"}},{"request":{"method":"` + method + `","url":"` + url + `"}}]}`
	}
	for _, c := range []struct {
		name, line, media, body string
		headers                 []string
		status                  int
		code, interaction       string
	}{
		// Addresses.
		{"metadata in the query", "GET /Patient?x=/metadata", "", "", nil, 400, "unknown-parameter", "search-type"},
		{"another type by percent", "GET /%50atients/1", "", "", nil, 404, "unknown-type", ""},
		{"dots by percent", "GET /Location/%2e%2e%2fPatient", "", "", nil, 400, "malformed-request", ""},
		{"dots by two percents", "GET /Location/%252e%252e/Patient", "", "", nil, 400, "malformed-request", ""},
		{"two slashes", "GET /Location//1", "", "", nil, 400, "malformed-request", ""},
		{"semicolon", "GET /Location;/1", "", "", nil, 400, "malformed-request", ""},
		{"a compartment that is none", "GET /Slot/1/Appointment", "", "", nil, 400, "malformed-request", ""},
		{"POST's search by GET", "GET /Location/_search?name=x", "", "", nil, 405, "method-not-allowed", ""},
		{"method that means nothing", "PUT /Location/_history", "", "", nil, 405, "method-not-allowed", ""},
		{"method by header", "POST /Location/_search", form, "name=x", []string{"X-Method-Override", "DELETE"}, 400, "malformed-request", ""},
		// Parameters.
		{"everything, of every type", "GET /", "", "", nil, 400, "missing-parameter", "search-system"},
		{"a compartment, of every type", "GET /Patient/1/*", "", "", nil, 400, "missing-parameter", "search-compartment"},
		{"counted twice", "GET /Location?_count=1&_count=2", "", "", nil, 400, "malformed-parameter", "search-type"},
		{"elements twice", "GET /Location?_elements=name&_elements=id", "", "", nil, 400, "malformed-parameter", "search-type"},
		{"elements of more", "GET /Location?_elements=*", "", "", nil, 400, "malformed-parameter", "search-type"},
		{"format twice", "GET /Location?_format=json&_format=xml", "", "", nil, 400, "malformed-parameter", "search-type"},
		{"filter", "GET /Patient?_filter=name+eq+x", "", "", nil, 400, "not-supported", "search-type"},
		{"text", "GET /Patient?_text=x", "", "", nil, 400, "not-supported", "search-type"},
		{"content, leniently", "GET /Patient?_content=x", "", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported", "search-type"},
		{"list", "GET /Patient?_list=1", "", "", nil, 400, "not-supported", "search-type"},
		{"query", "GET /Patient?_query=x", "", "", nil, 400, "not-supported", "search-type"},
		{"contained", "GET /Patient?_contained=true", "", "", nil, 400, "not-supported", "search-type"},
		{"a value set", "GET /Appointment?status:in=http://x.example/vs", "", "", nil, 400, "not-supported", "search-type"},
		{"an include of elsewhere", "GET /Location?_include=https://evil.example/Location:organization", "", "", nil, 400, "malformed-parameter", "search-type"},
		{"an include from nowhere", "GET /Location?_include=Observation:subject", "", "", nil, 400, "malformed-parameter", "search-type"},
		{"a chain to several types", "GET /Appointment?actor.identifier=x", "", "", nil, 400, "malformed-parameter", "search-type"},
		{"an endless chain", "GET /Location?" + strings.Repeat("partof:Location.", 5) + "name=x", "", "", nil, 400, "not-supported", "search-type"},
		{"a reversed chain from nowhere", "GET /Patient?_has:Location:organization:name=x", "", "", nil, 400, "malformed-parameter", "search-type"},
		// A form.
		{"query and form disagree", "POST /Location/_search?_count=1", form, "_count=2", nil, 400, "malformed-parameter", "search-type"},
		{"query and form have two types", "POST /_search?_type=Location", form, "_type=Patient", nil, 400, "malformed-parameter", "search-system"},
		{"form as JSON", "POST /Location/_search", json, "name=x", nil, 415, "media-type", "search-type"},
		{"form as text", "POST /Location/_search", "text/plain", "name=x", nil, 415, "media-type", "search-type"},
		{"form in another alphabet", "POST /Location/_search", form + "; charset=utf-7", "name=x", nil, 415, "media-type", "search-type"},
		{"form of two kinds", "POST /Location/_search", form, "name=x", []string{"Content-Type", "text/plain"}, 400, "header-malformed", "search-type"},
		{"form that is none", "POST /Location/_search", form, "{}", nil, 400, "malformed-request", "search-type"},
		// A resource.
		{"XML", "POST /Task", "application/fhir+xml", "<Task/>", nil, 415, "media-type", "create"},
		{"R5", "POST /Task", json + "; fhirVersion=5.0", task, nil, 415, "media-type", "create"},
		{"key twice", "POST /Task", json, `{"resourceType":"Task","status":"ready","st\u0061tus":"done"}`, nil, 400, "malformed-body", "create"},
		{"two resources", "POST /Task", json, task + task, nil, 400, "malformed-body", "create"},
		{"another type", "POST /Appointment", json, task, nil, 400, "body-mismatch", "create"},
		{"another id", "PUT /Task/1", json, `{"resourceType":"Task","id":"12"}`, nil, 400, "body-mismatch", "update"},
		{"an id of its own", "POST /Task", json, `{"resourceType":"Task","id":"1"}`, nil, 400, "body-mismatch", "create"},
		{"merge patch", "PATCH /Task/1", "application/merge-patch+json", "{}", nil, 415, "media-type", "patch"},
		{"patch that is none", "PATCH /Task/1", "application/json-patch+json", "{}", nil, 400, "malformed-body", "patch"},
		// Conditions.
		{"update of all", "PUT /Task", json, task, nil, 400, "missing-parameter", "update"},
		{"deletion of all", "DELETE /Task", "", "", nil, 400, "missing-parameter", "delete"},
		{"deletion of what is not known", "DELETE /Task?nope=1&status=ready", "", "", []string{"Prefer", "handling=lenient"}, 400, "unknown-parameter", "delete"},
		{"a list of versions", "DELETE /Task/1", "", "", []string{"If-Match", `W/"1", W/"2"`}, 400, "header-malformed", "delete"},
		{"any version", "DELETE /Task/1", "", "", []string{"If-Match", "*"}, 400, "header-malformed", "delete"},
		{"two conditions", "DELETE /Task/1", "", "", []string{"If-Match", `W/"1"`, "If-Match", `W/"2"`}, 400, "header-malformed", "delete"},
		{"unless it is there", "PUT /Task/1", json, `{"resourceType":"Task","id":"1"}`, []string{"If-None-Match", "*"}, 400, "not-supported", "update"},
		{"a part of it", "PUT /Task/1", json, `{"resourceType":"Task","id":"1"}`, []string{"Content-Range", "bytes 0-9/10"}, 400, "not-supported", "update"},
		{"existence by filter", "POST /Task", json, task, []string{"If-None-Exist", "_filter=x"}, 400, "not-supported", "create"},
		{"existence of elsewhere", "POST /Task", json, task, []string{"If-None-Exist", "https://evil.example/Task?identifier=1"}, 400, "header-malformed", "create"},
		{"two keys", "POST /Task", json, task, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, "header-malformed", "create"},
		// Bundles.
		{"a Bundle of another kind", "POST /", json, `{"resourceType":"Bundle","type":"collection"}`, nil, 400, "malformed-body", "batch"},
		{"entries twice", "POST /", json, `{"resourceType":"Bundle","type":"batch","entry":[],"entry":[]}`, nil, 400, "malformed-body", "batch"},
		{"absolute in a transaction", "POST /", json, entry("GET", "https://evil.example/Patient/1"), nil, 400, "malformed-body", "transaction"},
		{"protocol-relative in a transaction", "POST /", json, entry("GET", "//evil.example/Patient/1"), nil, 400, "malformed-body", "transaction"},
		{"deletion of all in a transaction", "POST /", json, entry("DELETE", "Task"), nil, 400, "missing-parameter", "transaction"},
		{"dots in a transaction", "POST /", json, entry("GET", "Location/../Patient"), nil, 400, "malformed-request", "transaction"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, path, _ := strings.Cut(c.line, " ")
			headers := c.headers
			if c.media != "" {
				headers = append([]string{"Content-Type", c.media}, headers...)
			}
			before := w.ehr.Requests()
			r := w.send(method, token, path, strings.NewReader(c.body), headers...)
			if r.status != c.status || r.code() != c.code {
				t.Fatalf("%d %s, want %d %s: %s", r.status, r.code(), c.status, c.code, r.body)
			}
			if w.ehr.Requests() != before {
				t.Error("the EHR was asked")
			}
			if strings.Contains(string(r.body), "evil") {
				t.Errorf("the client's words come back: %s", r.body)
			}
			if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != c.status || rec.Code != c.code || rec.Request.Interaction != c.interaction {
				t.Errorf("record %+v, want %q", rec, c.interaction)
			}
		})
	}
}
