package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/state"
)

// onCall is a token of somebody who may use emergency access, under a ticket or none.
func (w *world) onCall(subject string, ticket any) string {
	return w.token("demo-scheduling", demo.TokenOptions{Claims: map[string]any{
		"sub": subject, "roles": []string{"helpdesk-emergency"}, "ticket": ticket, "exp": time.Now().Add(48 * time.Hour).Unix(),
	}})
}

// withClock has the gateway's clock be the machine's, and as much later as a test says.
func withClock(later *atomic.Int64) setting {
	return func(o *worldOptions) {
		before := o.run
		o.run = func(r *gateway.RunOptions) {
			if before != nil {
				before(r)
			}
			r.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		}
	}
}

// TestEmergency opens emergency access, uses it, sees it end by itself, and not open again under the same ticket until twelve
// hours have gone by. Each call stands out in its record, and the answers say until when.
func TestEmergency(t *testing.T) {
	var later atomic.Int64
	w := newWorld(t, withClock(&later), withConfig(func(y string) string { return y + "limits: {break_glass: 20m}\n" }))
	seal := w.sealer("demo-scheduling")
	path := "/Patient/" + seal("Patient", w.sandbox.IDs("Patient")[appPatient])
	ann, bob := w.onCall("ann", "INC-1"), w.onCall("bob", "INC-1")
	call := func(token, code string, headers ...string) *accesslog.Record {
		t.Helper()
		r := w.get(token, path, append([]string{"Break-Glass", "records-down"}, headers...)...)
		status := map[bool]int{true: 200, false: 403}[code == ""]
		if r.status != status || r.code() != code {
			t.Fatalf("%d %s, want %q", r.status, r.body, code)
		}
		rec := w.record(r)
		if until := r.header.Get("Break-Glass-Expires"); (code == "") != (until == rec.BreakGlass.Expires.Format(http.TimeFormat)) {
			t.Errorf("%q until %q, record %+v", code, until, rec.BreakGlass)
		}
		if rec.BreakGlass.Reason != "records-down" || !rec.BreakGlass.Expires.Equal(rec.BreakGlass.Opened.Add(20*time.Minute)) || rec.Purpose != "BTG" || rec.Policy.Dataset != "emergency" {
			t.Errorf("record %+v", rec)
		}
		return rec
	}
	opened := call(ann, "").BreakGlass.Opened
	if r := w.get(ann, path, "Break-Glass", "records-down"); !r.json().Get("name.0.family").Exists() || r.json().Get("telecom").Exists() || r.json().Get("address").Exists() {
		t.Errorf("the emergency's dataset: %s", r.body)
	}
	later.Store(int64(19 * time.Minute))
	if again := call(ann, "").BreakGlass.Opened; !again.Equal(opened) {
		t.Error("it was prolonged")
	}
	if other := call(bob, "").BreakGlass.Opened; other.Equal(opened) {
		t.Error("another account came in by ann's")
	}
	later.Store(int64(21 * time.Minute))
	if rec := call(ann, "break-glass-expired"); rec.Kind != accesslog.KindRefusal || len(rec.Subjects)+len(rec.Patients) != 0 || !rec.BreakGlass.Opened.Equal(opened) {
		t.Errorf("record %+v", rec)
	}
	call(bob, "")
	call(w.onCall("ann", "INC-2"), "") // a new ticket
	later.Store(int64(11 * time.Hour))
	call(ann, "break-glass-expired")
	later.Store(int64(12*time.Hour + 21*time.Minute))
	if again := call(ann, "").BreakGlass.Opened; !again.After(opened) {
		t.Error("it did not open again")
	}
	if said := w.operator.String(); strings.Count(said, `"level":"warn"`) < 6 || strings.Count(said, "emergency access is opened") != 4 ||
		strings.Count(said, "after it has ended") != 2 || strings.Contains(said, path) {
		t.Errorf("the operator's log: %s", said)
	}
	_, metrics := w.ask(http.MethodGet, "/metrics", "")
	for _, line := range []string{`halfdoor_break_glass_total{outcome="opened"} 4`, `halfdoor_break_glass_total{outcome="used"} 3`, `halfdoor_break_glass_total{outcome="expired"} 2`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no %s", line)
		}
	}
}

