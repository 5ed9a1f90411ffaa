package main

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// cpu returns the processor time that this process has used so far, of all its threads: what the
// collector does for an engine counts, and what other processes do does not.
func cpu() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// entrant is an engine in a case.
type entrant struct {
	name string
	run  func() error

	per     int             // runs a round
	rounds  []time.Duration // processor time of one run, by round
	allocs  float64         // of one run
	skipped string          // why it does not take part
}

// calibrate runs the entrant once, finds how many runs make a round, and counts allocations.
func (e *entrant) calibrate(round time.Duration) error {
	runtime.GC()                    // else a collection under way empties the pools while allocations are counted
	if err := e.run(); err != nil { // warm
		return err
	}
	var before, after runtime.MemStats
	start, err := cpu()
	if err != nil {
		return err
	}
	wall := time.Now()
	n := 0
	for runtime.ReadMemStats(&before); n == 0 || n < 8 && time.Since(wall) < round; n++ {
		if err := e.run(); err != nil {
			return err
		}
	}
	runtime.ReadMemStats(&after)
	end, err := cpu()
	if err != nil {
		return err
	}
	e.allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	once := max((end-start)/time.Duration(n), time.Microsecond)
	e.per = int(max(1, round/once))
	return nil
}

// round runs the entrant for one round. What the one before left to the collector is collected
// first.
func (e *entrant) round() error {
	runtime.GC()
	start, err := cpu()
	if err != nil {
		return err
	}
	for range e.per {
		if err := e.run(); err != nil {
			return err
		}
	}
	end, err := cpu()
	if err != nil {
		return err
	}
	e.rounds = append(e.rounds, max(end-start, time.Microsecond)/time.Duration(e.per))
	return nil
}

// once is the processor time of one run, in the round with the least. What disturbs a round (the
// other thread of the core, a cold cache) only ever adds to it.
func (e *entrant) once() time.Duration { return slices.Min(e.rounds) }
