package gateway_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestDrift has an EHR that sends what the dataset does not know, and not what it requires.
func TestDrift(t *testing.T) {
	w := newWorld(t, withEHR(says(`{"resourceType":"Bundle","type":"searchset","entry":[`+
		`{"resource":{"resourceType":"Appointment","id":"a1","priority":3,"participant":[{"status":"accepted","period":{"start":"2030-01-01"}}],"Oddwick 555":1}},`+
		`{"resource":{"resourceType":"Appointment","id":"a2","status":"booked","participant":[{"status":"accepted"}],"priority":4}}]}`)))
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/Appointment.rs"}}), "/Appointment")
	totals := w.record(r).Totals
	if want := map[string]int{"Appointment.priority": 2, "Appointment.participant.period": 1, "Appointment.?": 1}; !maps.Equal(totals.Unknown, want) {
		t.Errorf("unknown %v, want %v", totals.Unknown, want)
	}
	if want := map[string]int{"Appointment.status": 1}; !maps.Equal(totals.Missing, want) {
		t.Errorf("missing %v, want %v", totals.Missing, want)
	}
	_, metrics := w.ask("GET", "/metrics", "")
	for _, want := range []string{
		`halfdoor_drift_total{dataset="scheduling",kind="unknown",path="Appointment.priority"} 2`,
		`halfdoor_drift_total{dataset="scheduling",kind="missing",path="Appointment.status"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(metrics, "Oddwick") {
		t.Error("a metric has a name that no element has")
	}
}

// TestDriftLabels has an EHR that invents names without end.
func TestDriftLabels(t *testing.T) {
	var call atomic.Int32
	w := newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(rw, `{"resourceType":"Location","id":"a1","status":"active"`)
		n := call.Add(1)
		for i := range 60 {
			_, _ = fmt.Fprintf(rw, `,"invented%dx%d":1`, n, i)
		}
		_, _ = io.WriteString(rw, "}")
	})), withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego":                 strings.Replace(allowAll, `"access"`, `"scheduling"`, 1),
		"halfdoor/datasets/scheduling/data.yaml": "title: Ids kept\nversion: 1\nresources:\n  Location: {id: keep, status: keep}\nsearch: {}\nwrite: {}\n",
	}))
	for range 10 {
		if r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location/a1"); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	_, metrics := w.ask("GET", "/metrics", "")
	if n := strings.Count(metrics, `path="Location.invented`); n != 512 || !strings.Contains(metrics, `kind="unknown",path="?"} 88`) {
		t.Errorf("%d labels", n)
	}
}
