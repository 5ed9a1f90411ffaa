package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/policies"
)

// TestMisspeltDataset refuses a dataset that names what FHIR does not have.
func TestMisspeltDataset(t *testing.T) {
	dir := t.TempDir()
	check(t, os.CopyFS(dir, policies.Default()))
	name := filepath.Join(dir, "halfdoor/datasets/access/data.yaml")
	text, err := os.ReadFile(name)
	check(t, err)
	if _, err := gateway.Policies(dir); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, want string }{
		{"family+birthdate", "family+birthdat", `search: Patient has no parameter "birthdat"`},
		{"    birthDate: year\n", "    birthDate: year\n    birthdate: year\n", `Patient.birthdate: R4 has no element "birthdate" in Patient: birthDate?`},
		{"    birthDate: year\n", "    birthDate: year\n    deceased: keep\n", `Patient.deceased: R4 has no element "deceased" in Patient, but one for each type: deceasedBoolean, deceasedDateTime`},
		{"    birthDate: year\n", "    birthDate: year\n    gender.day.hour: keep\n", `Patient.gender.day.hour: Patient.gender has nothing below it in R4`},
		{"    birthDate: year\n", "    birthDate: year\n    telecom[sistem=phone].value: mask\n", `Patient.telecom[sistem=phone].value: R4 has no element "sistem" in Patient.telecom`},
		{"    birthDate: year\n", "    birthDate: year\n    contact.address.zip: keep\n", `Patient.contact.address.zip: R4 has no element "zip" in Patient.contact.address`},
		{"    birthDate: year\n", "    birthDate: year\n  Customer:\n    id: token\n", `Customer: R4 has no such resource type`},
	} {
		changed := strings.Replace(string(text), tt.old, tt.new, 1)
		check(t, os.WriteFile(name, []byte(changed), 0o600))
		_, err := gateway.Policies(dir)
		if err == nil || !strings.HasPrefix(err.Error(), "halfdoor/datasets/access/data.yaml:") || !strings.HasSuffix(err.Error(), ": dataset access: "+tt.want) {
			t.Errorf("%s: got %v", tt.new, err)
		}
	}
}
