package policies

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/tester"
)

// Results are what a bundle's own tests said.
type Results struct {
	Tests []TestResult // by file and line
	// Covered and Uncovered count the lines of the rules, tests left out; Gaps names the uncovered.
	Covered, Uncovered int
	Gaps               []Gap
}

// TestResult is the outcome of one rule test_…, as OPA runs it.
type TestResult struct {
	Package, Name string
	File          string
	Line          int
	Passed        bool
	Skipped       bool     // its name begins with todo_
	Failed        []string // the cases that failed, of a test with cases
	Err           error    // what kept the test from ending
	Output        string   // of print
	Duration      time.Duration
}

// Gap is a run of lines that no test reached.
type Gap struct {
	File     string
	From, To int
}

// Passed tells whether there is a test, and none failed.
func (r *Results) Passed() bool {
	ran := 0
	for _, t := range r.Tests {
		if t.Skipped {
			continue
		}
		if !t.Passed {
			return false
		}
		ran++
	}
	return ran > 0
}

// Coverage is how much of the rules the tests reached, in percent of their lines; 100 where there is no rule.
func (r *Results) Coverage() float64 {
	if r.Covered+r.Uncovered == 0 {
		return 100
	}
	return 100 * float64(r.Covered) / float64(r.Covered+r.Uncovered)
}

// Failures names the tests that failed, each as package.name, with its case where it has several.
func (r *Results) Failures() []string {
	var names []string
	for _, t := range r.Tests {
		name := t.Package + "." + t.Name
		switch {
		case t.Passed || t.Skipped:
		case len(t.Failed) == 0:
			names = append(names, name)
		default:
			for _, c := range t.Failed {
				names = append(names, name+"/"+c)
			}
		}
	}
	return names
}

// maxTest is how long one test may take, with all of its cases, on a machine that has much else to do.
const maxTest = time.Minute

// Test runs the tests of a bundle (the files *_test.rego), under the same limits as [Load] compiles it, with the
// exception of print. An error means that they could not be run; it joins a [*Problem] for each reason.
func Test(ctx context.Context, tree fs.FS) (*Results, error) { return TestSome(ctx, tree, nil) }

// TestSome is [Test] of those tests in whose name, as OPA has it ("data.halfdoor_test.test_allowed"), run finds something; nil is for all.
func TestSome(ctx context.Context, tree fs.FS, run *regexp.Regexp) (*Results, error) {
	var found problems
	src := read(tree, &found)
	modules := maps.Clone(src.live)
	maps.Copy(modules, src.tests)
	store := src.store()
	compile(modules, store, &found)
	if err := found.err(); err != nil {
		return nil, err
	}

	// The runner compiles once more, as it rewrites the tests to tell which case failed. It must not do so strictly:
	// its own rewriting is not.
	schema, err := inputSchema()
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler().
		SetErrorLimit(0).
		WithCapabilities(capabilities()).
		WithSchemas(schema).
		WithUseTypeCheckAnnotations(false).
		WithEnablePrintStatements(true)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	coverage := cover.New()
	filter := ""
	if run != nil {
		filter = run.String()
	}
	results, err := tester.NewRunner().
		Filter(filter).
		SetCompiler(compiler).
		SetStore(store).
		SetModules(modules).
		CapturePrintOutput(true).
		RaiseBuiltinErrors(true).
		SetTimeout(maxTest).
		SetCoverageQueryTracer(coverage).
		SetCoverageRuns(nil).
		RunTests(ctx, txn)
	if err != nil {
		addRego("", err, &found)
		return nil, cmp.Or(found.err(), err)
	}
	r := &Results{}
	for t := range results {
		r.Tests = append(r.Tests, testResult(t))
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(errors.New("policies: the tests were cut short"), err)
	}
	slices.SortFunc(r.Tests, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	r.cover(coverage.Report(src.live), src.live)
	return r, nil
}

func testResult(t *tester.Result) TestResult {
	out := TestResult{
		Package:  strings.TrimPrefix(t.Package, "data."),
		Name:     t.Name,
		Passed:   t.Pass(),
		Skipped:  t.Skip,
		Err:      t.Error,
		Output:   string(t.Output),
		Duration: t.Duration,
	}
	if t.Location != nil {
		out.File, out.Line = t.Location.File, t.Location.Row
	}
	for name, sub := range t.SubResults.Iter {
		if sub.Fail {
			out.Failed = append(out.Failed, strings.Join(name, "/"))
		}
	}
	slices.Sort(out.Failed)
	return out
}

func (r *Results) cover(report cover.Report, live map[string]*ast.Module) {
	for _, name := range slices.Sorted(maps.Keys(live)) {
		file := report.Files[name]
		if file == nil {
			continue
		}
		r.Covered += file.CoveredLines
		r.Uncovered += file.NotCoveredLines
		for _, g := range file.NotCovered {
			r.Gaps = append(r.Gaps, Gap{File: name, From: g.Start.Row, To: g.End.Row})
		}
	}
}
