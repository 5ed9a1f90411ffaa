package gateway_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// ours are the headers that an answer may have. Each value is the gateway's own.
var ours = []string{
	"Cache-Control", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Etag", "Vary", "X-Content-Type-Options",
	"X-Correlation-Id", "X-Request-Id",
}

// TestHeadersOfTheEHR has an EHR that says much about its bytes: of lengths, tags, digests, ranges and places nothing
// survives, since these are not the bytes that leave, and what they tell is of what was removed.
func TestHeadersOfTheEHR(t *testing.T) {
	const resource = `{"resourceType":"Location","id":"a1","meta":{"versionId":"3"},"status":"active","name":"A","description":"hidden"}`
	var ranged atomic.Int32
	ehr := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Want-Digest", "Want-Repr-Digest", "Te"} {
			if r.Header.Get(name) != "" {
				ranged.Add(1)
			}
		}
		h := w.Header()
		for _, name := range []string{
			"Accept-Ranges", "Age", "Content-Digest", "Content-Disposition", "Content-Language", "Content-Location", "Content-MD5", "Content-Range", "Digest",
			"Expires", "Last-Modified", "Link", "Location", "Repr-Digest", "Server", "Set-Cookie", "Signature", "Strict-Transport-Security", "Via", "Warning",
			"X-Powered-By", "X-Request-Id", "X-Correlation-Id", "ETag", "Cache-Control", "Trailer", "Refresh", "Access-Control-Allow-Origin",
		} {
			h.Set(name, `"CANARY"`)
		}
		h.Set("Trailer", "X-Canary")
		h.Set("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
		h.Set("Content-Type", "application/fhir+json; profile=CANARY")
		body := resource
		if !strings.Contains(r.URL.Path, "/Location/") {
			body = `{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"resource":` + resource + `}]}`
		}
		if r.URL.Query().Get("status") == "inactive" {
			w.WriteHeader(http.StatusPartialContent)
			body = body[:40]
		}
		_, _ = io.WriteString(w, body)
		h.Set("X-Canary", "CANARY")
	})
	w := newWorld(t, withEHR(ehr), withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego":                 strings.Replace(allowAll, `"access"`, `"scheduling"`, 1),
		"halfdoor/datasets/scheduling/data.yaml": "title: Ids kept\nversion: 1\nresources:\n  Location: {id: keep, status: keep, name: keep}\nsearch: {}\nwrite: {}\n",
	}))
	w.untouched()
	token := w.token("demo-scheduling", demo.TokenOptions{})
	for _, path := range []string{"/Location/a1", "/Location"} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, coding := range []string{"", "gzip, identity;q=0"} {
				r := w.do(method, token, path, "Accept-Encoding", coding)
				if r.status != 200 || r.err != nil {
					t.Fatalf("%s %s: %d %v %s", method, path, r.status, r.err, r.body)
				}
				for name, values := range r.header {
					if !slices.Contains(ours, name) || strings.Contains(strings.Join(values, " "), "CANARY") {
						t.Errorf("%s %s: %s: %s", method, path, name, values)
					}
				}
				// versionId does not leave, so the tag that tells it does not either.
				if tag := r.header.Get("ETag"); tag != "" {
					t.Errorf("%s %s: ETag %s", method, path, tag)
				}
				if length := r.header.Get("Content-Length"); method == "HEAD" && length != "" {
					t.Errorf("HEAD %s tells a length: %s", path, length)
				}
			}
		}
	}
	r := w.get(token, "/Location/a1", "Want-Digest", "sha-256", "Want-Repr-Digest", "sha-256=1")
	if r.status != 200 {
		t.Errorf("a digest wanted: %d %s", r.status, r.code())
	}
	for _, headers := range [][]string{{"Range", "bytes=0-9"}, {"Range", "bytes=0-9", "If-Range", `"CANARY"`}} {
		r := w.get(token, "/Location/a1", headers...)
		if r.status == http.StatusPartialContent || r.header.Get("Content-Range") != "" || r.status == 200 && len(r.body) < 50 {
			t.Errorf("%v: %d %s", headers, r.status, r.body)
		}
	}
	if ranged.Load() != 0 {
		t.Error("the EHR was told of a range, a validator or a digest that the client wants")
	}
	if r := w.get(token, "/Location?status=inactive"); r.status != 502 || r.code() != "ehr-invalid" {
		t.Errorf("part of an answer: %d %s", r.status, r.body)
	} else if rec := w.record(r); rec.Status != 502 || rec.Totals != nil {
		t.Errorf("record %+v", rec)
	}
}
