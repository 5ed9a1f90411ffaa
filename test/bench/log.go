package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/index"
)

// logRun is what was asked of the access log's benchmark.
type logRun struct {
	dir     string
	engines []string
	callers []int
	round   time.Duration
	rounds  int
	records int // of the generated log; 0 leaves its cases out
	json    bool
	out     io.Writer
	tell    io.Writer
}

func logCommand() *cobra.Command {
	r := logRun{out: os.Stdout, tell: os.Stderr}
	quick := false
	c := &cobra.Command{
		Use:   "accesslog",
		Short: "The access log, beside SQLite and a file with a sync for each record",
		Long: `Appends records durably with each engine on the same disk, in turns, and prints how many a second and
how long each caller waited. Then generates a log, verifies it, and asks who saw a patient.

  engines  ` + strings.Join(logEngines, " ") + `

The disk has to be a real one: a file system in memory is refused. test/bench/README.md says how to read
the table.`,
		Example: "  go run ./test/bench accesslog\n  go run ./test/bench accesslog --quick --json\n  go run ./test/bench accesslog --dir /var/lib/halfdoor --callers 32",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if quick {
				r.round, r.rounds, r.records = min(r.round, 250*time.Millisecond), min(r.rounds, 3), min(r.records, 50_000)
			}
			return r.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&r.dir, "dir", ".", "a folder on the disk to measure; what is written there is removed")
	f.StringSliceVar(&r.engines, "engine", logEngines, "only these engines")
	f.IntSliceVar(&r.callers, "callers", []int{1, 32, 256}, "callers at a time")
	f.DurationVar(&r.round, "round", time.Second, "length of an engine's round")
	f.IntVar(&r.rounds, "rounds", 5, "rounds of each engine")
	f.IntVar(&r.records, "records", 1_000_000, "records of the generated log; 0 leaves its cases out")
	f.BoolVar(&quick, "quick", false, "end within 40 seconds: shorter rounds, fewer, and a log of 50000 records")
	f.BoolVar(&r.json, "json", false, "print a line of JSON per measurement")
	return c
}

// logMeasurement is a line of the output. What a case does not measure is left out.
type logMeasurement struct {
	Case      string  `json:"case"`
	Engine    string  `json:"engine"`
	Callers   int     `json:"callers"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms,omitempty"`
	P99       float64 `json:"p99_ms,omitempty"`
	Count     int64   `json:"count"`             // what was measured
	Bytes     float64 `json:"bytes,omitempty"`   // of a record, on the disk
	Records   int64   `json:"records,omitempty"` // of the log that was asked
	CPU       float64 `json:"cpu_ms,omitempty"`  // processor time of one question
}

