package accesslog_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

var firstDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// aged makes a closed log of a record an hour.
func aged(t *testing.T, n int) *site {
	t.Helper()
	s := newSite(t)
	s.segment, s.fs = 8<<10, &faultFS{}
	l := s.open(t)
	for i := range n {
		r := sample(i)
		r.Time = firstDay.Add(time.Duration(i) * time.Hour)
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// retaining keeps so much, at a time after so many hours.
func retaining(hours int, keep time.Duration) func(*accesslog.Options) {
	return func(o *accesslog.Options) {
		o.Retention = keep
		o.Now = func() time.Time { return firstDay.Add(time.Duration(hours) * time.Hour) }
	}
}

func TestRetention(t *testing.T) {
	s := aged(t, 60)
	kept := s.get(t, "checkpoint")
	before := s.names(t, "*.jsonl")
	s.tune = retaining(60, 24*time.Hour)
	if err := s.tidy(t); err != nil {
		t.Fatal(err)
	}
	after := s.names(t, "*.jsonl")
	if len(after) >= len(before) || after[0] == "000001.jsonl" {
		t.Fatalf("%q, then %q", before, after)
	}
	v := s.mustVerify(t)
	if v.Removed == 0 || v.Segments != len(after) || !strings.Contains(strings.Join(v.Notes, "\n"), fmt.Sprintf("the first %d records were removed by retention", v.Removed)) {
		t.Errorf("%+v", v)
	}
	all := s.records(t)
	if all[0].Sequence != v.Removed || int64(len(all)) != v.Records {
		t.Errorf("reading begins at %d, and there are %d", all[0].Sequence, len(all))
	}
	limit := firstDay.Add(36 * time.Hour)
	if int(v.Removed) > 36 {
		t.Errorf("%d records were removed, and only 36 are before %s", v.Removed, limit)
	}
	said := ""
	for _, r := range all {
		if r.Kind == accesslog.KindAdmin && r.Code == "retention" {
			said = r.Detail
		}
	}
	if !strings.HasPrefix(said, fmt.Sprintf("records 0 to %d are removed", v.Removed-1)) {
		t.Errorf("the record of it says %q", said)
	}
	// A checkpoint from before still holds, and every record that is there can be proven.
	o := accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier, Checkpoint: kept}
	if w, err := accesslog.Verify(t.Context(), o); err != nil || w.KeptSize != 60 {
		t.Errorf("kept checkpoint: %+v, %v", w, err)
	}
	o.Checkpoint = nil
	for _, r := range all {
		proof, err := accesslog.Prove(t.Context(), o, r.Sequence)
		if err != nil {
			t.Fatalf("prove %d: %v", r.Sequence, err)
		}
		if _, err := accesslog.CheckProof(proof, s.verifier); err != nil {
			t.Fatalf("proof of %d: %v", r.Sequence, err)
		}
	}
	if _, err := accesslog.Prove(t.Context(), o, v.Removed-1); !errors.Is(err, accesslog.ErrRecord) {
		t.Errorf("prove what was removed: %v", err)
	}
	// And again: the next that are old go as well, and everything can be read anew.
	s.tune = retaining(80, 24*time.Hour)
	if err := os.Remove(s.path("frontier")); err != nil {
		t.Fatal(err)
	}
	if err := s.tidy(t); err != nil {
		t.Fatal(err)
	}
	if w := s.mustVerify(t); w.Removed <= v.Removed {
		t.Errorf("%d, then %d", v.Removed, w.Removed)
	}
}

// Without the setting nothing is ever removed, and a clock that jumps ahead for a moment does no harm to
// what is written after it.
func TestRetentionIsExplicit(t *testing.T) {
	s := aged(t, 60)
	s.tune = retaining(100_000, 0)
	if err := s.tidy(t); err != nil {
		t.Fatal(err)
	}
	if v := s.mustVerify(t); v.Removed != 0 || v.Records != 60 {
		t.Errorf("%+v", v)
	}
}

func TestRetentionIsTampered(t *testing.T) {
	base := aged(t, 60)
	base.tune = retaining(60, 24*time.Hour)
	if err := base.tidy(t); err != nil {
		t.Fatal(err)
	}
	first := base.names(t, "*.jsonl")[0]
	for name, tamper := range map[string]func(t *testing.T, s *site) string{
		"one segment more is gone": func(t *testing.T, s *site) string {
			os.Remove(s.path(first))
			return first
		},
		"the file is gone": func(t *testing.T, s *site) string {
			os.Remove(s.path("retained"))
			return "000001.jsonl"
		},
		"the file was changed": func(t *testing.T, s *site) string {
			s.put(t, "retained", []byte(strings.Replace(string(s.get(t, "retained")), "/retained\n", "/retained\n1", 1)))
			return "retained"
		},
		"the file is the frontier": func(t *testing.T, s *site) string {
			s.put(t, "retained", s.get(t, "frontier"))
			return "retained"
		},
		"a record behind it was changed": func(t *testing.T, s *site) string {
			b := s.get(t, first)
			b[20] ^= 1
			s.put(t, first, b)
			return first
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "log"))
			want := tamper(t, s)
			_, err := s.verify(t)
			if d := asDamage(t, err); d.File != want {
				t.Errorf("%v", d)
			}
			if name != "a record behind it was changed" { // a start does not read it
				_, err = s.try()
				asDamage(t, err)
			}
		})
	}
}

