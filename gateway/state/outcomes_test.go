package state_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/state"
)

func sum(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

func TestOutcomes(t *testing.T) {
	c := newClock()
	s := state.NewOutcomes(state.OutcomesOptions{Life: time.Hour, Now: c.now})
	refused := func(owner, key, request string, want error) {
		t.Helper()
		if first, claim, err := s.Claim(owner, key, sum(request)); !errors.Is(err, want) || first != nil || claim != nil {
			t.Errorf("%s %s %s: %q %v %v", owner, key, request, first, claim, err)
		}
	}
	begin := func(owner, key, request string) *state.Claim {
		t.Helper()
		first, claim, err := s.Claim(owner, key, sum(request))
		if err != nil || first != nil || claim == nil {
			t.Fatalf("%s %s %s: %q %v", owner, key, request, first, err)
		}
		return claim
	}
	told := func(owner, key, request, want string) {
		t.Helper()
		if first, claim, err := s.Claim(owner, key, sum(request)); err != nil || claim != nil || string(first) != want {
			t.Errorf("%s %s %s: %q %v %v", owner, key, request, first, claim, err)
		}
	}
	claim := begin("a", "k", "r")
	refused("a", "k", "r", state.ErrUnderWay)
	refused("a", "k", "other", state.ErrOther)
	begin("b", "k", "r").Release() // another owner's keys are its own
	claim.Settle([]byte("done"))
	claim.Release()
	claim.Settle([]byte("again"))
	told("a", "k", "r", "done")
	refused("a", "k", "other", state.ErrOther)

	released := begin("a", "gone", "r")
	released.Release()
	released.Settle([]byte("late"))
	released = begin("a", "gone", "another") // it was not carried out

	c.pass(time.Hour - 1)
	told("a", "k", "r", "done")
	refused("a", "gone", "another", state.ErrUnderWay) // however long it takes
	c.pass(1)
	begin("a", "k", "other").Settle(nil)
	released.Settle([]byte("x"))
	told("a", "gone", "another", "x")
}

// A store that is full begins nothing and forgets nothing that still counts.
func TestOutcomesAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     state.OutcomesOptions
		body  int
		owner func(i int) string
		want  int
	}{
		{"entries", state.OutcomesOptions{Entries: 8}, 1, func(i int) string { return fmt.Sprint(i) }, 8},
		{"entries of one owner", state.OutcomesOptions{Entries: 8}, 1, func(int) string { return "a" }, 2},
		{"bytes", state.OutcomesOptions{Bytes: 100}, 30, func(i int) string { return fmt.Sprint(i) }, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			tt.o.Now, tt.o.Life = c.now, time.Hour
			s := state.NewOutcomes(tt.o)
			fill := func() (n int) {
				for i := range 20 {
					_, claim, err := s.Claim(tt.owner(i), fmt.Sprint(i), sum("r"))
					if errors.Is(err, state.ErrFull) {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					claim.Settle(make([]byte, tt.body))
					n++
				}
				return n
			}
			if n := fill(); n != tt.want {
				t.Errorf("%d were held", n)
			}
			if first, _, err := s.Claim(tt.owner(0), "0", sum("r")); err != nil || len(first) != tt.body {
				t.Errorf("the first was forgotten: %v", err)
			}
			c.pass(time.Hour)
			if n := fill(); n != tt.want {
				t.Errorf("%d were held an hour later", n)
			}
		})
	}
}

// Of retries at one time one is carried out.
func TestOutcomesConcurrent(t *testing.T) {
	s := state.NewOutcomes(state.OutcomesOptions{})
	var done atomic.Int64
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for {
				first, claim, err := s.Claim("a", "k", sum("r"))
				switch {
				case claim != nil:
					done.Add(1)
					claim.Settle([]byte("done"))
				case err == nil && string(first) == "done":
					return
				case !errors.Is(err, state.ErrUnderWay):
					t.Errorf("%q %v", first, err)
					return
				}
			}
		})
	}
	all.Wait()
	if done.Load() != 1 {
		t.Errorf("carried out %d times", done.Load())
	}
}
