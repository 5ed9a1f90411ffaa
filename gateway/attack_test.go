package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/probe"
)

// TestAttacks makes every attack of the probe on a gateway whose policy and scopes allow
// everything, so that what still holds is the floor, the admission and the filter. Each is a
// test by the name of its check.
func TestAttacks(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string {
		return y + "policy:\n  bundle: bundle\nlimits: {patients_per_hour: 0}\n"
	}), withBundle(map[string]string{"halfdoor/decision.rego": strings.Replace(allowAll, `"dataset": "access"`,
		`"dataset": "scheduling", "deny_labels": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]`, 1)}))
	roots, err := certs.Pool(w.made.CA)
	check(t, err)
	all := []string{"system/*.cruds"}
	patient := w.sandbox.IDs("Patient")[appPatient]
	o := probe.Options{
		URL: w.fhir, EHR: w.ehrURL, Roots: roots, Dataset: dataset(t, "scheduling"), Patient: patient,
		Token: probe.Token(w.token("demo-scheduling", demo.TokenOptions{Scopes: all})),
		Other: probe.Token(w.token("demo-billing", demo.TokenOptions{Scopes: all})),
		PatientToken: probe.Token(w.token("demo-app", demo.TokenOptions{
			Scopes: []string{"launch/patient", "patient/*.cruds"}, Claims: map[string]any{"patient": patient},
		})),
	}
	report, err := probe.Run(context.Background(), o)
	check(t, err)
	if len(report.Results) != len(probe.Checks()) {
		t.Errorf("%d results of %d checks", len(report.Results), len(probe.Checks()))
	}
	for _, r := range report.Results {
		t.Run(r.Name, func(t *testing.T) {
			t.Log(r.Evidence)
			if !r.OK || r.Skipped != "" {
				t.Errorf("%s%s", r.Evidence, r.Skipped)
			}
		})
	}
	check(t, w.close())
	w.verify()
}
