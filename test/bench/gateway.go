package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// gatewayRun is what was asked for of the gateway.
type gatewayRun struct {
	cases, engines []string
	slice          time.Duration // of one engine's load
	rounds         int
	limit          time.Duration // by the wall's clock, for all measuring; 0 is none
	json           bool
	root, profile  string
	out, progress  io.Writer
}

// gatewayCase is one kind of load.
type gatewayCase struct {
	name        string
	size        string // of bodies
	plain       bool   // no TLS
	http2       bool
	connections int
	cores       int  // that an engine has; the load and the upstream keep to others. 0: all share all
	stages      bool // with the engines that leave a step out
}

var bodySizes = map[string]int{"2k": 2 << 10, "20k": 20 << 10, "200k": 200 << 10, "5m": 5 << 20}

// gatewayCases are in the order in which they are shown.
var gatewayCases = func() []gatewayCase {
	var all []gatewayCase
	for _, variant := range []gatewayCase{{stages: true}, {name: "-h2", http2: true}, {name: "-plain", plain: true}, {name: "-h2c", plain: true, http2: true}} {
		for _, size := range []string{"2k", "20k", "200k", "5m"} {
			c := variant
			c.name, c.size, c.connections = size+variant.name, size, 32
			all = append(all, c)
		}
	}
	all = append(all, gatewayCase{name: "2k-8", size: "2k", connections: 8, stages: true})
	for _, size := range []string{"20k", "200k"} {
		all = append(all, gatewayCase{name: size + "-1-core", size: size, connections: 32, cores: 1}, gatewayCase{name: size + "-2-cores", size: size, connections: 32, cores: 2})
	}
	return all
}()

// quickCases are those that a quick run has.
var quickCases = []string{"2k", "20k", "200k", "5m", "2k-h2", "2k-8", "20k-1-core", "20k-2-cores"}

var gatewayEngines = []string{
	"direct", "reverseproxy", "nginx", "caddy", "halfdoor",
	"halfdoor-without-policy", "halfdoor-without-filter", "halfdoor-without-tokens", "halfdoor-without-log", "halfdoor-without-auth", "halfdoor-without-tls",
}

func gatewayCaseNames() []string {
	var names []string
	for _, c := range gatewayCases {
		names = append(names, c.name)
	}
	return names
}

func gatewayCommand() *cobra.Command {
	r := gatewayRun{out: os.Stdout, progress: os.Stderr}
	quick := false
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "The whole gateway, beside proxies that do nothing",
		Long: `Loads an upstream on loopback through each engine, in turns, and prints how much processor time
a request took in the engine's process, as a multiple of a bare httputil.ReverseProxy in the same
round.

  cases    ` + strings.Join(gatewayCaseNames(), " ") + `
  engines  ` + strings.Join(gatewayEngines, " ") + `

nginx and caddy take part where they are installed. test/bench/README.md says how to read the table.`,
		Example: `  go run ./test/bench gateway
  go run ./test/bench gateway --quick
  go run ./test/bench gateway --case 20k,5m --engine reverseproxy,halfdoor --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if quick {
				r.slice, r.rounds, r.limit = min(r.slice, 120*time.Millisecond), min(r.rounds, 5), 38*time.Second
				if !c.Flags().Changed("case") {
					r.cases = quickCases
				}
			}
			return r.gateway()
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.cases, "case", gatewayCaseNames(), "only these cases")
	flags.StringSliceVar(&r.engines, "engine", gatewayEngines, "only these engines")
	flags.DurationVar(&r.slice, "slice", 700*time.Millisecond, "time of an engine's load in a round")
	flags.IntVar(&r.rounds, "rounds", 9, "rounds of each engine")
	flags.BoolVar(&quick, "quick", false, "end within 60 seconds: shorter rounds, fewer, and fewer cases")
	flags.BoolVar(&r.json, "json", false, "print a line of JSON per measurement")
	flags.StringVar(&r.profile, "profile", "", "a `FOLDER` for profiles of the engines' processor time, ENGINE.pprof, and allocations, ENGINE.allocs.pprof")
	flags.StringVar(&r.root, "root", ".", "the project's root, where engines that leave a step out are built, and beside which the corpus is looked for without HALFDOOR_CORPUS")
	return cmd
}

// gatewayMeasurement is a line of the output.
type gatewayMeasurement struct {
	Case       string  `json:"case"`
	Engine     string  `json:"engine"`
	RPS        float64 `json:"rps"`
	CPU        float64 `json:"cpu_us_per_request"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	RSS        float64 `json:"rss_mb"`
	Cores      float64 `json:"cores_used"`                      // processor time by the clock's
	Ratio      float64 `json:"ratio_to_reverseproxy,omitempty"` // of processor time, the median of the rounds'
	Source     string  `json:"source"`
	BytesIn    int     `json:"bytes"`           // of the upstream's answer
	BytesOut   int64   `json:"bytes_to_client"` // of the engine's
	Client     int     `json:"connections"`
	RoundsDone int     `json:"rounds"`
}

