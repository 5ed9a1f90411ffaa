package state_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/state"
)

func TestOpenings(t *testing.T) {
	begun := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	now := begun
	o := state.NewOpenings(state.OpeningsOptions{Now: func() time.Time { return now }})
	const life = 15 * time.Minute
	open := func(key string, opened time.Time, first bool) {
		t.Helper()
		at, is, err := o.Open("ann", key, life)
		if err != nil || is != first || !at.Opened.Equal(opened) || !at.Expires.Equal(opened.Add(life)) {
			t.Errorf("%s at %v: %+v first %t, %v", key, now.Sub(begun), at, is, err)
		}
	}
	open("a", begun, true)
	now = begun.Add(life - 1)
	open("a", begun, false) // asking again does not prolong it
	open("b", now, true)
	now = begun.Add(life)
	open("a", begun, false) // it has ended
	now = begun.Add(life + 12*time.Hour - 1)
	open("a", begun, false) // and stays shut
	now = begun.Add(life + 12*time.Hour)
	open("a", now, true)
}

// What is full opens nothing, until something it holds has rested.
func TestOpeningsFull(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	o := state.NewOpenings(state.OpeningsOptions{Entries: 3, Now: func() time.Time { return now }})
	for i := range 3 {
		if _, _, err := o.Open(strconv.Itoa(i), "INC-1", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := o.Open("more", "INC-1", time.Minute); !errors.Is(err, state.ErrFull) {
		t.Errorf("full: %v", err)
	}
	if _, first, err := o.Open("1", "INC-1", time.Minute); err != nil || first {
		t.Errorf("one that it holds: %v", err)
	}
	now = now.Add(12*time.Hour + time.Minute)
	if _, first, err := o.Open("more", "INC-1", time.Minute); err != nil || !first {
		t.Errorf("after a rest: %v", err)
	}
}

// One account cannot take the room that others need in an emergency, and keys of two are never one.
func TestOpeningsShare(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	o := state.NewOpenings(state.OpeningsOptions{Entries: 200, Now: func() time.Time { return now }})
	for i := range 5 {
		_, first, err := o.Open("ann", strconv.Itoa(i), time.Minute)
		if want := i < 2; first != want || errors.Is(err, state.ErrFull) == want {
			t.Errorf("ann's %d: %t, %v", i, first, err)
		}
	}
	for owner, key := range map[string]string{"bob": "0", "bob 0": "1", "bo": "b 0"} {
		if _, first, err := o.Open(owner, key, time.Minute); err != nil || !first {
			t.Errorf("%s %s: %t, %v", owner, key, first, err)
		}
	}
	now = now.Add(12*time.Hour + time.Minute)
	if _, first, err := o.Open("ann", "4", time.Minute); err != nil || !first {
		t.Errorf("after a rest: %v", err)
	}
}
