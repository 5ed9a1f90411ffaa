package policies_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// Each folder testdata/*.bad is laid over testdata/base, a bundle that works. load.txt in it is the whole of what Load
// says; decide.txt is what Decide says of a call that Load had nothing against.
func TestBadBundles(t *testing.T) {
	folders, err := filepath.Glob("testdata/*.bad")
	if err != nil || len(folders) < 25 {
		t.Fatalf("%d folders: %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(strings.TrimSuffix(filepath.Base(folder), ".bad"), func(t *testing.T) {
			tree := copyOf(t, os.DirFS("testdata/base"))
			maps.Copy(tree, copyOf(t, os.DirFS(folder)))
			o := policies.Options{Bundle: tree, Compartment: compartment}

			if want, ok := tree["load.txt"]; ok {
				delete(tree, "load.txt")
				e, err := policies.Load(o)
				if e != nil || err == nil {
					t.Fatal("it loads")
				}
				same(t, err.Error(), string(want.Data))
				return
			}
			want, ok := tree["decide.txt"]
			if !ok {
				t.Fatal("neither load.txt nor decide.txt")
			}
			delete(tree, "decide.txt")
			e, err := policies.Load(o)
			if err != nil {
				t.Fatal(err)
			}
			d, err := e.Decide(context.Background(), call())
			if d != nil || err == nil {
				t.Fatalf("decides %+v", d)
			}
			same(t, err.Error(), string(want.Data))
			if strings.Contains(err.Error(), call().Ticket.ID) {
				t.Error("the error quotes the input")
			}
		})
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != strings.TrimSuffix(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBaseWorks(t *testing.T) {
	e := load(t, policies.Options{Bundle: os.DirFS("testdata/base")})
	d, err := e.Decide(context.Background(), call())
	if err != nil || !d.Allow || d.Dataset != "desk" || d.Plan == nil {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestNoDatasets(t *testing.T) {
	tree := copyOf(t, os.DirFS("testdata/base"))
	delete(tree, "halfdoor/datasets/desk/data.yaml")
	_, err := policies.Load(policies.Options{Bundle: tree, Compartment: compartment})
	if err == nil || err.Error() != "there is no dataset below data.halfdoor.datasets" {
		t.Error(err)
	}
}

func TestEmptyAndMissingFolders(t *testing.T) {
	_, err := policies.Load(policies.Options{Bundle: fstest.MapFS{}, Compartment: compartment})
	if err == nil {
		t.Error("an empty folder loads")
	}
	_, err = policies.Load(policies.Options{Bundle: os.DirFS("testdata/none"), Compartment: compartment})
	if err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Error(err)
	}
}

func TestProblemsHavePlaces(t *testing.T) {
	tree := copyOf(t, os.DirFS("testdata/base"))
	tree["halfdoor/a/data.yaml"] = &fstest.MapFile{Data: []byte("x: 1\ny: 2\nx: 3\n")}
	_, err := policies.Load(policies.Options{Bundle: tree, Compartment: compartment})
	var p *policies.Problem
	if !errors.As(err, &p) || p.File != "halfdoor/a/data.yaml" || p.Line != 3 {
		t.Errorf("got %+v of %v", p, err)
	}
}

// A Kubernetes volume shows its files through links and hidden folders.
func TestHiddenFoldersAndLinks(t *testing.T) {
	dir := t.TempDir()
	for name, f := range copyOf(t, os.DirFS("testdata/base")) {
		write(t, filepath.Join(dir, "real", name), f.Data)
	}
	write(t, filepath.Join(dir, "bundle", "..data", "halfdoor", "decision.rego"), []byte("not rego"))
	if err := os.Symlink(filepath.Join(dir, "real", "halfdoor"), filepath.Join(dir, "bundle", "halfdoor")); err != nil {
		t.Fatal(err)
	}
	_, err := policies.Load(policies.Options{Bundle: os.DirFS(filepath.Join(dir, "bundle")), Compartment: compartment})
	if err == nil || !strings.Contains(err.Error(), "halfdoor: is a link to a folder, which is not followed") {
		t.Errorf("a linked folder: %v", err)
	}

	if err := os.Remove(filepath.Join(dir, "bundle", "halfdoor")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "bundle", "halfdoor", "datasets", "desk", "data.yaml"), []byte("title: A desk\nversion: 1\nresources: {Patient: {id: token}}\n"))
	link := filepath.Join(dir, "bundle", "halfdoor", "decision.rego")
	if err := os.Symlink(filepath.Join(dir, "real", "halfdoor", "decision.rego"), link); err != nil {
		t.Fatal(err)
	}
	load(t, policies.Options{Bundle: os.DirFS(filepath.Join(dir, "bundle"))})
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// decide asks a policy made of one rule's value.
func decide(t *testing.T, value string) (*policies.Decision, error) {
	t.Helper()
	tree := copyOf(t, os.DirFS("testdata/base"))
	tree["halfdoor/decision.rego"] = &fstest.MapFile{Data: []byte("package halfdoor\n\ndecision := " + value + "\n")}
	return load(t, policies.Options{Bundle: tree, Budget: time.Minute}).Decide(context.Background(), call())
}

func TestDecisionShapes(t *testing.T) {
	const ok = `"allow": true, "reason": {"code": "a-b-1", "text": "A."}, "dataset": "desk"`
	tests := []struct{ name, value, want string }{
		{"null", `null`, "decision must be an object and is null"},
		{"number", `7`, "decision must be an object and is a number"},
		{"boolean", `true`, "decision must be an object and is a boolean"},
		{"array", `[true]`, "decision must be an object and is an array"},
		{"number as member", `{7: 1}`, "decision has a member that is not a name"},
		{"reason is text", `{"allow": true, "reason": "a", "dataset": "desk"}`, "decision.reason must be an object and is text"},
		{"reason without code", `{"allow": false, "reason": {"text": "A."}}`, "decision.reason.code must be lower-case words joined by hyphens"},
		{"reason without text", `{"allow": false, "reason": {"code": "a"}}`, "decision.reason.text must be a sentence of at most 500 bytes"},
		{"reason with more", `{"allow": false, "reason": {"code": "a", "text": "A.", "why": 1}}`, "decision.reason.why is not a member that this version knows"},
		{"code with spaces", `{"allow": false, "reason": {"code": "no way", "text": "A."}}`, "decision.reason.code must be lower-case words joined by hyphens"},
		{"two lines", `{"allow": false, "reason": {"code": "a", "text": "A.\nB."}}`, "decision.reason.text must be one line"},
		{"dataset is a list", `object.union({` + ok + `}, {"dataset": ["desk"]})`, "decision.dataset must be text and is an array"},
		{"purpose with spaces", `{` + ok + `, "purpose": "to treat"}`, "decision.purpose must be a code"},
		{"patient is a path", `{` + ok + `, "patient": "Patient/1"}`, "decision.patient must be a FHIR id; leave it out if there is none"},
		{"patient is empty", `{` + ok + `, "patient": ""}`, "decision.patient must be a FHIR id; leave it out if there is none"},
		{"labels are text", `{` + ok + `, "deny_labels": "R"}`, "decision.deny_labels must be a list and is text"},
		{"label is text", `{` + ok + `, "deny_labels": ["R"]}`, "decision.deny_labels[0] must be an object and is text"},
		{"label without code", `{` + ok + `, "deny_labels": [{"code": "R"}, {"system": "s"}]}`, "decision.deny_labels[1] has no code"},
		{"label with more", `{` + ok + `, "deny_labels": [{"code": "R", "display": "r"}]}`, "decision.deny_labels[0].display is not a member that this version knows"},
		{"break_glass is text", `{` + ok + `, "break_glass": "no"}`, "decision.break_glass must be true or false and is text"},
		{"obligations is text", `{` + ok + `, "obligations": "log"}`, "decision.obligations must be a list and is text"},
		{"obligation is a number", `{` + ok + `, "obligations": ["if-match", 1]}`, "decision.obligations[1] must be text and is a number"},
		{"refusal of an unknown dataset", `{"allow": false, "reason": {"code": "a", "text": "A."}, "dataset": "front"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := decide(t, tt.value)
			if d != nil || err == nil {
				t.Fatalf("decides %+v", d)
			}
			if tt.want == "" {
				if !errors.Is(err, policies.ErrDataset) {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, policies.ErrShape) {
				t.Errorf("%v is not ErrShape", err)
			}
			same(t, strings.TrimPrefix(err.Error(), policies.ErrShape.Error()+": "), tt.want)
		})
	}

	d, err := decide(t, `{`+ok+`, "purpose": "BTG", "patient": "p-1", "deny_labels": {{"system": "s", "code": "R"}}, "break_glass": true, "obligations": ["if-match"]}`)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Allow || d.Reason != (policies.Reason{Code: "a-b-1", Text: "A."}) || d.Dataset != "desk" || d.Purpose != "BTG" || d.Patient != "p-1" ||
		len(d.DenyLabels) != 1 || d.DenyLabels[0] != (transforms.Label{System: "s", Code: "R"}) || !d.BreakGlass ||
		len(d.Obligations) != 1 || d.Obligations[0] != policies.IfMatch {
		t.Errorf("got %+v", d)
	}
}

func TestErrorsCanBeTold(t *testing.T) {
	tests := []struct {
		folder string
		want   error
	}{
		{"undefined", policies.ErrUndefined},
		{"conflict", policies.ErrFailed},
		{"builtin-fails", policies.ErrFailed},
		{"loop", policies.ErrBudget},
		{"a-set", policies.ErrShape},
		{"unknown-dataset", policies.ErrDataset},
	}
	for _, tt := range tests {
		t.Run(tt.folder, func(t *testing.T) {
			tree := copyOf(t, os.DirFS("testdata/base"))
			maps.Copy(tree, copyOf(t, os.DirFS("testdata/"+tt.folder+".bad")))
			e := load(t, policies.Options{Bundle: tree, Budget: policies.DefaultBudget})
			if _, err := e.Decide(context.Background(), call()); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCallerGoesAway(t *testing.T) {
	tree := copyOf(t, os.DirFS("testdata/base"))
	maps.Copy(tree, copyOf(t, os.DirFS("testdata/loop.bad")))
	e := load(t, policies.Options{Bundle: tree, Budget: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Decide(ctx, call()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := e.Decide(ctx, call()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
