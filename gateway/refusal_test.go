package gateway_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// unsigned makes a token of algorithm none from a good one.
func unsigned(token string) string {
	claims := strings.Split(token, ".")[1]
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + claims + "."
}

// TestRefusals makes each call that must not be served, and sees the refusal and its record.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	access := w.token("demo-access", demo.TokenOptions{})
	scheduling := w.token("demo-scheduling", demo.TokenOptions{})
	claim := func(name string, value any) string {
		return w.token("demo-access", demo.TokenOptions{Claims: map[string]any{name: value}})
	}
	hour := time.Now().Add(-time.Hour).Unix()
	for _, c := range []struct {
		name, method, token, path string
		headers                   []string
		status                    int
		code                      string
	}{
		{"no token", "GET", "", "/Patient", nil, 401, "token-missing"},
		{"expired", "GET", claim("exp", hour), "/Patient", nil, 401, "token-expired"},
		{"wrong audience", "GET", claim("aud", "https://elsewhere.example/fhir"), "/Patient", nil, 401, "token-audience"},
		{"unknown issuer", "GET", claim("iss", "https://elsewhere.example"), "/Patient", nil, 401, "token-issuer"},
		{"alg none", "GET", unsigned(access), "/Patient", nil, 401, "token-algorithm"},
		{"tampered", "GET", access[:len(access)-6] + "AAAAAA", "/Patient", nil, 401, "token-signature"},
		{"no scopes", "GET", w.token("demo-nobody", demo.TokenOptions{}), "/Patient", nil, 403, "scope"},
		{"scope of another type", "GET", w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Location.rs"}}), "/Patient", nil, 403, "scope"},
		{"scope without search", "GET", w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/Patient.r"}}), "/Patient", nil, 403, "scope"},
		{"no role", "GET", claim("roles", nil), "/Practitioner", nil, 403, "policy-role"},
		{"no ticket", "GET", claim("ticket", nil), "/Patient?" + identifier(w.sandbox, 0), nil, 403, "policy-ticket"},
		{"purpose", "GET", claim("purpose_of_use", "TREAT"), "/Practitioner", nil, 403, "policy-purpose"},
		{"ticket of another desk", "GET", claim("ticket_category", "billing"), "/Practitioner", nil, 403, "policy-category"},
		{"type that the desk has no need of", "GET", scheduling, "/Coverage", nil, 403, "policy-type"},
		{"purpose by header, not trusted", "GET", access, "/Practitioner", []string{"Purpose-Of-Use", "PATADMIN"}, 403, "header-untrusted"},
		{"another ticket than the token's, not trusted", "GET", access, "/Practitioner", []string{"Ticket-Id", "INC-9"}, 403, "header-untrusted"},
		{"ticket twice", "GET", scheduling, "/Location", []string{"Ticket-Id", "INC-9", "Ticket-Id", "INC-8"}, 400, "header-malformed"},
		{"hidden element", "GET", scheduling, "/Patient?gender=male", nil, 403, "search-hidden"},
		{"half of a combination", "GET", access, "/Patient?birthdate=1970-01-01", nil, 403, "search-hidden"},
		{"range in a combination", "GET", access, "/Patient?family=Oddwick&birthdate=ge1970-01-01", nil, 403, "search-hidden"},
		{"list in a combination", "GET", access, "/Patient?family=Oddwick&birthdate=1970-01-01,1970-01-02", nil, 403, "search-hidden"},
		{"repeated in a combination", "GET", access, "/Patient?family=Oddwick&birthdate=1970-01-01&birthdate=1970-01-01", nil, 403, "search-hidden"},
		{"masked number's system alone", "GET", access, "/Patient?identifier=urn:x|", nil, 403, "search-hidden"},
		{"presence", "GET", scheduling, "/Patient?identifier:missing=false", nil, 403, "search-hidden"},
		{"sort by what is hidden", "GET", scheduling, "/Appointment?_sort=patient", nil, 403, "search-hidden"},
		{"unknown type", "GET", access, "/Nonsense/1", nil, 404, "unknown-type"},
		{"malformed id", "GET", access, "/Patient/a_b", nil, 400, "malformed-id"},
		{"raw id", "GET", access, "/Patient/" + w.sandbox.IDs("Patient")[2], nil, 404, "not-found"},
		{"unknown parameter", "GET", access, "/Patient?shoesize=44", nil, 400, "unknown-parameter"},
		{"malformed value", "GET", access, "/Patient?_count=many", nil, 400, "malformed-parameter"},
		{"include by what is hidden", "GET", scheduling, "/Appointment?_include=Appointment:supporting-info", nil, 403, "search-hidden"},
		{"has", "GET", access, "/Patient?_has:Observation:patient:code=1", nil, 403, "search-hidden"},
		{"operation", "GET", access, "/Patient/$everything", nil, 403, "not-supported"},
		{"history of nobody", "GET", access, "/Patient/1/_history", nil, 404, "not-found"},
		{"history of all patients", "GET", access, "/Patient/_history", nil, 403, "policy-interaction"},
		{"create of nothing", "POST", access, "/Patient", nil, 400, "malformed-body"},
		{"delete", "DELETE", access, "/Patient/1", nil, 403, "scope"},
		{"invented method", "BREW", access, "/Patient/1", nil, 405, "method-not-allowed"},
		{"method override", "GET", access, "/Patient/1", []string{"X-HTTP-Method-Override", "DELETE"}, 400, "malformed-request"},
		{"XML by Accept", "GET", access, "/Patient", []string{"Accept", "application/fhir+xml"}, 406, "not-acceptable"},
		{"XML by _format", "GET", access, "/Patient?_format=xml", nil, 406, "not-acceptable"},
		{"dot segment", "GET", access, "/Location/%2e%2e/Patient", nil, 400, "malformed-request"},
		{"encoded slash", "GET", access, "/Patient%2F1", nil, 400, "malformed-request"},
		{"too long", "GET", access, "/Patient?family=" + strings.Repeat("x", 9000), nil, 414, "too-long"},
		{"forged page", "GET", access, "/Patient?_page=AAAA", nil, 400, "page-invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.ehr.Requests()
			r := w.do(c.method, c.token, c.path, c.headers...)
			if r.status != c.status || r.code() != c.code {
				t.Fatalf("%d %s, want %d %s: %s", r.status, r.code(), c.status, c.code, r.body)
			}
			if w.ehr.Requests() != before {
				t.Error("the EHR was asked")
			}
			doc := r.json()
			if doc.Get("resourceType").String() != "OperationOutcome" || doc.Get("issue.0.details.text").String() == "" ||
				!strings.Contains(doc.Get("issue.0.diagnostics").String(), r.header.Get("X-Correlation-Id")) ||
				!strings.Contains(doc.Get("issue.0.diagnostics").String(), "retry=") {
				t.Errorf("outcome %s", r.body)
			}
			if challenge := r.header.Get("WWW-Authenticate"); (c.status == 401) != (challenge != "") {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			if allow := r.header.Get("Allow"); (c.status == 405) != (allow != "") {
				t.Errorf("Allow %q", allow)
			}
			rec := w.record(r)
			if rec.Kind != accesslog.KindRefusal || rec.Status != c.status || rec.Code != c.code || len(rec.Subjects) != 0 {
				t.Errorf("record %+v", rec)
			}
			if c.status != 401 && rec.Actor.Client == "" {
				t.Error("the record does not say who")
			}
		})
	}
	if log := w.operator.String(); strings.Contains(log, access[:40]) {
		t.Error("a token in the operator's log")
	}
}

// TestEHRFaults breaks the EHR in every way and sees the refusal, its record, and nothing of
// the EHR's words.
func TestEHRFaults(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "issuers:", "    timeouts: {connect: 300ms, header: 300ms, idle: 300ms, total: 2s}\n    breaker: {calls: 0}\nissuers:", 1)
	}))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	id := w.get(token, "/Appointment?_count=1").json().Get("entry.0.resource.id").String()
	for _, c := range []struct {
		name   string
		fault  demo.Fault
		status int
		code   string
	}{
		{"dead", demo.FaultDead, 502, "ehr-unreachable"},
		{"no header", demo.FaultStall, 504, "ehr-timeout"},
		{"stalled body", demo.FaultStallBody, 504, "ehr-timeout"},
		{"cut", demo.FaultCut, 502, "ehr-cut"},
		{"HTML", demo.FaultHTML, 502, "ehr-invalid"},
		{"401", demo.FaultUnauthorized, 502, "ehr-refused"},
		{"403", demo.FaultForbidden, 502, "ehr-refused"},
		{"500", demo.FaultInternal, 502, "ehr-error"},
		{"429", demo.FaultThrottled, 429, "ehr-busy"},
		{"invalid JSON", demo.FaultInvalidJSON, 502, "ehr-cut"}, // it breaks within a string, which then never ends
		{"another resource", demo.FaultWrong, 502, "ehr-invalid"},
		{"redirect", demo.FaultRedirect, 502, "ehr-invalid"},
		{"XML", demo.FaultXML, 502, "ehr-invalid"},
		{"503", demo.FaultBusy, 503, "ehr-busy"}, // last, since it asks for a rest
	} {
		t.Run(c.name, func(t *testing.T) {
			w.ehr.Set(c.fault, 0)
			defer w.ehr.Set(demo.FaultNone, 0)
			r := w.get(token, "/Appointment/"+id)
			if r.err != nil || r.status != c.status || r.code() != c.code {
				t.Fatalf("%d %s %v, want %d %s: %s", r.status, r.code(), r.err, c.status, c.code, r.body)
			}
			if strings.Contains(string(r.body)+fmt.Sprint(r.header), "Oddwick") {
				t.Error("the EHR's words left")
			}
			if c.code == "ehr-busy" && (r.header.Get("Retry-After") != "7" && r.header.Get("Retry-After") != "3") {
				t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
			}
			if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != c.status || rec.Code != c.code || len(rec.Subjects) != 0 {
				t.Errorf("record %+v", rec)
			}
		})
	}
	if strings.Contains(w.operator.String(), "Oddwick") {
		t.Error("the EHR's words in the operator's log")
	}
}

