package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// soakRun is what was asked for of the soak.
type soakRun struct {
	length        time.Duration
	rate          int    // calls a second
	memory        int64  // MiB that the gateway may have
	cgroup        string // that the gateway is put into
	json          bool
	out, progress io.Writer
}

func soakCommand() *cobra.Command {
	r := soakRun{out: os.Stdout, progress: os.Stderr}
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "A gateway under load while everything around it fails, and whether it is whole in the end",
		Long: `Serves with a gateway of its own, loads it with searches, reads, batches, writes, slow clients and
clients that go away, and switches faults on and off meanwhile. In the end each fault was felt, every
body that a client got has its record, the log verifies, the process was never larger than --memory,
and it has no more goroutines, descriptors and memory than after its warm-up.

  faults  ` + strings.Join(faultNames(), " "),
		Example: "  go run ./test/bench soak --for 10m\n  go run ./test/bench soak --for 30s --rate 50",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return r.soak(c.Context()) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&r.length, "for", 10*time.Minute, "how long the load goes on")
	flags.IntVar(&r.rate, "rate", 100, "calls a second")
	flags.Int64Var(&r.memory, "memory", 256, "`MIB` that the gateway may have: it is told so as by a container, and measured")
	flags.StringVar(&r.cgroup, "cgroup", "", "`FOLDER` of a cgroup with a limit of its own that the gateway is put into, in place of --memory")
	flags.BoolVar(&r.json, "json", false, "print a line of JSON per phase, and one at the end")
	return cmd
}

// phase is a time of the soak, with a fault or without.
type phase struct {
	Phase   string         `json:"phase"`
	Calls   int            `json:"calls"`
	Served  int            `json:"served"` // with 200 or 201, whole
	P50     float64        `json:"p50_ms"` // of what was served
	P99     float64        `json:"p99_ms"`
	Answers map[string]int `json:"answers"`

	took   []time.Duration
	failed error // to play the fault, or to make anybody feel it
}

func (p *phase) quantile(q float64) float64 {
	if len(p.took) == 0 {
		return 0
	}
	return p.took[int(q*float64(len(p.took)-1))].Seconds() * 1e3
}

// soakEnd is what the soak came to.
type soakEnd struct {
	Calls     int      `json:"calls"`
	Bodies    int      `json:"bodies"`   // of which at least a byte came
	Patients  int      `json:"patients"` // named in them
	Records   int      `json:"records"`
	Before    state    `json:"before"`
	After     state    `json:"after"`
	PeakMB    float64  `json:"peak_mb"` // resident, at the most
	CeilingMB float64  `json:"ceiling_mb"`
	Complaint []string `json:"complaints"`
}

// state is what the process holds while nobody calls.
type state struct {
	Goroutines  int     `json:"goroutines"`
	Descriptors int     `json:"descriptors"`
	HeapMB      float64 `json:"heap_mb"` // live, after a collection
	ResidentMB  float64 `json:"resident_mb"`
}

