package state_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/state"
)

func TestReplays(t *testing.T) {
	c := newClock()
	s := state.NewReplays(state.ReplaysOptions{Now: c.now})
	use := func(owner, what string, want bool) {
		t.Helper()
		if first, err := s.Use(owner, sum(what), c.now().Add(time.Minute)); err != nil || first != want {
			t.Errorf("%s %s: %v, %v, want %v", owner, what, first, err, want)
		}
	}
	use("a", "x", true)
	use("a", "x", false)
	use("b", "x", false) // whoever comes with it
	use("a", "y", true)
	c.pass(time.Minute - 1)
	use("a", "x", false) // a second use does not lengthen it
	c.pass(1)
	use("a", "x", true)
	use("a", "x", false)
}

// A store that is full says that it does not know, and forgets nothing that still counts.
func TestReplaysAreBounded(t *testing.T) {
	for name, one := range map[string]int{"of all": 8, "of one owner": 2} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := state.NewReplays(state.ReplaysOptions{Entries: 8, Now: c.now})
			fill := func(round int) (n int) {
				for i := range 20 {
					owner := "a"
					if one == 8 {
						owner = fmt.Sprint(i)
					}
					first, err := s.Use(owner, sum(fmt.Sprint(round, i)), c.now().Add(time.Minute))
					if first {
						n++
					} else if !errors.Is(err, state.ErrFull) {
						t.Fatal(err)
					}
				}
				return n
			}
			if n := fill(0); n != one {
				t.Errorf("%d were held", n)
			}
			if first, err := s.Use("a", sum("0 0"), c.now()); first || err != nil {
				t.Errorf("the first was forgotten: %v, %v", first, err)
			}
			c.pass(time.Minute)
			if n := fill(1); n != one {
				t.Errorf("%d were held a minute later", n)
			}
		})
	}
}

// Of uses at one time one is the first.
func TestReplaysConcurrent(t *testing.T) {
	s := state.NewReplays(state.ReplaysOptions{})
	var firsts atomic.Int64
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if first, err := s.Use("a", sum("x"), time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			} else if first {
				firsts.Add(1)
			}
		})
	}
	all.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d were the first", firsts.Load())
	}
}