// TestCutStream breaks the EHR after windows have left: the answer must look cut, and a
// closing record must say so.
func TestCutStream(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "limits:\n  window: 4KiB\n" }))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	whole := w.get(token, "/Appointment?_count=1000")
	if whole.status != 200 || len(whole.body) < 20<<10 {
		t.Fatalf("%d, %d bytes", whole.status, len(whole.body))
	}
	w.named(whole)
	recs := w.records(whole.header.Get("X-Request-Id"))
	if first, last := recs[0], recs[len(recs)-1]; first.Kind != accesslog.KindAccess || !first.More || last.Kind != accesslog.KindClose || last.More || last.Totals == nil {
		t.Errorf("first %+v last %+v", first, last)
	}
	for _, http2 := range []bool{true, false} {
		for _, fault := range []demo.Fault{demo.FaultCut, demo.FaultInvalidJSON} {
			client := w.client
			if !http2 {
				one := w.client.Transport.(*http.Transport).Clone()
				one.ForceAttemptHTTP2 = false
				one.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
				one.TLSClientConfig.NextProtos = []string{"http/1.1"}
				w.client = &http.Client{Transport: one}
			}
			w.ehr.Set(fault, 0)
			r := w.get(token, "/Appointment?_count=1000")
			w.ehr.Set(demo.FaultNone, 0)
			w.client.CloseIdleConnections()
			w.client = client
			if r.status != 200 || r.err == nil || len(r.body) == 0 {
				t.Fatalf("%d, %d bytes, error %v: want a stream that breaks", r.status, len(r.body), r.err)
			}
			if gjson.ValidBytes(r.body) {
				t.Error("the part was closed neatly")
			}
			recs := w.records(r.header.Get("X-Request-Id"))
			if last := recs[len(recs)-1]; last.Kind != accesslog.KindClose || last.Detail != "aborted" || last.Code == "" || last.Totals == nil {
				t.Errorf("the last record is %+v", last)
			}
		}
	}
}
