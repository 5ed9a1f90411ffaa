package policies_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/halfdoor/halfdoor/policies"
)

// Data that this program takes, OPA takes as well, and sees the same in it.
func FuzzData(f *testing.F) {
	seeds := []string{
		"a: 1\nb: {c: [x, y]}\n",
		"a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n",
		`{"a": {"b": [1, 2.50, "x"]}}`,
		"# a comment\n---\na: ~\n...\n",
	}
	for i, seed := range seeds {
		if _, ok := policies.TryData(fstest.MapFS{"x/data.yaml": {Data: []byte(seed)}}); !ok {
			f.Fatalf("seed %d is refused", i)
		}
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Add([]byte("on: yes\nno: 08\n? [1]\n: 2\n"), false)
	f.Fuzz(func(t *testing.T, content []byte, asJSON bool) {
		name := "x/y/data.yaml"
		if asJSON {
			name = "x/y/data.json"
		}
		tree := fstest.MapFS{name: {Data: content}}
		got, ok := policies.TryData(tree)
		if !ok {
			return
		}
		loader, err := bundle.NewFSLoader(tree)
		if err != nil {
			t.Fatal(err)
		}
		want, err := bundle.NewCustomReader(loader).Read()
		if err != nil {
			t.Fatalf("OPA refuses what was taken: %v", err)
		}
		if !reflect.DeepEqual(got, want.Data) {
			t.Errorf("took %v, OPA %v", got, want.Data)
		}
	})
}

// A decision that is taken has the forms that records and EHR rely on; what is wrong with another is told without a
// value of it.
func FuzzDecision(f *testing.F) {
	for _, seed := range []string{
		`{"allow": true, "reason": {"code": "a-b", "text": "A."}, "dataset": "desk", "purpose": "TREAT", "patient": "p.1"}`,
		`{"allow": false, "reason": {"code": "a", "text": "A."}, "deny_labels": [{"system": "s", "code": "R"}], "break_glass": true, "obligations": []}`,
	} {
		if _, wrong := policies.ParseDecision(ast.MustParseTerm(seed).Value); wrong != "" {
			f.Fatal(wrong)
		}
		f.Add(seed)
	}
	f.Add(`{"allow": true, "reason": {"code": "NOT-A-CODE-1", "text": "Mrs Example was here"}, "dataset": ["Mrs Example"]}`)
	f.Add(`[{"allow": "Mrs Example"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ast.ValueFromReader(strings.NewReader(text))
		if err != nil {
			return
		}
		d, wrong := policies.ParseDecision(v)
		if wrong != "" {
			ast.WalkTerms(v, func(term *ast.Term) bool {
				if s, ok := term.Value.(ast.String); ok && strings.ContainsAny(string(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") && len(s) > 8 &&
					!strings.Contains("must be a FHIR id; leave it out if there is none", string(s)) && strings.Contains(wrong, string(s)) {
					t.Errorf("quotes a value: %s", wrong)
				}
				return false
			})
			return
		}
		if d.Allow && d.Dataset == "" || len(d.Obligations) != 0 || d.Reason.Code == "" || len(d.Reason.Code) > 64 ||
			d.Reason.Text == "" || len(d.Reason.Text) > 500 || strings.ContainsAny(d.Reason.Text, "\r\n\x00") ||
			strings.ContainsAny(d.Patient, "/?#% ") || strings.ContainsAny(d.Purpose, "/?#% \n") {
			t.Errorf("takes %+v", d)
		}
	})
}
