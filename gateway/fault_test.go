package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/policies"
)

// fullDisk is the real file system until it is full.
type fullDisk struct {
	full atomic.Bool
	free atomic.Int64 // bytes; 0 for plenty
}

func (d *fullDisk) OpenFile(name string, flag int) (accesslog.File, error) {
	if d.full.Load() {
		return nil, syscall.ENOSPC
	}
	f, err := os.OpenFile(name, flag, 0o600)
	return fullFile{f, d}, err
}

func (d *fullDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (d *fullDisk) Remove(name string) error { return os.Remove(name) }

func (d *fullDisk) Free(string) (int64, error) {
	if n := d.free.Load(); n != 0 {
		return n, nil
	}
	return 1 << 40, nil
}

func (d *fullDisk) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type fullFile struct {
	*os.File
	disk *fullDisk
}

func (f fullFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(p, at)
}

func (f fullFile) Datasync() error { return f.Sync() }

// TestLogDiskFull fills the log's disk: nothing is disclosed, the gateway is not ready, and
// stays so when there is room again, until it is restarted.
func TestLogDiskFull(t *testing.T) {
	disk := &fullDisk{}
	w := newWorld(t, withLog(disk))
	token := w.token("demo-access", demo.TokenOptions{})
	if r := w.get(token, "/Practitioner"); r.status != 200 {
		t.Fatalf("before: %d %s", r.status, r.body)
	}
	if status, body := w.ask("GET", "/readyz", ""); status != 200 {
		t.Fatalf("not ready before: %s", body)
	}
	disk.full.Store(true)
	for range 2 {
		r := w.get(token, "/Practitioner")
		if r.status != 503 || r.code() != "log-unavailable" || r.header.Get("Retry-After") == "" {
			t.Fatalf("with a full disk: %d %s", r.status, r.body)
		}
		if strings.Contains(string(r.body), "Practitioner") {
			t.Error("something was disclosed")
		}
	}
	disk.full.Store(false)
	if r := w.get(token, "/Practitioner"); r.status != 503 {
		t.Errorf("with room again: %d", r.status)
	}
	if status, body := w.ask("GET", "/readyz", ""); status != 503 || !strings.Contains(body, "access log") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if _, body := w.ask("GET", "/metrics", ""); !strings.Contains(body, "halfdoor_access_log_healthy 0") {
		t.Error("the metric does not say so")
	}
	if err := w.close(); !errors.Is(err, accesslog.ErrPoisoned) {
		t.Errorf("Run ended with %v", err)
	}
	w.verify()
}

// TestLogFailsBetweenWindows breaks the log while a body is leaving.
func TestLogFailsBetweenWindows(t *testing.T) {
	disk := &fullDisk{}
	w := newWorld(t, withLog(disk), withConfig(func(y string) string { return y + "limits:\n  window: 4KiB\n" }))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	req, err := http.NewRequest("GET", w.fhir+"/Appointment?_count=1000", nil)
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	// The EHR holds the rest of its body back until the first window is here.
	w.ehr.Set(demo.FaultStallBody, 60<<10)
	resp, err := w.client.Do(req)
	check(t, err)
	defer resp.Body.Close()
	disk.full.Store(true)
	w.ehr.Release()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes and a neat end", len(body))
	}
	_ = w.close() // it tells of the poisoned log
	disk.full.Store(false)
	w.verify()
}

// ask calls the admin listener.
func (w *world) ask(method, path, token string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.admin+path, nil)
	check(w.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	check(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(w.t, err)
	return resp.StatusCode, string(body)
}

// TestClientGoesAway cuts the client off in the middle of a body; the record tells of it.
func TestClientGoesAway(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "limits:\n  window: 4KiB\n" }))
	req, err := http.NewRequest("GET", w.fhir+"/Appointment?_count=1000", nil)
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+w.token("demo-scheduling", demo.TokenOptions{}))
	req.Header.Set("X-Request-Id", "gone")
	w.ehr.Set(demo.FaultStallBody, 60<<10)
	resp, err := w.client.Do(req)
	check(t, err)
	if _, err := io.ReadFull(resp.Body, make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	w.until("a closing record", func() bool {
		recs := w.records("gone")
		last := recs[len(recs)-1]
		return last.Kind == accesslog.KindClose && last.Detail == "aborted" && last.Code == "client-gone"
	})
}

// TestBadPolicies gives the gateway policies that fail in every way: each call is refused and
// recorded and counted for the alert, and the gateway goes on.
func TestBadPolicies(t *testing.T) {
	alerts, err := os.ReadFile("../deploy/prometheus-alerts.yaml")
	check(t, err)
	if !strings.Contains(string(alerts), `halfdoor_calls_total{outcome="policy-failed"}`) {
		t.Error("no alert looks at failed policies")
	}
	for name, rule := range map[string]string{
		"a loop":          "decision := {\"allow\": count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a * b < 0]) == 0, \"reason\": {\"code\": \"ok\", \"text\": \"Ok.\"}}",
		"an error":        `decision := {"allow": to_number(input.caller.issuer) > 0, "reason": {"code": "ok", "text": "Ok."}}`,
		"undefined":       `decision := {"allow": true} if input.request.type == "Nothing"`,
		"wrong shape":     `decision := "yes"`,
		"unknown member":  `decision := {"allow": true, "dataset": "access", "reason": {"code": "ok", "text": "Ok."}, "surprise": 1}`,
		"unknown dataset": `decision := {"allow": true, "dataset": "everything", "reason": {"code": "ok", "text": "Ok."}}`,
		"two values":      "decision := {\"allow\": true, \"dataset\": \"access\", \"reason\": {\"code\": \"ok\", \"text\": \"Ok.\"}} if input.request.type\n\ndecision := {\"allow\": false, \"reason\": {\"code\": \"no\", \"text\": \"No.\"}} if input.request.type",
		"obligation":      `decision := {"allow": true, "dataset": "access", "obligations": ["dance"], "reason": {"code": "ok", "text": "Ok."}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
				"halfdoor/decision.rego": "package halfdoor\n\n# METADATA\n# entrypoint: true\n" + rule + "\n",
			}))
			status := 500
			if name == "a loop" { // on another machine, or the next time, it might have ended
				status = 503
			}
			begun := time.Now()
			r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Practitioner")
			if r.status != status || r.code() != "policy-failed" {
				t.Fatalf("%d %s", r.status, r.body)
			}
			if took := time.Since(begun); took > 20*policies.DefaultBudget {
				t.Errorf("refused after %v", took)
			}
			if rec := w.record(r); rec.Code != "policy-failed" || rec.Kind != accesslog.KindRefusal {
				t.Errorf("record %+v", rec)
			}
			if _, metrics := w.ask("GET", "/metrics", ""); !strings.Contains(metrics, fmt.Sprintf(`outcome="policy-failed",status="%d"} 1`, status)) {
				t.Error("the metrics do not count it")
			}
			if status, body := w.ask("GET", "/readyz", ""); status != 200 {
				t.Errorf("readyz: %d %s", status, body)
			}
		})
	}
}

// withBundle puts the default bundle's data, and these files in place of its rules, into the
// folder "bundle" of the configuration.
func withBundle(files map[string]string) setting {
	return func(o *worldOptions) { o.bundle = files }
}

func (w *world) writeBundle(files map[string]string) {
	w.t.Helper()
	dir := filepath.Join(w.dir, "bundle")
	check(w.t, os.CopyFS(dir, policies.Default()))
	check(w.t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".rego") {
			return os.Remove(path)
		}
		return err
	}))
	for name, text := range files {
		check(w.t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		check(w.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}
