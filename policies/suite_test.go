package policies_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/policies"
)

func withTest(t *testing.T, rego string) fstest.MapFS {
	t.Helper()
	tree := copyOf(t, os.DirFS("testdata/base"))
	tree["halfdoor/decision_test.rego"] = &fstest.MapFile{Data: []byte("package halfdoor_test\n\nimport data.halfdoor\n" + rego)}
	return tree
}

func TestSuiteTellsFailures(t *testing.T) {
	r, err := policies.Test(context.Background(), withTest(t, `
test_passes if halfdoor.decision.allow

test_fails if {
	print("about to fail")
	not halfdoor.decision.allow
}

test_cases[name] if {
	some name, want in {"same": "desk", "other": "front"}
	halfdoor.decision.dataset == want
}

test_raises if to_number("x") == 1

todo_test_later if false
`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed() {
		t.Error("it passed")
	}
	want := []string{"halfdoor_test.test_fails", "halfdoor_test.test_cases/other", "halfdoor_test.test_raises"}
	if got := r.Failures(); !slices.Equal(got, want) {
		t.Errorf("failures are %q, want %q", got, want)
	}
	failed := r.Tests[slices.IndexFunc(r.Tests, func(t policies.TestResult) bool { return t.Name == "test_fails" })]
	if failed.File != "halfdoor/decision_test.rego" || failed.Line != 7 || !strings.Contains(failed.Output, "about to fail") {
		t.Errorf("got %+v", failed)
	}
}

func TestSuiteTellsGaps(t *testing.T) {
	tree := withTest(t, "\ntest_passes if halfdoor.decision.allow\n")
	tree["halfdoor/more.rego"] = &fstest.MapFile{Data: []byte("package halfdoor\n\nmore if {\n\tinput.purpose == \"TREAT\"\n}\n")}
	r, err := policies.Test(context.Background(), tree)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Passed() || len(r.Gaps) == 0 || r.Gaps[0].File != "halfdoor/more.rego" || r.Uncovered == 0 {
		t.Errorf("got %+v", r)
	}
}

func TestSuiteWithoutTests(t *testing.T) {
	r, err := policies.Test(context.Background(), os.DirFS("testdata/base"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed() {
		t.Error("no test is no pass")
	}
}

// Tests are compiled under the policy's own limits.
func TestSuiteIsHeldToTheLimits(t *testing.T) {
	for name, tt := range map[string]struct{ rego, want string }{
		"clock":  {"test_now if time.now_ns() > 0", "time.now_ns is not available to a policy"},
		"strict": {"test_x if { x := 1; halfdoor.decision.allow }", "assigned var x unused"},
		"syntax": {"test_x if {", "halfdoor/decision_test.rego:4"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policies.Test(context.Background(), withTest(t, tt.rego))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSuiteOfBadBundle(t *testing.T) {
	tree := copyOf(t, os.DirFS("testdata/base"))
	maps.Copy(tree, copyOf(t, os.DirFS("testdata/builtins.bad")))
	if _, err := policies.Test(context.Background(), tree); err == nil {
		t.Error("it ran")
	}
}

// A live policy does not hold its tests.
func TestTestsAreNotLoaded(t *testing.T) {
	tree := withTest(t, "test_x if {") // does not even parse
	if _, err := policies.Load(policies.Options{Bundle: tree, Compartment: compartment}); err == nil {
		t.Error("a bundle whose test is broken loads") // every problem of a bundle is told
	}
	tree = withTest(t, "\ntest_x if halfdoor.decision with input.purpose as http.send({})\n")
	load(t, policies.Options{Bundle: tree})
}