// What is removed is what was written: a segment that was changed stays.
func TestRetentionKeepsWhatIsDamaged(t *testing.T) {
	s := aged(t, 60)
	b := s.get(t, "000001.jsonl")
	s.put(t, "000001.jsonl", []byte(strings.Replace(string(b), "agent-7", "agent-8", 1)))
	s.tune = retaining(60, 24*time.Hour)
	l, tidy, err := s.idle()
	if err != nil {
		t.Fatal(err)
	}
	asDamage(t, tidy())
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if names := s.names(t, "000001.jsonl"); len(names) != 1 {
		t.Error("it was removed")
	}
}

// The power is cut anywhere while segments are removed and compressed: no record that is young enough is
// lost, and what is there verifies.
func TestRetentionPowerCut(t *testing.T) {
	base := aged(t, 60)
	for _, eager := range []bool{false, true} {
		for n := 1; ; n++ {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "log"))
			retain := retaining(60, 24*time.Hour)
			s.tune = func(o *accesslog.Options) { retain(o); o.Compress = true }
			p := &powerFS{left: n, eager: eager}
			p.load(t, s.dir)
			s.fs = p
			err := s.tidy(t)
			s.dir = filepath.Join(t.TempDir(), "rebooted")
			p.reboot(t, s.dir)
			s.fs = &faultFS{}
			if e := s.tidy(t); e != nil {
				t.Fatalf("cut at call %d: and again: %v", n, e)
			}
			v := s.mustVerify(t)
			if v.Removed == 0 || v.Removed > 36 {
				t.Fatalf("cut at call %d: %+v", n, v)
			}
			if all := s.records(t); all[0].Sequence != v.Removed || int64(len(all)) != v.Records || v.Removed+v.Records < 60 {
				t.Fatalf("cut at call %d: %d records from %d on", n, len(all), all[0].Sequence)
			}
			if err == nil {
				break
			}
		}
	}
}

func TestSegmentAge(t *testing.T) {
	s := newSite(t)
	now := firstDay
	s.tune = func(o *accesslog.Options) {
		o.SegmentAge = 24 * time.Hour
		o.Now = func() time.Time { return now }
	}
	l := s.open(t)
	for range 5 {
		appendN(t, l, 0, 2)
		now = now.Add(13 * time.Hour)
	}
	if names := s.names(t, "*.jsonl"); len(names) != 3 {
		t.Errorf("%q", names)
	}
	// A start goes by the first record's time, and a clock that jumps back begins nothing.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	l = s.open(t)
	appendN(t, l, 0, 1)
	now = now.Add(-1000 * time.Hour)
	appendN(t, l, 0, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if names := s.names(t, "*.jsonl"); len(names) != 4 {
		t.Errorf("%q", names)
	}
	if v := s.mustVerify(t); v.Records != 12 {
		t.Errorf("%+v", v)
	}
}
