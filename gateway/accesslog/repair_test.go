package accesslog_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func (s *site) repair() (*accesslog.Repaired, error) {
	o := accesslog.Options{
		Dir: s.dir, SigningKey: []byte(s.signer), PatientKey: patientKey, SegmentBytes: s.segment, FS: s.fs,
		Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC) },
	}
	return accesslog.Repair(context.Background(), o)
}

// damages are what a disk, a crash or somebody can do to a log of 60 records in several segments, by which
// it does not open; each with how many records can be kept.
var damages = map[string]struct {
	spoil func(t *testing.T, s *site)
	kept  func(all []*accesslog.Record) bool
}{
	"the checkpoint is gone": {func(t *testing.T, s *site) { remove(t, s, "checkpoint") }, every},
	"the checkpoint is forged": {func(t *testing.T, s *site) {
		s.put(t, "checkpoint", bytes.Replace(s.get(t, "checkpoint"), []byte("\n60\n"), []byte("\n61\n"), 1))
	}, every},
	"the checkpoint is another key's": {func(t *testing.T, s *site) {
		other := newSite(t)
		other.fs = &faultFS{}
		other.fill(t, 60)
		s.put(t, "checkpoint", other.get(t, "checkpoint"))
	}, every},
	"the last segment was truncated": {func(t *testing.T, s *site) {
		name := last(s.names(t, "*.jsonl"))
		b := s.get(t, name)
		s.put(t, name, b[:len(b)-200])
	}, func(all []*accesslog.Record) bool { return len(all) == 59 }},
	"the last segment is gone": {func(t *testing.T, s *site) { remove(t, s, last(s.names(t, "*.jsonl"))) },
		func(all []*accesslog.Record) bool { return len(all) > 40 && len(all) < 60 }},
	"a segment is gone": {func(t *testing.T, s *site) { remove(t, s, "000003.jsonl") },
		func(all []*accesslog.Record) bool { return len(all) > 10 && len(all) < 30 }},
	"the first segment is gone": {func(t *testing.T, s *site) { remove(t, s, "000001.jsonl") },
		func(all []*accesslog.Record) bool { return len(all) == 0 }},
	"a record was changed": {func(t *testing.T, s *site) {
		remove(t, s, "frontier")
		s.put(t, "000002.jsonl", bytes.Replace(s.get(t, "000002.jsonl"), []byte("agent-7"), []byte("agent-8"), 1))
	}, func(all []*accesslog.Record) bool { return len(all) > 5 && len(all) < 20 }},
	"segments were swapped": {func(t *testing.T, s *site) {
		remove(t, s, "frontier")
		a, b := s.get(t, "000002.jsonl"), s.get(t, "000003.jsonl")
		s.put(t, "000002.jsonl", b)
		s.put(t, "000003.jsonl", a)
	}, func(all []*accesslog.Record) bool { return len(all) > 5 && len(all) < 20 }},
	"a segment was replayed": {func(t *testing.T, s *site) {
		remove(t, s, "frontier")
		s.put(t, "000003.jsonl", s.get(t, "000002.jsonl"))
	}, func(all []*accesslog.Record) bool { return len(all) > 10 && len(all) < 30 }},
	"the end and what signs it are older": {func(t *testing.T, s *site) {
		// The frontier of now with the checkpoint of before, and records that were chained anew.
		old := newSite(t)
		old.fs, old.signer, old.verifier, old.segment = s.fs, s.signer, s.verifier, s.segment
		l := old.open(t)
		appendN(t, l, 500, 60)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		s.put(t, "checkpoint", old.get(t, "checkpoint"))
	}, func(all []*accesslog.Record) bool { return len(all) == 0 }},
}

func every(all []*accesslog.Record) bool { return len(all) == 60 }

func last(names []string) string { return names[len(names)-1] }

func remove(t *testing.T, s *site, name string) {
	t.Helper()
	if err := os.Remove(s.path(name)); err != nil {
		t.Fatal(err)
	}
}

