package gateway_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestIncludeBringsALabel includes a type that the policy denies a label on, before and after what may not be included
// where resources can be withheld: the order does not matter.
func TestIncludeBringsALabel(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.Replace(allowAll, `"dataset": "access"`, `"dataset": "scheduling", "deny_labels": {"Location": [{"system": "s", "code": "R"}]}[input.request.type]`, 1) + `
decision := {"allow": true, "dataset": "scheduling", "reason": {"code": "ok", "text": "Everything."}} if input.request.type != "Location"
`,
	}))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	const again = "_include=Appointment:slot&_revinclude:iterate=Appointment:slot"
	if r := w.get(token, "/Appointment?"+again); r.status != 200 {
		t.Fatalf("without the label: %d %s", r.status, r.body)
	}
	for _, path := range []string{
		"/Appointment?_include=Appointment:location&" + again,
		"/Appointment?" + again + "&_include=Appointment:location",
	} {
		w.refused(w.get(token, path), path, "403 search-hidden")
	}
}
