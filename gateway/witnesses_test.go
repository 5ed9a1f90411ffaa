package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// witnessKey is of a witness whose private key nobody has.
const witnessKey = "witness.example/w1+1eadf073+BFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc"

// TestWitnesses serves calls while a witness holds its answer back, then says that it has cosigned far more than there is.
func TestWitnesses(t *testing.T) {
	var asked atomic.Int64
	held := make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-held
		}
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, "1000000\n")
	}))
	t.Cleanup(s.Close)
	w := newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "access_log:\n", fmt.Sprintf("access_log:\n  witness_every: 1s\n  witnesses:\n    - {key: %s, url: %q}\n", witnessKey, s.URL), 1)
	}))
	w.until("the witness to be asked", func() bool { return asked.Load() > 0 })
	token := w.token("demo-access", demo.TokenOptions{})
	for range 5 {
		if r := w.get(token, "/Practitioner?_count=1"); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || strings.Contains(body, "witness") {
		t.Errorf("readiness: %d %s", status, body)
	}
	close(held)
	w.until("the contradiction", func() bool {
		return w.status().Get(`witnesses.#(name=="witness.example/w1").contradicts`).Bool()
	})
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || !strings.Contains(body, "degraded: the witness witness.example/w1 has cosigned what is not in the access log") {
		t.Errorf("readiness: %d %s", status, body)
	}
	_, metrics := w.ask("GET", "/metrics", "")
	for _, want := range []string{`halfdoor_witness_contradicts{witness="witness.example/w1"} 1`, `halfdoor_witness_failing{witness="witness.example/w1"} 1`,
		`halfdoor_witness_behind_records{witness="witness.example/w1"} `, `halfdoor_witness_contradictions_total{witness="witness.example/w1"} `} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	w.edit("halfdoor.yaml", func(y string) string { return strings.Replace(y, "witness_every: 1s", "witness_every: 2s", 1) })
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask("POST", "/reload", string(admin)); status != 422 || !strings.Contains(body, "witnesses and witness_every cannot change while the gateway runs") {
		t.Errorf("reload: %d %s", status, body)
	}
	check(t, w.close())
	w.verify()
}

// TestDamagedWitnessed starts beside a file that no witness has made. The operator is told, and calls are served.
func TestDamagedWitnessed(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	dir := ""
	w := newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "access_log:\n", fmt.Sprintf("access_log:\n  witnesses:\n    - {key: %s, url: %q}\n", witnessKey, s.URL), 1)
	}), func(o *worldOptions) {
		o.run = func(r *gateway.RunOptions) {
			cfg, err := r.Load()
			check(t, err)
			dir = cfg.AccessLog.Dir
			check(t, os.MkdirAll(dir, 0o700))
			check(t, os.WriteFile(filepath.Join(dir, "witnessed.5"), []byte("torn"), 0o600))
		}
	})
	if said := w.operator.String(); !strings.Contains(said, "witnessed.5: it is not a signed note; it is set aside, and the witness is asked again") {
		t.Errorf("the operator is not told: %s", said)
	}
	if r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Practitioner?_count=1"); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || !strings.Contains(body, "degraded: the witness") {
		t.Errorf("readiness: %d %s", status, body)
	}
	if _, err := os.Stat(filepath.Join(dir, "witnessed.5.damaged")); err != nil {
		t.Error(err)
	}
	check(t, w.close())
	w.verify()
}
