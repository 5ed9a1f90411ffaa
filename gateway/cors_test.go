package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

const page = "https://helpdesk.example"

func forPage(y string) string {
	return y + "cors:\n  origins: [" + page + ", http://localhost:5173]\n"
}

// list reads a header's list.
func list(h http.Header, name string) []string {
	var all []string
	for _, line := range h.Values(name) {
		for v := range strings.SplitSeq(line, ",") {
			all = append(all, strings.TrimSpace(v))
		}
	}
	return all
}

// TestPreflight asks as a browser does before it lets a page call: without a token.
func TestPreflight(t *testing.T) {
	w := newWorld(t, withConfig(forPage))
	for _, path := range []string{"", "/Patient", "/Appointment/x", "/.well-known/smart-configuration", "/metadata"} {
		before := w.ehr.Requests()
		r := w.do("OPTIONS", "", path, "Origin", page, "Access-Control-Request-Method", "PUT",
			"Access-Control-Request-Headers", "authorization,content-type,if-match,ticket-id")
		h := r.header
		if r.status != 204 || len(r.body) != 0 || h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Fatalf("%s: %d %s %v", path, r.status, r.body, h)
		}
		allowed, methods, vary := list(h, "Access-Control-Allow-Headers"), list(h, "Access-Control-Allow-Methods"), list(h, "Vary")
		for _, want := range []string{"Authorization", "Ticket-Id", "If-Match", "Prefer", "Content-Type", "Idempotency-Key", "X-Request-Id", "X-Correlation-Id", "Traceparent"} {
			if !slices.Contains(allowed, want) {
				t.Errorf("%s: %s is not allowed", path, want)
			}
		}
		if !slices.Contains(methods, "PATCH") || slices.Contains(methods, "*") || slices.Contains(allowed, "*") {
			t.Errorf("%s: methods %q, headers %q", path, methods, allowed)
		}
		for _, want := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
			if !slices.Contains(vary, want) {
				t.Errorf("%s: Vary %q lacks %s", path, vary, want)
			}
		}
		if w.ehr.Requests() != before || len(w.records(h.Get("X-Request-Id"))) != 0 {
			t.Errorf("%s: the EHR was asked, or a record written", path)
		}
	}
	for name, origin := range map[string]string{
		"another": "https://evil.example", "null": "null", "case": "https://Helpdesk.example", "beginning": page + ".evil.example",
		"plain": "http://helpdesk.example", "port": page + ":444", "wildcard": "*",
	} {
		r := w.do("OPTIONS", "", "/Patient", "Origin", origin, "Access-Control-Request-Method", "GET")
		if r.status != 403 || r.code() != "origin" || r.header.Get("Access-Control-Allow-Origin") != "" || !slices.Contains(list(r.header, "Vary"), "Origin") {
			t.Errorf("%s: %d %s %v", name, r.status, r.body, r.header)
		}
		if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != "origin" || rec.Request.Method != "OPTIONS" {
			t.Errorf("%s: record %+v", name, rec)
		}
	}
	// What is no preflight needs a token like any other call, and is not offered.
	if r := w.do("OPTIONS", "", "/Patient", "Origin", page); r.status != 401 {
		t.Errorf("not a preflight: %d %s", r.status, r.body)
	}
	if r := w.do("OPTIONS", w.token("demo-access", demo.TokenOptions{}), "/Patient"); r.status != 405 {
		t.Errorf("not a preflight, with a token: %d %s", r.status, r.body)
	}
}

// TestPageReads has a page call: it may read answers, refusals and discovery documents, and what
// the app needs of their headers; another page may read the discovery documents alone.
func TestPageReads(t *testing.T) {
	w := newWorld(t, withConfig(forPage))
	token := w.token("demo-access", demo.TokenOptions{})
	for _, c := range []struct {
		path, token string
		status      int
	}{
		{"/Location", token, 200}, {"/Patient", "", 401}, {"/Patient/x", token, 404}, {"/metadata", "", 200}, {"/.well-known/smart-configuration", "", 200},
	} {
		r := w.get(c.token, c.path, "Origin", page)
		h := r.header
		if r.status != c.status || h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Credentials") != "" || !slices.Contains(list(h, "Vary"), "Origin") {
			t.Errorf("%s: %d %v", c.path, r.status, h)
		}
		for _, want := range []string{"ETag", "Location", "Retry-After", "X-Correlation-Id"} {
			if !slices.Contains(list(h, "Access-Control-Expose-Headers"), want) {
				t.Errorf("%s: %s is not exposed", c.path, want)
			}
		}
		for _, origin := range []string{"", "https://evil.example"} {
			var headers []string
			if origin != "" {
				headers = []string{"Origin", origin}
			}
			r := w.get(c.token, c.path, headers...)
			open := map[bool]string{true: "*"}[c.path == "/metadata" || c.path == "/.well-known/smart-configuration"]
			if r.status != c.status || r.header.Get("Access-Control-Allow-Origin") != open || !slices.Contains(list(r.header, "Vary"), "Origin") {
				t.Errorf("%s from %q: %d %v", c.path, origin, r.status, r.header)
			}
		}
	}
}

// TestNoPages leaves cross-origin calls off, as they are by default.
func TestNoPages(t *testing.T) {
	w := newWorld(t)
	r := w.do("OPTIONS", "", "/Patient", "Origin", page, "Access-Control-Request-Method", "GET")
	if r.status != 403 || r.code() != "origin" {
		t.Errorf("preflight: %d %s", r.status, r.body)
	}
	r = w.get(w.token("demo-access", demo.TokenOptions{}), "/Location", "Origin", page)
	if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "" || slices.Contains(list(r.header, "Vary"), "Origin") {
		t.Errorf("a call: %d %v", r.status, r.header)
	}
}
