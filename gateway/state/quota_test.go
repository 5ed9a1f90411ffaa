package state_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/state"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func newClock() *clock { return &clock{time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func TestQuota(t *testing.T) {
	c := newClock()
	q := state.NewQuota(state.QuotaOptions{Now: c.now})
	take := func(actor string, limit int, want time.Duration, patients ...string) {
		t.Helper()
		wait, err := q.Take(actor, patients, limit)
		if err != nil || wait != want {
			t.Errorf("%s %v: wait %s, %v, want %s", actor, patients, wait, err, want)
		}
	}
	take("a", 3, 0, "p1")
	c.pass(10 * time.Minute)
	take("a", 3, 0, "p2", "p3", "p2")               // named twice counts once
	take("a", 3, 0, "p1", "p2", "p3")               // known ones cost nothing, and count anew
	take("a", 3, time.Hour, "p4")                   // the first that stops counting is an hour away
	take("b", 3, 0, "p4")                           // another actor's quota is its own
	take("a", 3, time.Hour, "p1", "p5", "p6")       // all or none
	take("c", 3, time.Hour, "p1", "p2", "p3", "p4") // never possible
	c.pass(time.Hour - time.Minute)
	take("a", 3, 0, "p3")
	take("a", 3, time.Minute, "p4", "p5")
	take("a", 3, 0)
	if u := q.Usage(); u != (state.Usage{Actors: 2, Patients: 4, Most: 3}) {
		t.Errorf("usage %+v", u)
	}
	c.pass(time.Minute)
	take("a", 3, 0, "p4", "p5")
	take("a", 3, 59*time.Minute, "p6")
	if u := q.Usage(); u != (state.Usage{Actors: 1, Patients: 3, Most: 3}) {
		t.Errorf("usage %+v", u)
	}
	take("a", 2, time.Hour, "p7", "p8", "p9") // a lower limit after a reload
}

// A full store refuses to count, and does not forget what counts.
func TestQuotaFull(t *testing.T) {
	c := newClock()
	q := state.NewQuota(state.QuotaOptions{Entries: 4, Now: c.now})
	for i := range 4 {
		if wait, err := q.Take(fmt.Sprint("actor", i), []string{"p"}, 5); wait != 0 || err != nil {
			t.Fatal(wait, err)
		}
	}
	if _, err := q.Take("another", []string{"p"}, 5); !errors.Is(err, state.ErrFull) {
		t.Errorf("got %v", err)
	}
	c.pass(time.Hour)
	if wait, err := q.Take("another", []string{"p"}, 5); wait != 0 || err != nil {
		t.Errorf("after an hour: %s, %v", wait, err)
	}
}

// In no hour is an actor told of more patients than its limit, and what was not refused is what
// a list of everything would not refuse.
func TestQuotaAgreesWithList(t *testing.T) {
	type told struct {
		at      time.Time
		patient string
	}
	const limit = 5
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		c := newClock()
		q := state.NewQuota(state.QuotaOptions{Now: c.now})
		var all []told
		for range 400 {
			c.pass(time.Duration(rng.IntN(600)) * time.Second)
			patients := make([]string, 1+rng.IntN(3))
			for i := range patients {
				patients[i] = fmt.Sprint(rng.IntN(12))
			}
			distinct := map[string]bool{}
			for _, one := range all {
				if c.at.Sub(one.at) < time.Hour {
					distinct[one.patient] = true
				}
			}
			for _, p := range patients {
				distinct[p] = true
			}
			wait, err := q.Take("a", patients, limit)
			if err != nil || (wait == 0) != (len(distinct) <= limit) {
				t.Fatalf("seed %d: %d distinct patients, wait %s, %v", seed, len(distinct), wait, err)
			}
			if wait == 0 {
				for _, p := range patients {
					all = append(all, told{c.at, p})
				}
			}
		}
	}
}

func TestQuotaConcurrently(t *testing.T) {
	q := state.NewQuota(state.QuotaOptions{})
	var wg sync.WaitGroup
	taken := make(chan int, 400)
	for i := range 400 {
		wg.Go(func() {
			if wait, err := q.Take("a", []string{fmt.Sprint(i)}, 100); wait == 0 && err == nil {
				taken <- i
			}
		})
	}
	wg.Wait()
	if len(taken) != 100 {
		t.Errorf("%d patients under a limit of 100", len(taken))
	}
}

func TestRate(t *testing.T) {
	c := newClock()
	r := state.NewRate(state.RateOptions{Now: c.now})
	for i := range 6 {
		if wait := r.Take("a", 6); wait != 0 {
			t.Fatalf("call %d waits %s", i, wait)
		}
	}
	if wait := r.Take("a", 6); wait != 10*time.Second {
		t.Errorf("the seventh waits %s", wait)
	}
	if wait := r.Take("b", 6); wait != 0 {
		t.Errorf("another key waits %s", wait)
	}
	c.pass(10 * time.Second)
	if wait := r.Take("a", 6); wait != 0 {
		t.Errorf("after the wait: %s", wait)
	}
	if wait := r.Take("a", 6); wait != 10*time.Second {
		t.Errorf("again: %s", wait)
	}
	c.pass(time.Hour) // and no more than a minute's calls gather
	for i := range 6 {
		if wait := r.Take("a", 6); wait != 0 {
			t.Fatalf("call %d waits %s", i, wait)
		}
	}
	if wait := r.Take("a", 6); wait == 0 {
		t.Error("an hour brought more than a minute's calls")
	}
}

// Keys beyond those that are held share one bucket; those whose buckets are full make room.
func TestRateFull(t *testing.T) {
	c := newClock()
	r := state.NewRate(state.RateOptions{Keys: 2, Now: c.now})
	for _, key := range []string{"a", "b", "c"} {
		if wait := r.Take(key, 1); wait != 0 {
			t.Fatalf("%s waits %s", key, wait)
		}
	}
	if wait := r.Take("d", 1); wait != time.Minute {
		t.Errorf("a fourth key waits %s, want to share the bucket of the third", wait)
	}
	c.pass(time.Minute)
	for _, key := range []string{"d", "e"} {
		if wait := r.Take(key, 1); wait != 0 {
			t.Errorf("%s waits %s when others have made room", key, wait)
		}
	}
}
