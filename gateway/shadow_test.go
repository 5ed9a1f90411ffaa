package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/policies"
)

// TestShadow puts a candidate beside the live policy: what it would refuse is served, counted and told of. A reload takes
// another one; a bad one is told of, and changes nothing.
func TestShadow(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{"halfdoor/decision.rego": allowAll}))
	token := w.token("demo-access", demo.TokenOptions{})
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	status := func() gjson.Result {
		_, body := w.ask("GET", "/status", string(admin))
		return gjson.Get(body, "shadow")
	}
	if status().Exists() {
		t.Error("a shadow that nobody asked for")
	}
	candidate := filepath.Join(w.dir, "candidate")
	check(t, os.CopyFS(candidate, policies.Default()))
	rules, err := filepath.Glob(filepath.Join(candidate, "halfdoor", "*.rego"))
	check(t, err)
	for _, name := range rules {
		check(t, os.Remove(name))
	}
	write := func(rule string) {
		check(t, os.WriteFile(filepath.Join(candidate, "halfdoor", "decision.rego"), []byte(rule), 0o600))
	}
	write(allowNone)
	w.edit("halfdoor.yaml", func(y string) string {
		return strings.Replace(y, "bundle: bundle\n", "bundle: bundle\n  shadow: candidate\n", 1)
	})
	if code, body := w.ask("POST", "/reload", string(admin)); code != 200 {
		t.Fatalf("reload: %d %s", code, body)
	}
	for range 3 {
		if r := w.get(token, "/Practitioner"); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	w.until("three comparisons", func() bool { return status().Get("compared").Int() == 3 })
	s := status()
	if s.Get("differences.refuses").Int() != 3 || s.Get("dropped").Int() != 0 || s.Get("candidate_revision").String() == "" ||
		s.Get("candidate_revision").String() == s.Get("policy_revision").String() {
		t.Errorf("status %s", s.Raw)
	}
	_, metrics := w.ask("GET", "/metrics", "")
	for _, want := range []string{`halfdoor_policy_shadow_differences_total{kind="refuses"} 3`, `halfdoor_policy_shadow_calls_total{outcome="compared"} 3`, "halfdoor_policy_shadow_current 1"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	w.until("the sample", func() bool { return strings.Contains(w.operator.String(), `"candidate_reason":"test-refused"`) })

	write("package halfdoor\n\ndecision := {")
	if code, body := w.ask("POST", "/reload", string(admin)); code != 200 {
		t.Fatalf("a bad candidate keeps a reload off: %d %s", code, body)
	}
	if r := w.get(token, "/Practitioner"); r.status != 200 {
		t.Errorf("beside a bad candidate: %d %s", r.status, r.body)
	}
	if s := status(); !strings.Contains(s.Get("problem").String(), "decision.rego") || s.Get("compared").Exists() {
		t.Errorf("status %s", s.Raw)
	}
	if _, metrics := w.ask("GET", "/metrics", ""); !strings.Contains(metrics, "halfdoor_policy_shadow_current 0") {
		t.Error("the metrics do not tell of the bad candidate")
	}

	write(allowAll)
	if code, body := w.ask("POST", "/reload", string(admin)); code != 200 {
		t.Fatalf("reload: %d %s", code, body)
	}
	if r := w.get(token, "/Practitioner"); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.until("a comparison", func() bool { return status().Get("compared").Int() >= 1 })
	if s := status(); len(s.Get("differences").Map()) != 0 {
		t.Errorf("the same rules differ: %s", s.Raw)
	}
}
