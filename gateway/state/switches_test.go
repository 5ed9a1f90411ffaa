package state_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/state"
)

func openSwitches(t *testing.T, file string) *state.Switches {
	t.Helper()
	s, err := state.OpenSwitches(state.SwitchesOptions{File: file, Now: func() time.Time { return time.Unix(1_900_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSwitches(t *testing.T) {
	file := filepath.Join(t.TempDir(), "made", "switches.json")
	s := openSwitches(t, file)
	if s.IsOff("client", "acme") || len(s.List()) != 0 {
		t.Fatalf("%v", s.List())
	}
	for _, sw := range [][3]string{{"type", "Patient", ""}, {"client", "acme", "a laptop is lost"}, {"client", "acme", "two are"}} {
		if err := s.Off(sw[0], sw[1], sw[2]); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*state.Switches{s, openSwitches(t, file)} { // a restart changes nothing
		since := time.Unix(1_900_000_000, 0).UTC()
		want := []state.Switch{{Kind: "client", Name: "acme", Reason: "two are", Since: since}, {Kind: "type", Name: "Patient", Since: since}}
		if got := s.List(); !reflect.DeepEqual(got, want) || !s.IsOff("client", "acme") || s.IsOff("ehr", "acme") {
			t.Errorf("%+v", got)
		}
	}
	if was, err := s.On("client", "acme"); !was || err != nil {
		t.Errorf("%v %v", was, err)
	}
	if was, err := s.On("client", "acme"); was || err != nil {
		t.Errorf("%v %v", was, err)
	}
	if again := openSwitches(t, file); again.IsOff("client", "acme") || !again.IsOff("type", "Patient") {
		t.Errorf("%+v", again.List())
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

// TestSwitchesMove keeps them elsewhere: a start that reads the new file finds all, and what the new file had is gone.
func TestSwitchesMove(t *testing.T) {
	dir := t.TempDir()
	old, next := filepath.Join(dir, "old.json"), filepath.Join(dir, "next.json")
	s := openSwitches(t, old)
	if err := s.Off("ehr", "east", ""); err != nil {
		t.Fatal(err)
	}
	stale := openSwitches(t, next)
	if err := stale.Off("ehr", "west", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Move(next); err != nil {
		t.Fatal(err)
	}
	if err := s.Off("ehr", "north", ""); err != nil {
		t.Fatal(err)
	}
	if again := openSwitches(t, next); !again.IsOff("ehr", "east") || !again.IsOff("ehr", "north") || again.IsOff("ehr", "west") {
		t.Errorf("%v", again.List())
	}
	if err := s.Move(filepath.Join(next, "below-a-file.json")); err == nil {
		t.Error("moved to where no file can be")
	}
	if err := s.Off("ehr", "south", ""); err != nil || !openSwitches(t, next).IsOff("ehr", "south") {
		t.Errorf("after a move that failed: %v", err)
	}
}

// TestSwitchesDisk breaks the folder: what is to be off is off, and what is off stays so.
func TestSwitchesDisk(t *testing.T) {
	dir := t.TempDir()
	s := openSwitches(t, filepath.Join(dir, "kept", "switches.json"))
	if err := s.Off("ehr", "east", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Off("ehr", "west", ""); err == nil || !strings.Contains(err.Error(), "only until a restart") || !s.IsOff("ehr", "west") {
		t.Errorf("off: %v", err)
	}
	if was, err := s.On("ehr", "east"); !was || err == nil || !s.IsOff("ehr", "east") {
		t.Errorf("on: %v", err)
	}
}

func TestSwitchesBadFile(t *testing.T) {
	for _, text := range []string{"", "{}", "[{}]", `[{"kind": "client"}]`, `[{"kind": "client", "name": "a", "colour": "red"}]`, "[] []"} {
		file := filepath.Join(t.TempDir(), "switches.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := state.OpenSwitches(state.SwitchesOptions{File: file}); err == nil {
			t.Errorf("%q: %v", text, s.List())
		}
	}
	if _, err := state.OpenSwitches(state.SwitchesOptions{}); err == nil {
		t.Error("without a file")
	}
}
