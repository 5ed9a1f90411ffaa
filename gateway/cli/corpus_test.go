package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/cli"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// wide has every method, and keeps as much as a dataset can of the types that the corpus has most of.
const wide = `title: Wide
version: 1
resources:
  Patient: {"*": keep, id: token, identifier.value: mask, birthDate: shift, name.family: hash, gender: {fixed: unknown}, contained: keep, "telecom[system=phone]": remove}
  Practitioner: {id: token, name: keep, identifier.value: token}
  Organization: {"*": keep, text: keep}
  Encounter: {"*": keep, id: token, period.start: shift, period.end: month, subject: reference}
  Observation: {id: token, "*": keep, effectiveDateTime: year, "code.coding[system='http://loinc.org'].display": keep, contained: keep}
  Condition: {id: hash, code.coding.system: keep, code.coding.code: keep, subject: reference, recordedDate: shift}
  DiagnosticReport: {"*": keep, presentedForm: remove, contained: keep}
  MedicationRequest: {id: token, status: keep, subject: reference, medicationCodeableConcept: keep, medicationReference: keep, contained: keep}
  Medication: {code: keep}
  Claim: {"*": keep}
  ExplanationOfBenefit: {"*": keep, contained: keep, extension: keep}
  Coverage: {payor: reference, "*": keep}
  ServiceRequest: {"*": keep}
  Immunization: {"*": keep, occurrenceDateTime: shift}
  AllergyIntolerance: {id: token, code: keep, patient: reference}
  List: {"*": keep}
search: {}
write: {}
`

const nobody = `package halfdoor

# METADATA
# entrypoint: true
decision := {"allow": false, "reason": {"code": "nobody", "text": "Nobody is let in."}}
`

// TestCorpus runs "halfdoor filter" on every file of the corpus, whole, and on the first line of those that have lines,
// and compares what it writes with the reference: by a dataset that keeps much, and by those of the default bundle.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("HALFDOOR_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	var files []string
	for _, pattern := range []string{"examples/*", "searchset/*", "synthea/*", "ndjson/*", "jsontestsuite/*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Log("no corpus (HALFDOOR_CORPUS): the tests' own documents only")
	}
	own, err := filepath.Glob("../../transforms/testdata/*.json")
	if err != nil || len(own) == 0 {
		t.Fatal("no documents", err)
	}
	files = append(files, own...)

	at := t.TempDir()
	bin := filepath.Join(at, "halfdoor")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/halfdoor/halfdoor").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bundle := filepath.Join(at, "bundle")
	must(t, os.MkdirAll(filepath.Join(bundle, "halfdoor/datasets/wide"), 0o700))
	for name, text := range map[string]string{
		"decision.rego": nobody, "data.yaml": "deny_labels: [{system: \"http://terminology.hl7.org/CodeSystem/v3-Confidentiality\", code: R}]\n", "datasets/wide/data.yaml": wide,
	} {
		must(t, os.WriteFile(filepath.Join(bundle, "halfdoor", name), []byte(text), 0o600))
	}
	much, err := gateway.Policies(bundle)
	must(t, err)
	usual, err := gateway.Policies("")
	must(t, err)
	keys, err := vault.Open(vault.Options{Keyset: []byte(cli.ExampleKeyset), Dir: filepath.Join(at, "vault"), Now: time.Now})
	must(t, err)
	defer keys.Close()
	seal, err := keys.Sealer("default", gateway.TokenClient("https://issuer.example", "example"), "main")
	must(t, err)
	o := transforms.Options{
		Tokens: seal, Shift: seal, Hash: seal, EHR: []string{"https://ehr.example/fhir"}, Base: "https://gateway.example/fhir",
	}
	type run struct {
		engine  *policies.Engine
		dataset string
		args    []string
	}
	datasets := usual.Datasets()
	wrote, refused := 0, 0
	for i, file := range files {
		doc, err := os.ReadFile(file)
		must(t, err)
		docs := [][]byte{doc}
		if strings.HasSuffix(file, ".ndjson") {
			docs = append(docs, doc[:bytes.IndexByte(doc, '\n')])
		}
		runs := []run{{much, "wide", []string{"--bundle", bundle}}, {usual, datasets[i%len(datasets)], nil}}
		if strings.Contains(file, "jsontestsuite") {
			runs = runs[:1] // none of it is a resource
		}
		for _, doc := range docs {
			for _, r := range runs {
				name := r.dataset
				plan, _ := r.engine.Plan(name)
				o.DenyLabels = r.engine.StatedLabels()
				want := reference.Filter(plan.Dataset(), fhir.PatientCompartment(), o, doc)
				cmd := exec.Command(bin, append([]string{"filter", "--dataset", name}, r.args...)...)
				cmd.Stdin = bytes.NewReader(doc)
				got, err := cmd.Output()
				var status *exec.ExitError
				if err != nil && (!errors.As(err, &status) || status.ExitCode() != 1 || len(got) > 0) {
					t.Fatalf("%s, %s: %v, with output %.200s", file, name, err, got)
				}
				switch {
				case err != nil && len(want.Errs)+len(want.May) == 0:
					t.Errorf("%s, %s: refused: %s", file, name, status.Stderr)
				case err != nil:
					refused++
				case len(want.Errs) > 0:
					t.Errorf("%s, %s: not refused with one of %v: %.200s", file, name, want.Errs, got)
				default:
					wrote++
					value, err := reference.Parse(got)
					if difference := reference.Difference("", value, want.Value); err != nil || difference != "" {
						t.Errorf("%s, %s: %v %s", file, name, err, difference)
					}
				}
			}
		}
	}
	t.Log(len(files), "files,", wrote, "written,", refused, "refused")
	if wrote < len(own) || len(files) > 300 && wrote < 130 {
		t.Errorf("only %d were written", wrote)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
