package cli

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/policies"
)

func policyTestCommand() *cobra.Command {
	var b bundleArg
	var s suite
	var run string
	var asJSON bool
	c := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run a policy's own tests, and tell what they do not reach",
		Long: `Run the tests of a bundle, the rules test_… of its files *_test.rego, by OPA's own
tester and under the limits that the gateway compiles a policy by.

--threshold fails where the tests reach less of the rules' lines than that, and
names the lines. --run takes only tests whose name fits an expression; what the
others reach is not known then, so it does not go with --threshold.

Exit status 1 where a test fails, where there is none, or below the threshold.`,
		Example: "  halfdoor policy test ./policies --threshold 90\n  halfdoor policy test --run test_writes --verbose\n  halfdoor policy test --format junit > report.xml",
		Args:    b.one,
		RunE: func(c *cobra.Command, args []string) error {
			if asJSON {
				s.format = "json"
			}
			if err := s.check(c, run); err != nil {
				return err
			}
			folder, err := b.folder(args)
			if err != nil {
				return err
			}
			bundle, err := tree(folder)
			if err != nil {
				return err
			}
			if s.results, err = policies.TestSome(c.Context(), bundle, s.run); err != nil {
				return err
			}
			if err := s.print(c.OutOrStdout()); err != nil {
				return err
			}
			if !s.passed() {
				return exit(1)
			}
			return nil
		},
	}
	b.flag(c)
	f := c.Flags()
	f.Float64Var(&s.threshold, "threshold", 0, "the least `PERCENT` of the rules' lines that the tests have to reach")
	f.StringVar(&run, "run", "", "only tests in whose name (data.halfdoor_test.test_allowed) this regular `EXPRESSION` is found")
	f.BoolVar(&s.verbose, "verbose", false, "name every test, what it printed, and every line that none reached")
	f.StringVar(&s.format, "format", "text", "text, json or junit")
	f.BoolVar(&asJSON, "json", false, "the same as --format json")
	return c
}

// suite is one run of a bundle's tests, and how it is told.
type suite struct {
	threshold float64
	run       *regexp.Regexp
	verbose   bool
	format    string
	results   *policies.Results
}

func (s *suite) check(c *cobra.Command, run string) (err error) {
	switch {
	case s.format != "text" && s.format != "json" && s.format != "junit":
		return usage{fmt.Errorf("--format %q: use text, json or junit", s.format)}
	case s.threshold < 0 || s.threshold > 100:
		return usage{errors.New("--threshold is from 0 to 100")}
	case !c.Flags().Changed("run"):
		return nil
	case run == "":
		return usage{errors.New("--run is empty")}
	case s.threshold > 0:
		return usage{errors.New("--threshold is about all tests, and --run leaves some out")}
	}
	if s.run, err = regexp.Compile(run); err != nil {
		return usage{fmt.Errorf("--run: %w", err)}
	}
	return nil
}

// covered says whether the tests reach as much as they have to.
func (s *suite) covered() bool { return s.results.Coverage() >= s.threshold }

func (s *suite) passed() bool { return s.results.Passed() && s.covered() }

func (s *suite) print(w io.Writer) error {
	switch s.format {
	case "json":
		return s.printJSON(w)
	case "junit":
		return s.printJUnit(w)
	}
	return s.printText(w)
}

func (s *suite) printText(out io.Writer) error {
	var w strings.Builder
	r, failed, skipped := s.results, 0, 0
	for _, t := range r.Tests {
		word := verdict(t)
		switch word {
		case "FAIL":
			failed++
		case "skip":
			skipped++
		}
		if word == "ok" && !s.verbose {
			continue
		}
		fmt.Fprintf(&w, "%-4s  %s:%d  %s.%s", word, t.File, t.Line, t.Package, t.Name)
		if s.verbose {
			fmt.Fprintf(&w, "  %s", t.Duration.Round(10*time.Microsecond))
		}
		w.WriteByte('\n')
		for _, name := range t.Failed {
			fmt.Fprintf(&w, "      case %s\n", safe(name))
		}
		if t.Err != nil {
			fmt.Fprintf(&w, "      %s\n", safe(t.Err.Error()))
		}
		for line := range strings.Lines(t.Output) {
			fmt.Fprintf(&w, "      | %s\n", safe(strings.TrimSuffix(line, "\n")))
		}
	}
	if s.run == nil && (s.verbose || !s.covered()) {
		for _, g := range r.Gaps {
			fmt.Fprintf(&w, "gap   %s  no test reaches it\n", lines(g))
		}
	}
	fmt.Fprintf(&w, "%d passed, %d failed, %d skipped", len(r.Tests)-failed-skipped, failed, skipped)
	if s.run == nil {
		fmt.Fprintf(&w, "; %.1f%% of the rules' lines reached", r.Coverage())
		if !s.covered() {
			fmt.Fprintf(&w, ", and %g%% are asked for", s.threshold)
		}
	}
	w.WriteByte('\n')
	if len(r.Tests) == skipped {
		w.WriteString("no test ran, which is no pass\n")
	}
	_, err := io.WriteString(out, w.String())
	return err
}

