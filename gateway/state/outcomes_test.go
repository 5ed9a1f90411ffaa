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
	key := func(owner, name string) state.Key { return state.Key{Owner: owner, Name: name} }
	refused := func(k state.Key, request string, want error) {
		t.Helper()
		if first, had, err := s.Claim(k, sum(request)); !errors.Is(err, want) || first != nil || had {
			t.Errorf("%v %s: %q %v %v", k, request, first, had, err)
		}
	}
	begin := func(k state.Key, request string) {
		t.Helper()
		if first, had, err := s.Claim(k, sum(request)); err != nil || first != nil || had {
			t.Fatalf("%v %s: %q %v %v", k, request, first, had, err)
		}
	}
	told := func(k state.Key, request, want string) {
		t.Helper()
		if first, had, err := s.Claim(k, sum(request)); err != nil || !had || string(first) != want {
			t.Errorf("%v %s: %q %v %v", k, request, first, had, err)
		}
	}
	k := key("a", "k")
	begin(k, "r")
	refused(k, "r", state.ErrUnderWay)
	refused(k, "other", state.ErrOther)
	begin(key("b", "k"), "other") // another owner's keys are its own
	begin(key("ak", ""), "other")
	s.Settle(k, []byte("done"))
	s.Release(k)
	s.Settle(k, []byte("again"))
	told(k, "r", "done")
	refused(k, "other", state.ErrOther)

	gone := key("a", "gone")
	begin(gone, "r")
	s.Release(gone)
	s.Settle(gone, []byte("late"))
	begin(gone, "another") // the first was not carried out

	c.pass(time.Hour - 1)
	told(k, "r", "done")
	refused(gone, "another", state.ErrUnderWay) // however long it takes
	c.pass(1)
	begin(k, "other")
	s.Settle(k, nil)
	told(k, "other", "")
	s.Settle(gone, []byte("x"))
	told(gone, "another", "x")
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
					k := state.Key{Owner: tt.owner(i), Name: fmt.Sprint(i)}
					_, _, err := s.Claim(k, sum("r"))
					if errors.Is(err, state.ErrFull) {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					s.Settle(k, make([]byte, tt.body))
					n++
				}
				return n
			}
			if n := fill(); n != tt.want {
				t.Errorf("%d were held", n)
			}
			if first, _, err := s.Claim(state.Key{Owner: tt.owner(0), Name: "0"}, sum("r")); err != nil || len(first) != tt.body {
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
	k := state.Key{Owner: "a", Name: "k"}
	for range 32 {
		all.Go(func() {
			for {
				first, had, err := s.Claim(k, sum("r"))
				switch {
				case had && string(first) == "done":
					return
				case err == nil && !had:
					done.Add(1)
					s.Settle(k, []byte("done"))
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
