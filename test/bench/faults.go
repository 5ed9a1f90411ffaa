package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"syscall"
	"time"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// fault is what goes wrong for a while. play makes it so until ctx ends, and then puts it right; shows says what is
// missing of what clients must have seen of it: a fault that nobody notices tests nothing.
type fault struct {
	name  string
	play  func(ctx context.Context, s *scene) error
	shows func(p *phase) error
}

var faults = []fault{
	{"ehr-dead", ehrFails(demo.FaultDead), answers(20, "502", "503")},
	{"ehr-slow", ehrFails(demo.FaultStall, demo.FaultStallBody), answers(5, "502", "503", "504")},
	{"ehr-garbage", ehrFails(demo.FaultInvalidJSON, demo.FaultHTML, demo.FaultCut, demo.FaultWrong, demo.FaultInternal, demo.FaultXML), answers(20, "502", "503")},
	{"issuer-down", issuerDown, answers(20, "503")},
	{"disk-slow", diskSlow, func(p *phase) error {
		if p.P50 < slowSync.Seconds()*1e3 {
			return fmt.Errorf("the disk was not slow: a call took %.0f ms", p.P50)
		}
		return nil
	}},
	{"reloads", reloads, served},
	{"key-rotation", rotation, served},
	{"crowd", crowd, func(p *phase) error { return errors.Join(served(p), answers(5, "slow: 429", "slow: 503")(p)) }},
}

// answers wants so many percent of the calls to have been answered by one of these statuses.
func answers(percent int, statuses ...string) func(*phase) error {
	return func(p *phase) error {
		n := 0
		for _, status := range statuses {
			n += p.Answers[status]
		}
		if n*100 < p.Calls*percent {
			return fmt.Errorf("%d of %d calls were answered %v", n, p.Calls, statuses)
		}
		return nil
	}
}

func served(p *phase) error {
	if p.Served == 0 {
		return errors.New("nothing was served")
	}
	return nil
}

func faultNames() []string {
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// silence takes what servers say of connections that are broken on purpose.
var silence = stdlog.New(io.Discard, "", 0)

// ehrFails has the EHR fail in some ways, by turns.
func ehrFails(ways ...demo.Fault) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		defer s.ehr.Release()
		defer s.ehr.Set(demo.FaultNone, 0)
		return every(ctx, 300*time.Millisecond, func(n int) error {
			s.ehr.Set(ways[n%len(ways)], 0)
			return nil
		})
	}
}

// every does something now, and again after each period until ctx ends.
func every(ctx context.Context, period time.Duration, do func(n int) error) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for n := 0; ; n++ {
		if err := do(n); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// issuerDown has the issuer gone just when its keys were rotated: new tokens cannot be checked, old ones can.
func issuerDown(ctx context.Context, s *scene) error {
	s.down.Store(true)
	defer s.down.Store(false)
	if err := s.issuer.Rotate(); err != nil {
		return err
	}
	if err := s.mint(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// slowSync is how long the log's disk takes for each sync while it is slow.
const slowSync = 120 * time.Millisecond

// diskSlow has the disk under the access log take its time.
func diskSlow(ctx context.Context, s *scene) error {
	if _, err := fmt.Fprintln(s.orders, slowSync); err != nil {
		return err
	}
	<-ctx.Done()
	_, err := fmt.Fprintln(s.orders, time.Duration(0))
	return err
}

// reloads asks for a reload again and again; every other configuration is one that must be refused.
func reloads(ctx context.Context, s *scene) error {
	good, err := os.ReadFile(s.cfg.Config)
	if err != nil {
		return err
	}
	err = every(ctx, 700*time.Millisecond, func(n int) error {
		text := string(good)
		if n%2 == 1 {
			text += "nonsense: 1\n"
		}
		if err := replace(s.cfg.Config, []byte(text)); err != nil {
			return err
		}
		return s.gateway.Process.Signal(syscall.SIGHUP)
	})
	return errors.Join(err, replace(s.cfg.Config, good), s.gateway.Process.Signal(syscall.SIGHUP))
}
