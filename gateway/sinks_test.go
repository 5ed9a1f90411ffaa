package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestSinks serves calls while one sink's peer takes nothing and another's is well, restarts the first's, and reads what it was told.
func TestSinks(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	var mu sync.Mutex
	got := map[string]int{} // of each peer: its events
	repository := func(name string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name == "north" && down.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			body, _ := io.ReadAll(r.Body)
			entries := gjson.GetBytes(body, "entry").Array()
			mu.Lock()
			got[name] += len(entries)
			mu.Unlock()
			one := strings.TrimSuffix(strings.Repeat(`{"response":{"status":"201"}},`, len(entries)), ",")
			fmt.Fprintf(w, `{"resourceType":"Bundle","type":"batch-response","entry":[%s]}`, one)
		}))
		t.Cleanup(s.Close)
		return s
	}
	north, south := repository("north"), repository("south")
	w := newWorld(t, withConfig(func(y string) string {
		return y + fmt.Sprintf("sinks:\n  - {name: north, kind: fhir, url: %q}\n  - {name: south, kind: fhir, url: %q}\n", north.URL, south.URL)
	}))
	token := w.token("demo-access", demo.TokenOptions{})
	for range 20 {
		if r := w.get(token, "/Practitioner?_count=1"); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	sink := func(name, field string) gjson.Result { return w.status().Get(`sinks.#(name=="` + name + `").` + field) }
	w.until("the north to fail", func() bool { return sink("north", "failing").Bool() })
	w.until("the south to have all", func() bool { return sink("south", "delivered").Int() > 20 })
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || !strings.Contains(body, "degraded: the sink north fails, and is ") || strings.Contains(body, "south") {
		t.Errorf("readiness: %d %s", status, body)
	}
	_, metrics := w.ask("GET", "/metrics", "")
	for _, want := range []string{`halfdoor_sink_failing{sink="north"} 1`, `halfdoor_sink_failing{sink="south"} 0`, `halfdoor_sink_behind_records{sink="north"} `, `halfdoor_sink_behind_seconds{sink="north"} `,
		`halfdoor_sink_history_differs{sink="south"} 0`, `halfdoor_sink_lost_records_total{sink="north"} 0`, `halfdoor_sink_failures_total{sink="south"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if problem := sink("north", "problem").String(); problem != "the server answers 503" {
		t.Errorf("the problem is %q", problem)
	}
	down.Store(false)
	w.until("the north to have all", func() bool { return !sink("north", "failing").Bool() && sink("north", "delivered").Int() > 20 })
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || strings.Contains(body, "north") {
		t.Errorf("readiness: %d %s", status, body)
	}
	w.edit("halfdoor.yaml", func(y string) string { return strings.Replace(y, "name: south", "name: west", 1) })
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask("POST", "/reload", string(admin)); status != 422 || !strings.Contains(body, "sinks cannot change while the gateway runs") {
		t.Errorf("reload: %d %s", status, body)
	}
	check(t, w.close())
	w.verify()
	for _, name := range []string{"north", "south"} {
		if files, err := filepath.Glob(w.made.LogDir + ".sinks/" + name + ".json"); err != nil || len(files) != 1 {
			t.Errorf("no cursor of %s: %v", name, err)
		}
		if mu.Lock(); got[name] < 21 {
			t.Errorf("%s has %d events", name, got[name])
		}
		mu.Unlock()
	}
}
