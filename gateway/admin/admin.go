// Package admin is the listener of those who run the gateway, apart from the one that
// helpdesk apps call.
//
// Liveness, readiness and metrics answer without a token: they tell nothing of a patient
// or a caller. Whatever changes something, or looks into the process, needs the configured
// bearer token, is a POST where it changes something, and leaves an access record before
// it is done. Without a configured token those acts are off.
package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/pprof"
	"strings"
)

// Options is what the listener tells and may do.
type Options struct {
	Token   func() []byte                  // the administrators' token; empty: acts are off
	Ready   func() error                   // nil while calls are welcome
	Worse   func() []string                // what is not as it should be, while calls are welcome all the same
	Metrics http.Handler                   // in Prometheus's text format
	Status  func() any                     // for /status, marshalled as JSON
	Reload  func() error                   // a whole new generation, or why not
	Act     func(act, detail string) error // the durable record of an act

	SwitchedOff func() any                            // what is, marshalled as JSON
	SwitchOff   func(kind, name, reason string) error // records it and does it
	SwitchOn    func(kind, name string) error         // the same
	BadSwitch   func(error) bool                      // of an error of these two: what was asked for cannot be meant
}

// Handler serves the administrative paths.
func Handler(o Options) (http.Handler, error) {
	if o.Token == nil || o.Ready == nil || o.Worse == nil || o.Metrics == nil || o.Status == nil || o.Reload == nil || o.Act == nil ||
		o.SwitchedOff == nil || o.SwitchOff == nil || o.SwitchOn == nil || o.BadSwitch == nil {
		return nil, errors.New("admin needs all of its options")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		plain(w, http.StatusOK, strings.Join(append([]string{"ready"}, o.Worse()...), "\n"))
	})
	mux.Handle("GET /metrics", o.Metrics)
	mux.Handle("GET /status", o.guarded("status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, o.Status())
	}))
	mux.Handle("POST /reload", o.guarded("reload-asked", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Reload(); err != nil {
			answer(w, http.StatusUnprocessableEntity, map[string]any{"reloaded": false, "problems": strings.Split(err.Error(), "\n")})
			return
		}
		answer(w, http.StatusOK, map[string]any{"reloaded": true})
	}))
	mux.Handle("GET /switches", o.guarded("switches", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"switched_off": o.SwitchedOff()})
	}))
	mux.Handle("POST /switches", o.guarded("switch-asked", o.switchOff))
	mux.Handle("DELETE /switches", o.guarded("switch-asked", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		o.switched(w, o.SwitchOn(q.Get("kind"), q.Get("name")))
	}))
	mux.Handle("GET /debug/pprof/", o.guarded("profile", pprof.Index))
	mux.Handle("GET /debug/pprof/profile", o.guarded("profile", pprof.Profile))
	mux.Handle("GET /debug/pprof/trace", o.guarded("profile", pprof.Trace))
	return mux, nil
}

// guarded admits the administrators' token, and records the act before it is done.
func (o Options) guarded(act string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := o.Token()
		if len(want) == 0 {
			plain(w, http.StatusForbidden, "administrative acts are off: configure admin.token")
			return
		}
		scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !same(got, want) {
			if err := o.Act(act+"-refused", "wrong or missing administrator token"); err != nil {
				plain(w, http.StatusServiceUnavailable, "the access log cannot be written")
				return
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="halfdoor-admin"`)
			plain(w, http.StatusUnauthorized, "the administrators' token is needed")
			return
		}
		if err := o.Act(act, ""); err != nil {
			plain(w, http.StatusServiceUnavailable, "the access log cannot be written")
			return
		}
		next(w, r)
	})
}

// same compares digests, so that neither content nor length shows in the time it takes.
func same(got string, want []byte) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256(want)
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the prober has gone
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		plain(w, http.StatusInternalServerError, "cannot be shown")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the asker has gone
}