func lines(g policies.Gap) string {
	if g.From == g.To {
		return fmt.Sprintf("%s:%d", g.File, g.From)
	}
	return fmt.Sprintf("%s:%d-%d", g.File, g.From, g.To)
}

func verdict(t policies.TestResult) string {
	switch {
	case t.Skipped:
		return "skip"
	case t.Passed:
		return "ok"
	}
	return "FAIL"
}

func (s *suite) printJSON(w io.Writer) error {
	type test struct {
		Name   string   `json:"name"`
		File   string   `json:"file"`
		Line   int      `json:"line"`
		Result string   `json:"result"`
		Failed []string `json:"failed_cases,omitempty"`
		Error  string   `json:"error,omitempty"`
		Output string   `json:"output,omitempty"`
		Micros int64    `json:"micros"`
	}
	type gap struct {
		File string `json:"file"`
		From int    `json:"from"`
		To   int    `json:"to"`
	}
	doc := struct {
		Passed    bool     `json:"passed"`
		Tests     []test   `json:"tests"`
		Coverage  *float64 `json:"coverage,omitempty"`
		Threshold float64  `json:"threshold,omitempty"`
		Gaps      []gap    `json:"gaps,omitempty"`
	}{Passed: s.passed(), Tests: []test{}, Threshold: s.threshold}
	for _, t := range s.results.Tests {
		one := test{Name: t.Package + "." + t.Name, File: t.File, Line: t.Line, Result: strings.ToLower(verdict(t)),
			Failed: t.Failed, Output: t.Output, Micros: t.Duration.Microseconds()}
		if t.Err != nil {
			one.Error = t.Err.Error()
		}
		doc.Tests = append(doc.Tests, one)
	}
	if s.run == nil {
		covered := s.results.Coverage()
		doc.Coverage = &covered
		for _, g := range s.results.Gaps {
			doc.Gaps = append(doc.Gaps, gap(g))
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// printJUnit writes the form that continuous integration servers read.
func (s *suite) printJUnit(w io.Writer) error {
	type note struct {
		Message string `xml:"message,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
	type test struct {
		Class   string  `xml:"classname,attr"`
		Name    string  `xml:"name,attr"`
		Seconds float64 `xml:"time,attr"`
		Failure *note   `xml:"failure,omitempty"`
		Skipped *note   `xml:"skipped,omitempty"`
		Output  string  `xml:"system-out,omitempty"`
	}
	doc := struct {
		XMLName  xml.Name `xml:"testsuite"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Cases    []test   `xml:"testcase"`
	}{Name: "halfdoor policy test"}
	add := func(t test) {
		if t.Failure != nil {
			doc.Failures++
		}
		if t.Skipped != nil {
			doc.Skipped++
		}
		doc.Tests++
		doc.Cases = append(doc.Cases, t)
	}
	for _, t := range s.results.Tests {
		one := test{Class: t.Package, Name: t.Name, Seconds: t.Duration.Seconds(), Output: t.Output}
		switch verdict(t) {
		case "skip":
			one.Skipped = &note{}
		case "FAIL":
			text := strings.Join(t.Failed, "\n")
			if t.Err != nil {
				text = t.Err.Error()
			}
			one.Failure = &note{Message: fmt.Sprintf("%s:%d", t.File, t.Line), Text: text}
		}
		add(one)
	}
	if s.threshold > 0 {
		one := test{Class: "coverage", Name: fmt.Sprintf("at least %g%%", s.threshold)}
		if !s.covered() {
			gaps := make([]string, len(s.results.Gaps))
			for i, g := range s.results.Gaps {
				gaps[i] = lines(g)
			}
			one.Failure = &note{Message: fmt.Sprintf("%.1f%%", s.results.Coverage()), Text: strings.Join(gaps, "\n")}
		}
		add(one)
	}
	if doc.Tests == 0 {
		add(test{Class: "suite", Name: "has tests", Failure: &note{Message: "no test ran, which is no pass"}})
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
