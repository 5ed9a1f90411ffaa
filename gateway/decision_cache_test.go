package gateway_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestDecisionsAreRemembered asks the same of other people: the policy does not read who is asked about. Another policy
// begins with nothing.
func TestDecisionsAreRemembered(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{"halfdoor/decision.rego": allowAll}))
	token := w.token("demo-access", demo.TokenOptions{})
	for _, path := range []string{"/Practitioner", "/Practitioner?_count=2", "/Practitioner?_count=1"} {
		if r := w.get(token, path); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	_, metrics := w.ask("GET", "/metrics", "")
	for _, want := range []string{`halfdoor_policy_decisions_total{from="cache"} 2`, `halfdoor_policy_decisions_total{from="rules"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	w.edit("bundle/halfdoor/decision.rego", func(string) string { return allowNone })
	w.until("the new policy", func() bool { return w.get(token, "/Practitioner").code() == "test-refused" })
}