func TestRepair(t *testing.T) {
	base := segments(t, 60)
	want := base.records(t)
	for name, d := range damages {
		for _, packed := range []bool{false, true} {
			if packed && strings.Contains(name, "segment") || packed && strings.Contains(name, "record") {
				continue // these change the files themselves
			}
			t.Run(name, func(t *testing.T) {
				s := base.copyTo(t, filepath.Join(t.TempDir(), "log"))
				if packed {
					s.tune = compressing
					if err := s.tidy(t); err != nil {
						t.Fatal(err)
					}
					s.tune = nil
				}
				d.spoil(t, s)
				before := s.copyTo(t, filepath.Join(t.TempDir(), "before"))
				_, err := s.try()
				if damage := asDamage(t, err); !strings.Contains(damage.Error(), "nothing was changed") {
					t.Errorf("no advice: %v", damage)
				}
				r, err := s.repair()
				if err != nil {
					t.Fatal(err)
				}
				all := s.records(t)
				tail := all[len(all)-1]
				kept := all[:len(all)-1]
				if !d.kept(kept) || r.Kept != int64(len(kept)) {
					t.Errorf("%d records were kept, %d are there", r.Kept, len(kept))
				}
				for i := range kept {
					if kept[i].Correlation != want[i].Correlation {
						t.Fatalf("record %d is %s", i, kept[i].Correlation)
					}
				}
				if tail.Kind != accesslog.KindRecovery || tail.Code != "repair" || tail.Detail != r.Said || !strings.Contains(r.Said, r.Damage.Reason) {
					t.Errorf("the last record is %+v", tail)
				}
				if lost := r.Kept < r.Signed; lost != strings.Contains(r.Said, "which were signed, are not in the log any more") {
					t.Errorf("%d of %d are kept, and it says %q", r.Kept, r.Signed, r.Said)
				}
				if v := s.mustVerify(t); v.Unsigned != 0 {
					t.Errorf("%+v", v)
				}
				// What was changed or removed is there as it was, and can be asked.
				left := map[string]bool{}
				for _, f := range before.names(t, "*") {
					now, err := os.ReadFile(s.path(f))
					if err == nil && bytes.Equal(now, before.get(t, f)) {
						continue
					}
					aside, err := os.ReadFile(filepath.Join(s.dir, r.Aside, f))
					if err != nil || !bytes.Equal(aside, before.get(t, f)) {
						t.Errorf("%s is not kept aside: %v", f, err)
					}
					left[f] = true
				}
				if !left["checkpoint"] && before.has("checkpoint") {
					t.Error("the checkpoint did not change")
				}
				// The log goes on, and there is nothing more to repair.
				l := s.open(t)
				appendN(t, l, 1000, 20)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				s.mustVerify(t)
				if _, err := s.repair(); !errors.Is(err, accesslog.ErrSound) {
					t.Errorf("again: %v", err)
				}
			})
		}
	}
}

func TestRepairLeavesAlone(t *testing.T) {
	s := segments(t, 30)
	if _, err := s.repair(); !errors.Is(err, accesslog.ErrSound) {
		t.Errorf("a sound log: %v", err)
	}
	l := s.open(t)
	if _, err := s.repair(); !errors.Is(err, accesslog.ErrLocked) {
		t.Errorf("a log in use: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := s.get(t, "checkpoint")
	other := *s
	other.signer = newSite(t).signer
	if _, err := other.repair(); !errors.Is(err, accesslog.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if !bytes.Equal(before, s.get(t, "checkpoint")) || len(s.names(t, "damaged-*")) > 0 {
		t.Error("it was changed")
	}
	s.mustVerify(t)
}

// The power is cut anywhere while a log is repaired: it opens with the record that tells of the repair, or
// does not open until it is repaired again.
func TestRepairPowerCut(t *testing.T) {
	base := segments(t, 60)
	for _, name := range []string{"the checkpoint is forged", "a segment is gone", "the last segment was truncated"} {
		spoiled := base.copyTo(t, filepath.Join(t.TempDir(), "log"))
		damages[name].spoil(t, spoiled)
		for _, eager := range []bool{false, true} {
			for n := 0; ; n++ {
				s := spoiled.copyTo(t, filepath.Join(t.TempDir(), "log"))
				p := &powerFS{left: n, eager: eager}
				p.load(t, s.dir)
				s.fs = p
				_, err := s.repair()
				s.dir = filepath.Join(t.TempDir(), "rebooted")
				p.reboot(t, s.dir)
				s.fs = &faultFS{}
				l, e := s.try()
				if e != nil {
					asDamage(t, e)
					if _, e := s.repair(); e != nil {
						t.Fatalf("%s, cut at call %d: and again: %v", name, n, e)
					}
				} else if e := l.Close(); e != nil {
					t.Fatal(e)
				}
				s.mustVerify(t)
				told := false
				for _, r := range s.records(t) {
					told = told || r.Kind == accesslog.KindRecovery && r.Code == "repair"
				}
				if !told {
					t.Fatalf("%s, cut at call %d: nothing tells of the repair", name, n)
				}
				if err == nil {
					break
				}
			}
		}
	}
}
