package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/test/bench/cases"
)

// run is what was asked for.
type run struct {
	cases, engines []string
	round          time.Duration // processor time of one engine's round
	rounds         int
	limit          time.Duration // by the wall's clock, for all measuring; 0 is none
	json           bool
	root           string // from where the corpus is looked for
	out, progress  io.Writer
}

func filterCommand() *cobra.Command {
	r := run{out: os.Stdout, progress: os.Stderr, root: "."}
	quick := false
	cmd := &cobra.Command{
		Use:   "filter",
		Short: "The filter of transforms, beside JSON libraries that do the same work",
		Long: `Filters each case's document with each engine, in turns, and prints how fast each was as a
ratio to json.Valid on the same document in the same run, by processor time of the whole process.

  cases    ` + strings.Join(cases.Names(), " ") + `
  engines  ` + strings.Join(engineNames, " ") + `

A peer takes part in a case where it gives the same JSON as the filter. test/bench/README.md says
how to read the table.`,
		Example: `  go run ./test/bench filter
  go run ./test/bench filter --quick
  go run ./test/bench filter --case compact-1.8m,tokens --engine filter,json.Valid --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if quick {
				r.round, r.rounds, r.limit = min(r.round, 40*time.Millisecond), min(r.rounds, 5), 25*time.Second
			}
			return r.filter()
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.cases, "case", cases.Names(), "only these cases")
	flags.StringSliceVar(&r.engines, "engine", engineNames, "only these engines")
	flags.DurationVar(&r.round, "round", 200*time.Millisecond, "processor time of an engine's round")
	flags.IntVar(&r.rounds, "rounds", 9, "rounds of each engine")
	flags.BoolVar(&quick, "quick", false, "end within 40 seconds: shorter rounds, and fewer")
	flags.BoolVar(&r.json, "json", false, "print a line of JSON per measurement")
	flags.StringVar(&r.root, "root", r.root, "the project's root, beside which the corpus is looked for without HALFDOOR_CORPUS")
	return cmd
}

// measurement is a line of the output.
type measurement struct {
	Case         string  `json:"case"`
	Engine       string  `json:"engine"`
	MBPerCPUS    float64 `json:"mb_per_cpu_s"`
	AllocsPerOp  float64 `json:"allocs_per_op"`
	RatioToValid float64 `json:"ratio_to_json_valid,omitempty"` // on the same document
	// Of a hostile case: to json.Valid on the Yardstick's document.
	RatioToYardstick float64 `json:"ratio_to_yardstick,omitempty"`
	Source           string  `json:"source"`
	Bytes            int     `json:"bytes"`
	Rounds           int     `json:"rounds"`
}

func (r *run) filter() error {
	for _, name := range r.engines {
		if !slices.Contains(engineNames, name) {
			return fmt.Errorf("no engine %q; there are: %s", name, strings.Join(engineNames, " "))
		}
	}
	for _, name := range r.cases {
		if !slices.Contains(cases.Names(), name) {
			return fmt.Errorf("no case %q; there are: %s", name, strings.Join(cases.Names(), " "))
		}
	}
	set := cases.Open(r.root)
	start := time.Now()
	t := newTable(r)
	var yardstick float64
	for i, name := range r.cases {
		limit := time.Duration(math.MaxInt64)
		if r.limit > 0 {
			limit = (r.limit - time.Since(start)) / time.Duration(len(r.cases)-i)
		}
		all, notes, err := r.measure(set, name, limit)
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].Engine == "json.Valid" && name == cases.Yardstick {
				yardstick = all[i].MBPerCPUS
			}
			if yardstick > 0 && strings.HasPrefix(name, "hostile-") {
				all[i].RatioToYardstick = all[i].MBPerCPUS / yardstick
			}
		}
		t.add(name, all, notes)
		if r.json {
			enc := json.NewEncoder(r.out)
			for _, m := range all {
				if err := enc.Encode(m); err != nil {
					return err
				}
			}
		}
	}
	fmt.Fprintf(r.progress, "%d cases in %s\n", len(r.cases), time.Since(start).Round(time.Second))
	if r.json {
		return nil
	}
	return t.print(set.Source())
}

// measure runs the engines on a case in turns. Notes say which engines did not take part.
func (r *run) measure(set *cases.Set, name string, limit time.Duration) ([]measurement, map[string]string, error) {
	start := time.Now()
	c, err := set.Case(name)
	if err != nil {
		return nil, nil, err
	}
	names := r.engines
	if !slices.Contains(names, "json.Valid") {
		names = append(slices.Clone(names), "json.Valid")
	}
	engines, err := entrants(c, names)
	if err != nil {
		return nil, nil, fmt.Errorf("case %s: %w", name, err)
	}
	notes := map[string]string{}
	var active []*entrant
	var valid *entrant
	for _, e := range engines {
		if e.skipped != "" {
			notes[e.name] = e.skipped
			continue
		}
		if e.name == "json.Valid" {
			valid = e
		}
		if err := e.calibrate(r.round); err != nil {
			return nil, nil, fmt.Errorf("case %s: %s: %w", name, e.name, err)
		}
		active = append(active, e)
	}
	n := 0
	for begun := time.Duration(0); n < r.rounds; n++ {
		// At least one round; no other that would end too late.
		if took := time.Since(start); n > 0 && took+(took-begun)/time.Duration(n) > limit {
			break
		} else if n == 0 {
			begun = took
		}
		for i := range active { // each round begins with another engine
			e := active[(i+n)%len(active)]
			if err := e.round(); err != nil {
				return nil, nil, fmt.Errorf("case %s: %s: %w", name, e.name, err)
			}
		}
		fmt.Fprintf(r.progress, "\r%-16s %2d of %d rounds", name, n+1, r.rounds)
	}
	fmt.Fprintf(r.progress, "\r%-16s %2d rounds of %d engines, %s\n", name, n, len(active), time.Since(start).Round(100*time.Millisecond))
	var out []measurement
	for _, e := range active {
		if !slices.Contains(r.engines, e.name) {
			continue
		}
		m := measurement{
			Case: name, Engine: e.name, Source: c.Source, Bytes: len(c.Data), Rounds: n,
			MBPerCPUS: float64(len(c.Data)) / 1e6 / e.once().Seconds(), AllocsPerOp: e.allocs,
		}
		m.RatioToValid = float64(valid.once()) / float64(e.once())
		out = append(out, m)
	}
	return out, notes, nil
}

// table is what is printed in the end.
type table struct {
	*run
	rows  []row
	notes []string
}

type row struct {
	name string
	all  []measurement
}

func newTable(r *run) *table { return &table{run: r} }

func (t *table) add(name string, all []measurement, notes map[string]string) {
	t.rows = append(t.rows, row{name, all})
	for _, engine := range engineNames {
		if why := notes[engine]; why != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s does not take part in %s: %s", engine, name, why))
		}
	}
}

func (t *table) print(source string) error {
	fmt.Fprintf(t.out, "Documents: %s; hostile ones are generated. %s, %s/%s.\n\n", sourceText(source), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintln(t.out, "× json.Valid on the same document, by processor time")
	t.columns(func(m measurement) string { return fmt.Sprintf("%.2f", m.RatioToValid) })
	fmt.Fprintln(t.out, "\nMB per second of processor time")
	t.columns(func(m measurement) string { return fmt.Sprintf("%.0f", m.MBPerCPUS) })
	fmt.Fprintln(t.out, "\nallocations per document")
	t.columns(func(m measurement) string { return fmt.Sprintf("%.0f", m.AllocsPerOp) })
	first := true
	for _, r := range t.rows {
		for _, m := range r.all {
			if m.RatioToYardstick == 0 || m.Engine != "filter" {
				continue
			}
			if first {
				fmt.Fprintf(t.out, "\nhostile documents: × json.Valid on %s\n", cases.Yardstick)
				first = false
			}
			fmt.Fprintf(t.out, "  %-16s %.2f\n", m.Case, m.RatioToYardstick)
		}
	}
	fmt.Fprintln(t.out)
	for _, note := range t.notes {
		fmt.Fprintln(t.out, note)
	}
	return nil
}

func sourceText(source string) string {
	if source == "Synthea" {
		return "Synthea's, from the corpus"
	}
	return "generated in Synthea's shape (no corpus)"
}

// columns prints a value of each measurement, engines from left to right.
func (t *table) columns(value func(measurement) string) {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(t.engines, "\t"))
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s", r.name)
		for _, engine := range t.engines {
			text := "-"
			for _, m := range r.all {
				if m.Engine == engine {
					text = value(m)
				}
			}
			fmt.Fprintf(w, "\t%s", text)
		}
		fmt.Fprintln(w, "\t")
	}
	w.Flush()
}
