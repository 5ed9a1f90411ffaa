package upstream_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

func serveTLS(t *testing.T, http2 bool, h http.HandlerFunc) (*httptest.Server, func(*upstream.Options)) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, func(o *upstream.Options) { o.RootCAs = pool }
}

func TestTLS(t *testing.T) {
	for _, c := range []struct {
		name  string
		http2 bool
		proto string
	}{{"HTTP/2 where offered", true, "HTTP/2.0"}, {"HTTP/1.1 else", false, "HTTP/1.1"}} {
		t.Run(c.name, func(t *testing.T) {
			var proto string
			s, trust := serveTLS(t, c.http2, func(w http.ResponseWriter, r *http.Request) {
				proto = r.Proto
				jsonBody(resource)(w, r)
			})
			body, err := fetch(t.Context(), ehr(t, s.URL, trust))
			if err != nil || body != resource || proto != c.proto {
				t.Errorf("got %q over %s, %v", body, proto, err)
			}
			_, err = fetch(t.Context(), ehr(t, s.URL, nil))
			fails(t, err, upstream.Unreachable, "its certificate is not trusted")
			_, err = fetch(t.Context(), ehr(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), trust))
			fails(t, err, upstream.Unreachable, "its certificate is not trusted")
			// TLS asked of plain HTTP.
			plain := serve(t, jsonBody(resource))
			_, err = fetch(t.Context(), ehr(t, strings.Replace(plain.URL, "http:", "https:", 1), trust))
			fails(t, err, upstream.Unreachable, "no TLS handshake")
		})
	}
}

// HTTP/2 breaks as HTTP/1.1 does.
func TestHTTP2Faults(t *testing.T) {
	hang := until(t)
	s, trust := serveTLS(t, true, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch strings.TrimPrefix(r.URL.Path, "/Patient/") {
		case "reset-header":
			panic(http.ErrAbortHandler)
		case "huge-header":
			w.Header().Set("X-Big", strings.Repeat("x", 100<<10))
		case "reset-body":
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "short-body":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		case "stall-header":
			<-hang
		case "stall-body":
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-hang
		}
	})
	for _, c := range []struct {
		name   string
		kind   upstream.Kind
		reason string
	}{
		{"reset-header", upstream.Unreachable, "the connection ended before an answer"},
		{"huge-header", upstream.Unreachable, "the connection ended before an answer"}, // net/http drops the connection
		{"reset-body", upstream.Cut, "the answer ended early"},
		{"short-body", upstream.Cut, "the answer ended early"},
		{"stall-header", upstream.Timeout, "no answer in time"},
		{"stall-body", upstream.Timeout, "body stalled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := ehr(t, s.URL, func(o *upstream.Options) {
				trust(o)
				switch c.name {
				case "stall-header":
					o.HeaderTimeout = short
				case "stall-body":
					o.IdleTimeout = short
				}
			})
			resp, err := e.Do(t.Context(), upstream.Call{Method: "GET", Path: "Patient/" + c.name})
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			fails(t, err, c.kind, c.reason)
		})
	}
}
