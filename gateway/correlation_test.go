package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestForwardedFor believes a forwarded address only from configured proxies, and only as
// far as these go.
func TestForwardedFor(t *testing.T) {
	open := newWorld(t)
	proxied := newWorld(t, withConfig(func(y string) string { return y + "trusted_proxies: [127.0.0.0/8, 10.1.0.0/16]\n" }))
	for _, c := range []struct {
		name, forwarded string
		w               *world
		want            string
	}{
		{"no proxy configured", "203.0.113.7", open, "127.0.0.1"},
		{"none forwarded", "", proxied, "127.0.0.1"},
		{"one hop", "203.0.113.7", proxied, "203.0.113.7"},
		{"a proxy behind a proxy", "203.0.113.7, 10.1.2.3", proxied, "203.0.113.7"},
		{"what the client itself wrote", "198.51.100.9, 203.0.113.7, 10.1.2.3", proxied, "203.0.113.7"},
		{"no address", "unknown", proxied, "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.forwarded != "" {
				headers = []string{"X-Forwarded-For", c.forwarded, "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example"}
			}
			r := c.w.get(c.w.token("demo-access", demo.TokenOptions{}), "/Practitioner?_count=1", headers...)
			if rec := c.w.record(r); rec.Source != c.want {
				t.Errorf("source %s, want %s", rec.Source, c.want)
			}
			if strings.Contains(string(r.body), "evil") {
				t.Error("a forwarded host in the answer")
			}
		})
	}
}

// TestCorrelation carries the ids to the EHR, and makes them where they are missing or odd.
func TestCorrelation(t *testing.T) {
	var mu sync.Mutex
	var asked []http.Header
	var w *world
	w = newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Header.Clone())
		mu.Unlock()
		w.sandbox.ServeHTTP(rw, r)
	})))
	token := w.token("demo-access", demo.TokenOptions{})
	for _, c := range []struct{ name, request, trace, wantRequest, wantTrace string }{
		{"taken", "req-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "req-1", "0af7651916cd43dd8448eb211c80319c"},
		{"made", "", "", "", ""},
		{"odd", "a b\tc", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "", ""},
		{"too long", strings.Repeat("x", 65), "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.request != "" {
				headers = []string{"X-Request-Id", c.request, "Traceparent", c.trace}
			}
			r := w.get(token, "/Practitioner?_count=1", append(headers, "X-Secret", "of the client")...)
			mu.Lock()
			to := asked[len(asked)-1]
			mu.Unlock()
			id, correlation := r.header.Get("X-Request-Id"), r.header.Get("X-Correlation-Id")
			if id == "" || correlation == "" || id == "a b\tc" || c.wantRequest != "" && id != c.wantRequest {
				t.Errorf("request id %q, correlation %q", id, correlation)
			}
			rec := w.record(r)
			if to.Get("X-Request-Id") != id || to.Get("X-Correlation-Id") != correlation || rec.RequestID != id || rec.Correlation != correlation {
				t.Errorf("the EHR was told %v, the record says %s and %s", to, rec.RequestID, rec.Correlation)
			}
			parent := to.Get("Traceparent")
			if len(parent) != 55 || parent[3:35] != rec.Trace || c.wantTrace != "" && rec.Trace != c.wantTrace || strings.Contains(parent, "b7ad6b7169203331") {
				t.Errorf("traceparent %q, recorded trace %q", parent, rec.Trace)
			}
			if to.Get("X-Secret") != "" || to.Get("Authorization") != "" {
				t.Errorf("the client's own headers went to the EHR: %v", to)
			}
		})
	}
}

// TestTwoEHRs serves two EHRs, each under its path, with tokens that do not pass between.
func TestTwoEHRs(t *testing.T) {
	t.Setenv("EAST_TOKEN", "the-gateways-own-token")
	second := demo.NewEHR(demo.EHROptions{Seed: 8, Patients: 5})
	server := httptest.NewServer(second)
	defer server.Close()
	second.SetBaseURL(server.URL + demo.BasePath)
	w := newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "issuers:", "  - {name: east, path: /east/r4, base_url: \""+server.URL+demo.BasePath+"\", bearer: env:EAST_TOKEN}\nissuers:", 1)
	}))
	token := w.token("demo-access", demo.TokenOptions{})
	east := strings.TrimSuffix(w.fhir, "/fhir") + "/east/r4"
	r := w.get(token, east+"/Organization?_count=1")
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if url := r.json().Get("entry.0.fullUrl").String(); !strings.HasPrefix(url, east+"/Organization/t") {
		t.Errorf("fullUrl %s", url)
	}
	if rec := w.record(r); rec.EHR != "east" {
		t.Errorf("the record says %s", rec.EHR)
	}
	id := r.json().Get("entry.0.resource.id").String()
	if r := w.get(token, east+"/Organization/"+id); r.status != 200 {
		t.Errorf("read at the same EHR: %d", r.status)
	}
	if r := w.get(token, "/Organization/"+id); r.status != 404 {
		t.Errorf("read at the other EHR: %d", r.status)
	}
	if r := w.get(token, strings.TrimSuffix(w.fhir, "/fhir")+"/eastern/Organization"); r.status != 404 || r.code() != "no-such-path" {
		t.Errorf("a path of no EHR: %d %s", r.status, r.code())
	}
}