func (r *gatewayRun) gateway() (err error) {
	if err := known("case", r.cases, gatewayCaseNames()); err != nil {
		return err
	}
	if err := known("engine", r.engines, gatewayEngines); err != nil {
		return err
	}
	engines, notes := installed(r.engines)
	start := time.Now()
	b, err := newBed(r.root, r.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, name := range engines { // what has to be built is, before anything is measured
		if _, err := b.program(name); err != nil {
			return err
		}
	}
	var all []gatewayMeasurement
	var cases []gatewayCase
	for _, c := range gatewayCases {
		if slices.Contains(r.cases, c.name) {
			cases = append(cases, c)
		}
	}
	for i, c := range cases {
		limit := time.Duration(1<<63 - 1)
		if r.limit > 0 { // shared out by how many engines take part
			left := 0
			for _, c := range cases[i:] {
				left += c.parts(engines)
			}
			limit = (r.limit - time.Since(start)) * time.Duration(c.parts(engines)) / time.Duration(max(left, 1))
		}
		found, err := r.measure(b, c, engines, limit)
		if err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		all = append(all, found...)
		if r.json {
			enc := json.NewEncoder(r.out)
			for _, m := range found {
				if err := enc.Encode(m); err != nil {
					return err
				}
			}
		}
	}
	fmt.Fprintf(r.progress, "%d cases in %s\n", len(cases), time.Since(start).Round(time.Second))
	if !r.json {
		r.print(b.source, engines, all, notes)
	}
	return nil
}

func known(what string, names, all []string) error {
	for _, name := range names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("no %s %q; there are: %s", what, name, strings.Join(all, " "))
		}
	}
	return nil
}

// takesPart says whether an engine has a place in a case.
func (c *gatewayCase) takesPart(engine string) bool {
	switch {
	case engine == "halfdoor-without-tls":
		return c.stages || c.plain
	case strings.HasPrefix(engine, "halfdoor-without-"):
		return c.stages
	case engine == "halfdoor":
		return !c.plain // it has no plain listener
	case engine == "nginx":
		return c.cores == 0 && (!c.plain || !c.http2)
	case engine == "caddy", engine == "direct":
		return c.cores == 0
	}
	return true
}

// parts are how many engines take part.
func (c *gatewayCase) parts(engines []string) (n int) {
	for _, e := range engines {
		if c.takesPart(e) {
			n++
		}
	}
	return n
}

// contestant is an engine in a case, round by round.
type contestant struct {
	name string
	proc *process
	load load

	cpu, rps, p50, cores []float64

	each        []time.Duration
	rss, length int64
}

func (r *gatewayRun) measure(b *bed, c gatewayCase, engines []string, limit time.Duration) ([]gatewayMeasurement, error) {
	start := time.Now()
	if err := b.processors.leave(c.cores, os.Getpid(), b.upstream.cmd.Process.Pid); err != nil {
		return nil, err
	}
	var all []*contestant
	defer func() {
		for _, e := range all {
			e.load.close()
		}
	}()
	for _, name := range engines {
		if !c.takesPart(name) {
			continue
		}
		e := &contestant{name: name}
		var err error
		if e.proc, err = b.engine(name, c.cores); err != nil {
			return nil, err
		}
		if e.load, err = b.load(e.proc, c, c.plain || name == "halfdoor-without-tls"); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, e)
		// Warm with small answers, since a large one on each connection is a slice by itself; and with at least one, as a
		// connection on which nothing is said is closed.
		path := e.load.path
		e.load.ask(b.search("2k"))
		if _, err := e.load.run(r.slice / 4); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		e.load.ask(path)
	}
	n := 0
	for begun := time.Since(start); n < r.rounds; n++ {
		if took := time.Since(start); n > 0 && took+(took-begun)/time.Duration(n) > limit {
			break // another round would end too late
		}
		for i := range all { // each round begins with another engine
			e := all[(i+n)%len(all)]
			if err := e.round(r.slice); err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
		}
		fmt.Fprintf(r.progress, "\r%-12s %2d of %d rounds", c.name, n+1, r.rounds)
	}
	fmt.Fprintf(r.progress, "\r%-12s %2d rounds of %d engines, %s\n", c.name, n, len(all), time.Since(start).Round(100*time.Millisecond))
	var out []gatewayMeasurement
	var yardstick []float64
	for _, e := range all {
		if e.name == "reverseproxy" {
			yardstick = e.cpu
		}
	}
	for _, e := range all {
		slices.Sort(e.each)
		s := slice{each: e.each}
		m := gatewayMeasurement{
			Case: c.name, Engine: e.name, RPS: median(e.rps), CPU: median(e.cpu), P50: median(e.p50), P99: s.quantile(0.99).Seconds() * 1e3,
			RSS: float64(e.rss) / 1e6, Cores: median(e.cores), Source: b.source, BytesIn: b.lengths[c.size], BytesOut: e.length, Client: c.connections, RoundsDone: n,
		}
		if yardstick != nil {
			var ratios []float64
			for i := range e.cpu {
				ratios = append(ratios, e.cpu[i]/yardstick[i])
			}
			m.Ratio = median(ratios)
		}
		out = append(out, m)
	}
	return out, nil
}

