package gateway_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestIssuerTroubles has an issuer that is down, slow, or answers nonsense: tokens by its last good keys are good within their
// bound, those by a new key are not, nor any beyond the bound; none of its words reach a caller, and when it is well, so is everything.
func TestIssuerTroubles(t *testing.T) {
	const words = "Zz-issuer-said-zZ"
	says := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, trouble := range map[string]http.HandlerFunc{
		"down":            func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"slow":            func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"failing":         says(500, "text/plain", words),
		"a page":          says(200, "text/html", "<html>"+words),
		"half":            says(200, "application/json", `{"issuer":"`+words),
		"another's":       says(200, "application/json", `{"issuer":"https://`+words+`.example","jwks_uri":"https://`+words+`.example/keys","keys":{"`+words+`":1}}`),
		"keys of nothing": says(200, "application/json", `{"keys":"`+words+`"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ill atomic.Bool
			var later atomic.Int64
			w := newWorld(t, withClock(&later), func(o *worldOptions) {
				o.issuer = func(well http.Handler) http.Handler {
					return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
						if ill.Load() {
							trouble(out, r)
							return
						}
						well.ServeHTTP(out, r)
					})
				}
			})
			token := func(jti string) string {
				return w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"exp": time.Now().Add(48 * time.Hour).Unix(), "jti": jti}})
			}
			const refused = "issuer-unavailable"
			ask := func(when, token, code string) {
				t.Helper()
				before := w.ehr.Requests()
				r := w.get(token, "/Practitioner?_count=1")
				if status := map[bool]int{true: 200, false: 503}[code == ""]; r.status != status || r.code() != code || strings.Contains(string(r.body), words) {
					t.Fatalf("%s: %d %s", when, r.status, r.body)
				}
				if code == "" {
					return
				}
				if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != code || rec.Actor.Client != "" || w.ehr.Requests() != before {
					t.Errorf("%s: record %+v", when, rec)
				}
				if r.header.Get("Retry-After") == "" || r.header.Get("WWW-Authenticate") != "" {
					t.Errorf("%s: %v", when, r.header)
				}
			}
			seen, unseen := token("seen"), token("unseen")
			ask("well", seen, "")
			check(t, w.issuer.Rotate())
			newer := token("newer")
			ill.Store(true)
			ask("ill, by a new key", newer, refused)
			later.Store(int64(20 * time.Minute))
			ask("ill, seen before", seen, "")
			ask("ill, not seen before", unseen, "")
			ask("ill, by a new key, again", newer, refused)
			later.Store(int64(61 * time.Minute))
			ask("beyond the bound", seen, refused)
			ask("beyond the bound, not seen before", unseen, refused)
			ill.Store(false)
			later.Store(int64(62 * time.Minute))
			ask("well again", newer, "")
			ask("well again, by the key before", seen, "")
			if said := w.operator.String(); !strings.Contains(said, refused) || strings.Contains(said, words) {
				t.Errorf("the operator's log: %s", said)
			}
		})
	}
}