func (r *soakRun) soak(ctx context.Context) (err error) {
	if r.length < 5*time.Second || r.rate < 1 {
		return errors.New("a soak takes at least 5 seconds, and a call a second")
	}
	s, err := newScene(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	// Warm first, so that pools, caches and connections are there.
	warm := min(r.length/5, 20*time.Second)
	r.tell(s.phase(ctx, "warm-up", nil, warm))
	end := soakEnd{}
	if end.Before, err = s.quiet(ctx); err != nil {
		return err
	}
	// Each fault at least once, and as often as there is time; each is followed by a time without, in which calls are
	// served again.
	each := min(10*time.Second, (r.length-warm)/time.Duration(2*len(faults)))
	for begun := time.Now(); time.Since(begun) < r.length-warm && ctx.Err() == nil; {
		for _, f := range faults {
			if time.Since(begun) >= r.length-warm || ctx.Err() != nil {
				break
			}
			p := s.phase(ctx, f.name, &f, each)
			r.tell(p)
			if p.failed != nil {
				end.Complaint = append(end.Complaint, f.name+": "+p.failed.Error())
			}
			p = s.recovery(ctx, "after "+f.name, each)
			r.tell(p)
			if p.Served == 0 && ctx.Err() == nil {
				end.Complaint = append(end.Complaint, "nothing was served after "+f.name)
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if end.After, err = s.quiet(ctx); err != nil {
		return err
	}
	// The runtime gives memory back little by little.
	if err := s.until(2*time.Minute, "memory to be given back", func() bool {
		now, _, err := s.state()
		if err == nil {
			end.After.ResidentMB = now.ResidentMB
		}
		return err == nil && now.ResidentMB <= end.Before.mostResident()
	}); err != nil {
		end.Complaint = append(end.Complaint, err.Error())
	}
	end.Complaint = append(end.Complaint, grown(end.Before, end.After)...)
	peak, err := s.peak()
	if err != nil {
		return err
	}
	end.PeakMB, end.CeilingMB = float64(peak)/1e6, float64(s.ceiling)/1e6
	if peak > s.ceiling {
		end.Complaint = append(end.Complaint, fmt.Sprintf("%.1f MB resident, of %.1f that it may have", end.PeakMB, end.CeilingMB))
	}
	if err := s.stop(); err != nil {
		end.Complaint = append(end.Complaint, "the gateway did not end well: "+err.Error())
	}
	found, err := s.account(ctx, &end)
	if err != nil {
		return err
	}
	end.Complaint = append(end.Complaint, found...)
	if err := r.conclude(end); err != nil {
		return err
	}
	if len(end.Complaint) > 0 {
		return fmt.Errorf("%d complaints: %s", len(end.Complaint), strings.Join(end.Complaint[:min(len(end.Complaint), 5)], "; "))
	}
	return nil
}

// grown says what is more than it was. What caches may hold and a collection leaves is allowed for.
func grown(before, after state) (found []string) {
	if after.Goroutines > before.Goroutines+8 {
		found = append(found, fmt.Sprintf("%d goroutines, before %d", after.Goroutines, before.Goroutines))
	}
	if after.Descriptors > before.Descriptors+4 {
		found = append(found, fmt.Sprintf("%d descriptors, before %d", after.Descriptors, before.Descriptors))
	}
	if after.HeapMB > before.HeapMB*1.25+8 {
		found = append(found, fmt.Sprintf("%.1f MB of heap, before %.1f", after.HeapMB, before.HeapMB))
	}
	if after.ResidentMB > before.mostResident() {
		found = append(found, fmt.Sprintf("%.1f MB resident, before %.1f", after.ResidentMB, before.ResidentMB))
	}
	return found
}

// mostResident is what may be resident where so much was before.
func (s *state) mostResident() float64 { return s.ResidentMB*1.5 + 32 }

func (r *soakRun) tell(p *phase) {
	if r.json {
		_ = json.NewEncoder(r.out).Encode(p) // a reader that is gone is not the soak's concern
		return
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(p.Answers)) {
		parts = append(parts, fmt.Sprintf("%s: %d", what, p.Answers[what]))
	}
	fmt.Fprintf(r.out, "%-18s %5d calls, %5d served, p50 %4.0f ms, p99 %4.0f   %s\n", p.Phase, p.Calls, p.Served, p.P50, p.P99, strings.Join(parts, ", "))
}

func (r *soakRun) conclude(end soakEnd) error {
	if r.json {
		return json.NewEncoder(r.out).Encode(end)
	}
	_, err := fmt.Fprintf(r.out, "\n%d calls; %d bodies that name %d patients, each in one of %d records; the log verifies\n"+
		"at most %.1f MB resident, of %.1f that it may have\n"+
		"            goroutines  descriptors  live heap  resident\nbefore %15d %12d %7.1f MB %6.1f MB\nafter  %15d %12d %7.1f MB %6.1f MB\n",
		end.Calls, end.Bodies, end.Patients, end.Records, end.PeakMB, end.CeilingMB,
		end.Before.Goroutines, end.Before.Descriptors, end.Before.HeapMB, end.Before.ResidentMB,
		end.After.Goroutines, end.After.Descriptors, end.After.HeapMB, end.After.ResidentMB)
	for _, complaint := range end.Complaint {
		fmt.Fprintln(r.out, "COMPLAINT:", complaint)
	}
	return err
}
