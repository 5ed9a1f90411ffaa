package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// TestRetentionWaits starts on a log with records that are to go, and a sink that has not got them.
func TestRetentionWaits(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(down.Close)
	dir := ""
	w := newWorld(t, withConfig(func(y string) string {
		y = strings.Replace(y, "segment_size: 1MiB", "segment_size: 64KiB", 1)
		y = strings.Replace(y, "access_log:\n", "access_log:\n  retention_days: 1\n", 1)
		return y + fmt.Sprintf("sinks:\n  - {name: north, kind: fhir, url: %q}\n", down.URL)
	}), func(o *worldOptions) {
		o.run = func(r *gateway.RunOptions) {
			cfg, err := r.Load()
			check(t, err)
			c := &cfg.AccessLog
			dir = c.Dir
			l, err := accesslog.Open(accesslog.Options{Dir: dir, Origin: c.Origin, SigningKey: c.SigningKey.Bytes(), PatientKey: c.PatientKey.Bytes(), SegmentBytes: int64(c.SegmentSize)})
			check(t, err)
			for i := range 400 {
				_, err := l.Append(&accesslog.Record{Kind: accesslog.KindAdmin, Time: time.Now().Add(-240*time.Hour + time.Duration(i)*time.Second), Detail: strings.Repeat("x", 500)})
				check(t, err)
			}
			check(t, l.Close())
		}
	})
	w.until("the log to wait", func() bool {
		_, body := w.ask("GET", "/readyz", "")
		return strings.Contains(body, "records are older than the retention and wait for the sink north")
	})
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || strings.Contains(body, "cannot be compressed") {
		t.Errorf("readiness: %d %s", status, body)
	}
	_, metrics := w.ask("GET", "/metrics", "")
	if !strings.Contains(metrics, "halfdoor_access_log_upkeep_healthy 1") || strings.Contains(metrics, "halfdoor_access_log_held_records 0") || !strings.Contains(metrics, "halfdoor_access_log_held_records ") {
		t.Error("the metrics do not tell that records wait")
	}
	w.until("the operator to be told", func() bool { return strings.Contains(w.operator.String(), "wait for the sink north") })
	if n, err := accesslog.First(dir); err != nil || n != 0 {
		t.Errorf("%d records were removed: %v", n, err)
	}
	check(t, w.close())
	w.verify()
}
