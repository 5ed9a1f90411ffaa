package gateway_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// says is an EHR that answers everything with one body.
func says(body string, headers ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		_, _ = io.WriteString(w, body)
	})
}

// http1 makes a world's client speak HTTP/1.1.
func (w *world) http1() {
	one := w.client.Transport.(*http.Transport).Clone()
	one.ForceAttemptHTTP2 = false
	one.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	one.TLSClientConfig.NextProtos = []string{"http/1.1"}
	w.client = &http.Client{Transport: one, Timeout: 20 * time.Second}
	w.t.Cleanup(w.client.CloseIdleConnections)
}

var protocols = map[string]func(*world){"HTTP/1.1": (*world).http1, "HTTP/2": func(*world) {}}

// TestSlowEHR has an EHR that takes longer than a client may take for a header or a window:
// these bound the client, not the EHR.
func TestSlowEHR(t *testing.T) {
	const pause = 700 * time.Millisecond // well above the timeouts below
	limits := withConfig(func(y string) string {
		return y + "limits: {read_header_timeout: 250ms, write_timeout: 250ms, window: 4KiB}\n"
	})
	for name, speak := range protocols {
		t.Run(name+" header", func(t *testing.T) {
			var w *world
			w = newWorld(t, limits, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(pause):
				case <-r.Context().Done():
				}
				w.sandbox.ServeHTTP(rw, r)
			})))
			speak(w)
			r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Appointment?_count=1")
			if r.status != 200 || r.err != nil || len(r.json().Get("entry").Array()) != 1 {
				t.Fatalf("%d %v %q", r.status, r.err, r.body)
			}
			w.named(r)
		})
		t.Run(name+" body", func(t *testing.T) {
			var w *world
			w = newWorld(t, limits, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				whole := httptest.NewRecorder()
				w.sandbox.ServeHTTP(whole, r)
				body := whole.Body.Bytes()
				rw.Header().Set("Content-Type", "application/fhir+json")
				for i, part := range [][]byte{body[:60<<10], body[60<<10:]} {
					if i > 0 {
						select {
						case <-time.After(pause):
						case <-r.Context().Done():
						}
					}
					_, _ = rw.Write(part)
					_ = http.NewResponseController(rw).Flush()
				}
			})))
			speak(w)
			r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Appointment?_count=1000")
			if r.status != 200 || r.err != nil || !gjson.ValidBytes(r.body) {
				t.Fatalf("%d %v, %d bytes", r.status, r.err, len(r.body))
			}
			w.named(r)
		})
	}
}