// TestEmergencyRefused asks for emergency access in every way that it is not for: each refusal has its code, its record says that it
// was asked for, and holds nothing of what the client called its reason.
func TestEmergencyRefused(t *testing.T) {
	w := newWorld(t)
	seal := w.sealer("demo-scheduling")
	path := "/Patient/" + seal("Patient", w.sandbox.IDs("Patient")[0])
	desk, ann := w.token("demo-scheduling", demo.TokenOptions{}), w.onCall("ann", "INC-1")
	for _, c := range []struct {
		name, token, path, reason, want string
	}{
		{"no role", desk, path, "records-down", "403 policy-break-glass-role"},
		{"no reason", ann, path, "", "403 policy-break-glass"},
		{"an unknown reason", ann, path, "mrs-quillfeather-is-ill", "403 policy-break-glass-reason"},
		{"free text", ann, path, "Mrs Quillfeather is ill", "400 header-malformed"},
		{"too long", ann, path, strings.Repeat("a", 33), "400 header-malformed"},
		{"no ticket", w.onCall("ann", nil), path, "records-down", "403 policy-break-glass-ticket"},
		{"another type", ann, "/Appointment?status=booked", "records-down", "403 policy-break-glass-data"},
		{"a history", ann, path + "/_history", "records-down", "403 policy-break-glass-data"},
		{"more than the scopes", w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/Slot.rs"}, Claims: map[string]any{"roles": []string{"helpdesk-emergency"}}}), path, "records-down", "403 scope"},
	} {
		var headers []string
		if c.reason != "" {
			headers = []string{"Break-Glass", c.reason}
		}
		before := w.ehr.Requests()
		r := w.get(c.token, c.path, headers...)
		w.refused(r, c.name, c.want)
		rec := w.record(r)
		asked := strings.Contains(c.want, "policy-break-glass-")
		if (rec.BreakGlass != nil) != asked || asked && rec.BreakGlass.Reason != "" || w.ehr.Requests() != before || r.header.Get("Break-Glass-Expires") != "" {
			t.Errorf("%s: record %+v", c.name, rec.BreakGlass)
		}
	}
	w.refused(w.get(ann, path, "Break-Glass", "records-down", "Break-Glass", "wrong-patient"), "two reasons", "400 header-malformed")
	for _, r := range w.records("") {
		if strings.Contains(r.Reason+r.Detail, "quillfeather") {
			t.Errorf("record %+v", r)
		}
	}
}

// TestEmergencyOfAnotherPolicy has policies that grant an emergency to whoever asks for none, or ignore that one was asked
// for: the gateway holds them to a reason and a ticket, and to saying which it is.
func TestEmergencyOfAnotherPolicy(t *testing.T) {
	const rule = "package halfdoor\n\n# METADATA\n# entrypoint: true\ndecision := {\"allow\": true, \"dataset\": \"access\", \"break_glass\": GRANTED, \"reason\": {\"code\": \"ok\", \"text\": \"Everything.\"}}\n"
	world := func(granted string) *world {
		return newWorld(t, withConfig(func(y string) string { return y + "policy: {bundle: bundle}\n" }), withBundle(map[string]string{"halfdoor/decision.rego": strings.Replace(rule, "GRANTED", granted, 1)}))
	}
	w := world("true")
	w.refused(w.get(w.onCall("ann", "INC-1"), "/Location"), "without a reason", "403 break-glass-reason")
	w.refused(w.get(w.onCall("ann", nil), "/Location", "Break-Glass", "anything"), "without a ticket", "403 break-glass-ticket")
	r, entries := w.batch(w.onCall("ann", "INC-1"), "GET Location?_count=1")
	if !strings.HasPrefix(ends(entries[0]), "403 break-glass-reason") {
		t.Errorf("in a batch: %s", entries[0].Raw)
	}
	r = w.send(http.MethodPost, w.onCall("ann", "INC-1"), "", strings.NewReader(asking("batch", "GET Location?_count=1")), "Content-Type", "application/fhir+json", "Break-Glass", "anything")
	if recs := w.records(r.header.Get("X-Request-Id")); r.status != 200 || r.header.Get("Break-Glass-Expires") == "" || recs[0].BreakGlass == nil || recs[0].BreakGlass.Reason != "anything" {
		t.Errorf("in a batch, with one: %d %v %+v", r.status, r.header, recs[0])
	}
	w = world("false")
	w.refused(w.get(w.onCall("ann", "INC-1"), "/Location", "Break-Glass", "anything"), "one that is not granted", "403 break-glass-unused")
}

// brokenOpenings cannot remember.
type brokenOpenings struct{}

func (brokenOpenings) Open(string, string, time.Duration) (state.Opening, bool, error) {
	return state.Opening{}, false, errors.New("broken on purpose")
}

// TestEmergencyUnavailable breaks what remembers the openings, and fills it: nothing is opened.
func TestEmergencyUnavailable(t *testing.T) {
	full := state.NewOpenings(state.OpeningsOptions{Entries: 1})
	_, _, err := full.Open("another", "INC-1", time.Hour)
	check(t, err)
	for name, openings := range map[string]gateway.Openings{"broken": brokenOpenings{}, "full": full} {
		w := newWorld(t, func(o *worldOptions) { o.run = func(r *gateway.RunOptions) { r.Openings = openings } })
		before := w.ehr.Requests()
		w.refused(w.get(w.onCall("ann", "INC-1"), "/Patient?_id="+w.sealed("Patient", w.sandbox.IDs("Patient")[0]), "Break-Glass", "records-down"), name, "503 break-glass-unavailable")
		if w.ehr.Requests() != before {
			t.Errorf("%s: the EHR was asked", name)
		}
		if !strings.Contains(w.operator.String(), "break-glass-unavailable") {
			t.Errorf("%s: the operator is not told", name)
		}
		if r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location"); r.status != 200 {
			t.Errorf("%s: what is no emergency: %d", name, r.status)
		}
	}
}
