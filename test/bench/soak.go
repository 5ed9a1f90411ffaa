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
	command       string // a halfdoor that is built already
	json          bool
	root          string
	out, progress io.Writer
}

func soakCommand() *cobra.Command {
	r := soakRun{out: os.Stdout, progress: os.Stderr}
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "A gateway under load while everything around it fails, and whether it is whole in the end",
		Long: `Builds the command and serves with it, loads it with searches, reads, batches, writes, slow clients and
clients that go away, and switches faults on and off meanwhile. In the end every body that a client
got has its record, the log verifies, and the process has no more goroutines, descriptors and
memory than after its warm-up.

  faults  ` + strings.Join(faultNames(), " "),
		Example: "  go run ./test/bench soak --for 10m\n  go run ./test/bench soak --for 30s --rate 50",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return r.soak(c.Context()) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&r.length, "for", 10*time.Minute, "how long the load goes on")
	flags.IntVar(&r.rate, "rate", 100, "calls a second")
	flags.StringVar(&r.command, "command", "", "a `FILE` to serve with, instead of building one")
	flags.BoolVar(&r.json, "json", false, "print a line of JSON per phase, and one at the end")
	flags.StringVar(&r.root, "root", ".", "the project's root, where the command is built")
	return cmd
}

// phase is a time of the soak, with a fault or without.
type phase struct {
	Phase   string         `json:"phase"`
	Calls   int            `json:"calls"`
	Served  int            `json:"served"` // with 200 or 201, whole
	Answers map[string]int `json:"answers"`

	failed error // to play the fault
}

// soakEnd is what the soak came to.
type soakEnd struct {
	Calls     int      `json:"calls"`
	Bodies    int      `json:"bodies"`   // of which at least a byte came
	Patients  int      `json:"patients"` // named in them
	Records   int      `json:"records"`
	Before    state    `json:"before"`
	After     state    `json:"after"`
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
	s, err := newScene(ctx, r)
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
			p := s.phase(ctx, f.name, f.play, each)
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
	end.Complaint = append(end.Complaint, grown(end.Before, end.After)...)
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
	if after.ResidentMB > before.ResidentMB*1.5+32 {
		found = append(found, fmt.Sprintf("%.1f MB resident, before %.1f", after.ResidentMB, before.ResidentMB))
	}
	return found
}

func (r *soakRun) tell(p phase) {
	if r.json {
		_ = json.NewEncoder(r.out).Encode(p) // a reader that is gone is not the soak's concern
		return
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(p.Answers)) {
		parts = append(parts, fmt.Sprintf("%s: %d", what, p.Answers[what]))
	}
	fmt.Fprintf(r.out, "%-18s %5d calls, %5d served   %s\n", p.Phase, p.Calls, p.Served, strings.Join(parts, ", "))
}

func (r *soakRun) conclude(end soakEnd) error {
	if r.json {
		return json.NewEncoder(r.out).Encode(end)
	}
	_, err := fmt.Fprintf(r.out, "\n%d calls; %d bodies that name %d patients, each in one of %d records; the log verifies\n"+
		"            goroutines  descriptors  live heap  resident\nbefore %15d %12d %7.1f MB %6.1f MB\nafter  %15d %12d %7.1f MB %6.1f MB\n",
		end.Calls, end.Bodies, end.Patients, end.Records,
		end.Before.Goroutines, end.Before.Descriptors, end.Before.HeapMB, end.Before.ResidentMB,
		end.After.Goroutines, end.After.Descriptors, end.After.HeapMB, end.After.ResidentMB)
	for _, complaint := range end.Complaint {
		fmt.Fprintln(r.out, "COMPLAINT:", complaint)
	}
	return err
}