func (e *contestant) round(d time.Duration) error {
	before, err := e.proc.usage()
	if err != nil {
		return err
	}
	s, err := e.load.run(d)
	if err != nil {
		return err
	}
	after, err := e.proc.usage()
	if err != nil {
		return err
	}
	cpu := after.cpu - before.cpu
	e.cpu = append(e.cpu, float64(cpu.Nanoseconds())/1e3/float64(s.requests))
	e.cores = append(e.cores, cpu.Seconds()/s.took.Seconds())
	e.rps = append(e.rps, float64(s.requests)/s.took.Seconds())
	e.p50 = append(e.p50, s.quantile(0.5).Seconds()*1e3)
	e.each = append(e.each, s.each...)
	e.rss, e.length = max(e.rss, after.rss), s.bytes/int64(s.requests)
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func (r *gatewayRun) print(source string, engines []string, all []gatewayMeasurement, notes []string) {
	fmt.Fprintf(r.out, "Searchsets of encounters: %s.\n", sourceText(source))
	for _, column := range []struct {
		title, form string
		value       func(gatewayMeasurement) float64
	}{
		{"processor time of a request, as a multiple of reverseproxy's", "%.2f", func(m gatewayMeasurement) float64 { return m.Ratio }},
		{"processor time of a request, in µs", "%.0f", func(m gatewayMeasurement) float64 { return m.CPU }},
		{"requests a second", "%.0f", func(m gatewayMeasurement) float64 { return m.RPS }},
		{"p50, in ms", "%.2f", func(m gatewayMeasurement) float64 { return m.P50 }},
		{"p99, in ms", "%.1f", func(m gatewayMeasurement) float64 { return m.P99 }},
		{"processors that the engine used", "%.2f", func(m gatewayMeasurement) float64 { return m.Cores }},
		{"resident memory, in MB", "%.0f", func(m gatewayMeasurement) float64 { return m.RSS }},
	} {
		fmt.Fprintf(r.out, "\n%s\n", column.title)
		w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "\t%s\t\n", strings.Join(engines, "\t"))
		for _, c := range r.cases {
			fmt.Fprint(w, c)
			for _, e := range engines {
				text := "-"
				if i := slices.IndexFunc(all, func(m gatewayMeasurement) bool { return m.Case == c && m.Engine == e }); i >= 0 {
					text = fmt.Sprintf(column.form, column.value(all[i]))
				}
				fmt.Fprintf(w, "\t%s", text)
			}
			fmt.Fprintln(w, "\t")
		}
		w.Flush()
	}
	r.targets(all)
	for _, note := range notes {
		fmt.Fprintln(r.out, note)
	}
}

// targets says what the run shows of what is aimed at.
func (r *gatewayRun) targets(all []gatewayMeasurement) {
	find := func(c, e string) (m gatewayMeasurement, ok bool) {
		i := slices.IndexFunc(all, func(m gatewayMeasurement) bool { return m.Case == c && m.Engine == e })
		if i < 0 {
			return m, false
		}
		return all[i], true
	}
	fmt.Fprintln(r.out)
	for _, aim := range []struct {
		name string
		most float64
	}{{"2k", 2.5}, {"20k", 2}, {"200k", 2}, {"5m", 2.5}} {
		if m, ok := find(aim.name, "halfdoor"); ok && m.Ratio > 0 {
			fmt.Fprintf(r.out, "%s: %.2f × reverseproxy; aim: at most %.1f\n", aim.name, m.Ratio, aim.most)
		}
	}
	h, ok := find("2k-8", "halfdoor")
	p, also := find("2k-8", "reverseproxy")
	if ok && also {
		fmt.Fprintf(r.out, "2k-8: p50 %.2f ms more than reverseproxy; aim: at most 1 ms\n", h.P50-p.P50)
	}
	for _, size := range []string{"20k", "200k"} {
		one, ok := find(size+"-1-core", "halfdoor")
		two, also := find(size+"-2-cores", "halfdoor")
		if ok && also && one.Cores > 0 && two.Cores > 0 {
			fmt.Fprintf(r.out, "%s: %.0f requests a second with %.2f processors, %.0f with %.2f; a second of a processor serves %.0f and %.0f\n",
				size, one.RPS, one.Cores, two.RPS, two.Cores, one.RPS/one.Cores, two.RPS/two.Cores)
		}
	}
}
