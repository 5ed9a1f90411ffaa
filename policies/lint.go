package policies

import (
	"cmp"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// Severity says how much a finding weighs.
type Severity string

// The severities: an error keeps the bundle from being used, a warning lets more leave or less work than its author may have
// meant, a hint is for whoever has the time.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityHint    Severity = "hint"
)

// Finding is something in a bundle that its author should look at.
type Finding struct {
	Rule     string   `json:"rule"` // by which it was found: "dataset-identifier"
	Severity Severity `json:"severity"`
	File     string   `json:"file,omitempty"` // within the bundle; empty if it is about the bundle as a whole
	Line     int      `json:"line,omitempty"` // from 1, or 0
	Text     string   `json:"text"`           // what is there
	Fix      string   `json:"fix,omitempty"`  // what to do
}

// Definitions are what FHIR says, which this package does not know.
type Definitions struct {
	// Type is the data type of an element, by its path of JSON names below a resource type.
	Type func(resourceType, path string) (dataType string, ok bool)
	// Below are the names of the elements below a path; those of the resource itself where it is empty.
	Below func(resourceType, path string) []string
	// Reads are the elements that a search parameter reads.
	Reads func(resourceType, parameter string) []string
	// Has says whether a field of the input ("input.request.type") can have a value.
	Has func(field, value string) bool
}

// Lint reads a bundle and says what its author should look at, by file and line. What keeps the bundle from being used is an
// error; rules are looked at only where they compile, datasets where they do.
func Lint(o Options, defs Definitions) []Finding {
	if o.Bundle == nil {
		o.Bundle = Default()
	}
	var found problems
	l := &linter{defs: defs, compartment: o.Compartment, source: read(o.Bundle, &found)}
	l.plans = compilePlans(l.source, o, &found)
	statedLabels(l.source, &found)
	statedSwitches(l.source, &found)
	compiler := compile(l.source.live, l.source.store(), &found)
	for _, p := range found {
		l.findings = append(l.findings, Finding{Rule: p.rule(), Severity: SeverityError, File: p.File, Line: p.Line, Text: p.Text})
	}
	if compiler != nil && !compiler.Failed() {
		l.rules(compiler)
	}
	l.datasets()
	l.settings()
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(l.findings)
}

// linter is one reading of a bundle.
type linter struct {
	defs        Definitions
	compartment map[string][]string
	source      *source
	plans       map[string]*transforms.Plan
	findings    []Finding
}

func (l *linter) add(rule string, s Severity, file string, line int, text, fix string) {
	l.findings = append(l.findings, Finding{Rule: rule, Severity: s, File: file, Line: line, Text: text, Fix: fix})
}

// addData is about a place in the data.
func (l *linter) addData(rule string, s Severity, at []string, text, fix string) {
	file, line := l.source.locate(at, at)
	l.add(rule, s, file, line, text, fix)
}

// rule is the name under which Lint tells the problem.
func (p *Problem) rule() string {
	switch {
	case strings.Contains(p.Text, "the input has no such field"):
		return "input-field"
	case strings.HasSuffix(p.File, ".rego"):
		return "rego"
	case strings.HasPrefix(p.Text, "dataset "):
		return "dataset"
	case p.File == "" && strings.HasPrefix(p.Text, "there is no "):
		return "bundle"
	case p.File == ".manifest":
		return "bundle"
	}
	return "data"
}