func (r *logRun) run(ctx context.Context) error {
	if r.rounds < 1 || r.round <= 0 || r.records < 0 {
		return errors.New("rounds must be positive, and records not negative")
	}
	for _, n := range r.callers {
		if n < 1 {
			return fmt.Errorf("%d callers", n)
		}
	}
	kind, err := realDisk(r.dir)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(r.dir, "halfdoor-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	begun := time.Now()
	all, err := r.appends(ctx, work)
	if err == nil && r.records > 0 && ctx.Err() == nil {
		var more []logMeasurement
		more, err = r.history(ctx, filepath.Join(work, "history"))
		all = append(all, more...)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(r.tell, "%d measurements in %s\n", len(all), time.Since(begun).Round(time.Second))
	if r.json {
		enc := json.NewEncoder(r.out)
		for _, m := range all {
			if err := enc.Encode(m); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Fprintf(r.out, "Disk: %s. %d processors, %s, %s/%s.\n\n", kind, runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "case\tengine\tcallers\ta second\tp50 ms\tp99 ms\tcpu ms\tbytes\t")
	for _, m := range all {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t\n", m.Case, m.Engine, m.Callers, m.PerSecond, figure(m.P50, 2), figure(m.P99, 2), figure(m.CPU, 2), figure(m.Bytes, 0))
	}
	return w.Flush()
}

func figure(v float64, digits int) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// samples are how long callers waited.
type samples struct {
	waits []time.Duration
	took  time.Duration // of all rounds
}

func (s *samples) measurement(name, engine string, callers int) logMeasurement {
	slices.Sort(s.waits)
	at := func(q float64) float64 {
		return float64(s.waits[min(len(s.waits)-1, int(q*float64(len(s.waits))))]) / float64(time.Millisecond)
	}
	return logMeasurement{
		Case: name, Engine: engine, Callers: callers, Count: int64(len(s.waits)),
		PerSecond: float64(len(s.waits)) / s.took.Seconds(), P50: at(.5), P99: at(.99),
	}
}

// appends measures durable appends: every engine with every number of callers in each round.
func (r *logRun) appends(ctx context.Context, work string) (all []logMeasurement, err error) {
	engines := make([]logEngine, len(r.engines))
	for i, name := range r.engines {
		if engines[i], err = openLogEngine(name, filepath.Join(work, name)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer func() { err = errors.Join(err, engines[i].Close()) }()
	}
	if len(engines) == 0 {
		return nil, nil
	}
	seen := map[[2]int]*samples{}
	for n := range r.rounds {
		for c, callers := range r.callers {
			for i := range engines { // each round begins with another engine
				i = (i + n) % len(engines)
				s := seen[[2]int{i, c}]
				if s == nil {
					s = &samples{}
					seen[[2]int{i, c}] = s
				}
				if err := s.round(ctx, engines[i], callers, r.round); err != nil {
					return nil, fmt.Errorf("%s: %w", r.engines[i], err)
				}
			}
		}
		fmt.Fprintf(r.tell, "\rappend  %d of %d rounds", n+1, r.rounds)
	}
	fmt.Fprintln(r.tell)
	for c, callers := range r.callers {
		for i, name := range r.engines {
			m := seen[[2]int{i, c}].measurement("append", name, callers)
			m.Bytes = engines[i].Bytes()
			all = append(all, m)
		}
	}
	return all, nil
}

// round lets callers append one after the other for a while.
func (s *samples) round(ctx context.Context, e logEngine, callers int, length time.Duration) error {
	runtime.GC()
	waits := make([][]time.Duration, callers)
	errs := make([]error, callers)
	var wg sync.WaitGroup
	begun := time.Now()
	for c := range callers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				start := time.Now()
				if start.Sub(begun) >= length {
					return
				}
				if errs[c] = e.Append(logRecord(c<<32 | n)); errs[c] != nil {
					return
				}
				waits[c] = append(waits[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	s.took += time.Since(begun)
	s.waits = append(s.waits, slices.Concat(waits...)...)
	return errors.Join(append(errs, ctx.Err())...)
}

// history measures what is asked of a log of many records.
func (r *logRun) history(ctx context.Context, dir string) ([]logMeasurement, error) {
	key, err := generateLog(ctx, dir, r.records, r.tell)
	if err != nil {
		return nil, fmt.Errorf("generate a log: %w", err)
	}
	verified, err := r.verify(ctx, dir, key)
	if err != nil {
		return nil, err
	}
	built, x, err := r.index(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	saw, err := r.whoSaw("who-saw", 400, x.Read)
	if err != nil {
		return nil, err
	}
	unindexed, err := r.whoSaw("who-saw-unindexed", 2, func(q ...accesslog.Query) iter.Seq2[*accesslog.Record, error] { return accesslog.Read(dir, q...) })
	return []logMeasurement{verified, built, saw, unindexed}, err
}

// index builds the index of the generated log.
func (r *logRun) index(ctx context.Context, dir string) (m logMeasurement, x *index.Index, err error) {
	begun := time.Now()
	built, err := index.Update(ctx, dir, func(n int64) { fmt.Fprintf(r.tell, "\rindex  %d records", n) })
	if err != nil {
		return m, nil, err
	}
	took := time.Since(begun)
	fmt.Fprintln(r.tell)
	info, err := os.Stat(filepath.Join(dir, "index.sqlite"))
	if err != nil {
		return m, nil, err
	}
	x, err = index.Open(dir)
	return logMeasurement{
		Case: "index", Engine: "accesslog", Callers: 1, Count: built.Added, Records: int64(r.records),
		PerSecond: float64(built.Added) / took.Seconds(), Bytes: float64(info.Size()) / float64(r.records),
	}, x, err
}

// whoSaw asks who saw a patient, one patient after the other, and reads every record of the answer.
func (r *logRun) whoSaw(name string, times int, source accesslog.Source) (m logMeasurement, err error) {
	var s samples
	found := 0
	start, err := cpu()
	if err != nil {
		return m, err
	}
	for i := range times {
		patient := logPatient(i * 7919 % logPatients)
		begun := time.Now()
		for e, err := range source(accesslog.Query{Patient: patient}) {
			if err != nil {
				return m, err
			}
			if !slices.Contains(e.Patients, patient) {
				return m, fmt.Errorf("record %d is about somebody else", e.Sequence)
			}
			found++
		}
		s.waits = append(s.waits, time.Since(begun))
		s.took += s.waits[i]
	}
	if found == 0 {
		return m, errors.New("nobody was seen")
	}
	end, err := cpu()
	if err != nil {
		return m, err
	}
	m = s.measurement(name, "accesslog", 1)
	m.CPU = float64(end-start) / float64(times) / float64(time.Millisecond)
	m.Records = int64(r.records)
	return m, nil
}

func (r *logRun) verify(ctx context.Context, dir, key string) (m logMeasurement, err error) {
	var s samples
	for n := range min(r.rounds, 3) {
		begun := time.Now()
		v, err := accesslog.Verify(ctx, accesslog.VerifyOptions{Dir: dir, Key: key})
		if err != nil {
			return m, err
		}
		if v.Records != int64(r.records) {
			return m, fmt.Errorf("%d records were verified, not %d", v.Records, r.records)
		}
		s.waits = append(s.waits, time.Since(begun))
		fmt.Fprintf(r.tell, "\rverify  %d of %d rounds", n+1, min(r.rounds, 3))
	}
	fmt.Fprintln(r.tell)
	size, err := folderBytes(dir)
	if err != nil {
		return m, err
	}
	best := slices.Min(s.waits)
	return logMeasurement{
		Case: "verify", Engine: "accesslog", Callers: 1, Count: int64(len(s.waits)), Records: int64(r.records),
		PerSecond: float64(r.records) / best.Seconds(), Bytes: float64(size) / float64(r.records),
	}, nil
}
