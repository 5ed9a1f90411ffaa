package accesslog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// crashed is a folder as kill -9 leaves it: signed records are covered by the checkpoint, then come
// unsigned ones. It returns the segment's bytes up to the end of each.
func crashed(t *testing.T, signed, unsigned int) (s *site, segment []byte, signedEnd int) {
	t.Helper()
	s = newSite(t)
	s.segment = 8192
	l := s.open(t)
	for i := range signed {
		if _, err := l.Append(small(i)); err != nil {
			t.Fatal(err)
		}
	}
	at := s.copyTo(t, filepath.Join(t.TempDir(), "crashed"))
	for i := range unsigned {
		if _, err := l.Append(small(signed + i)); err != nil {
			t.Fatal(err)
		}
	}
	trim := func(b []byte) []byte { return bytes.TrimRight(b, "\x00") }
	return at, trim(s.get(t, "000001.jsonl")), len(trim(at.get(t, "000001.jsonl")))
}

// A crash can stop the last write at every byte. What was signed decides whether that is a crash or a cut.
func TestEveryTruncation(t *testing.T) {
	base, segment, signedEnd := crashed(t, 3, 2)
	for _, padded := range []bool{true, false} {
		for cut := range len(segment) + 1 {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "cut"))
			left := bytes.Clone(segment[:cut])
			if padded {
				left = append(left, make([]byte, 8192-cut)...)
			}
			s.put(t, "000001.jsonl", left)
			s.fs = &faultFS{}
			before, beforeErr := s.verify(t)
			l, err := s.try()
			if cut < signedEnd {
				d := asDamage(t, err)
				if !strings.Contains(d.Advice, "nothing was changed") || !bytes.Equal(s.get(t, "000001.jsonl"), left) {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				asDamage(t, beforeErr)
				continue
			}
			if err != nil || beforeErr != nil {
				t.Fatalf("cut at %d of %d, signed to %d: %v, %v", cut, len(segment), signedEnd, err, beforeErr)
			}
			complete := 3 + bytes.Count(segment[signedEnd:cut], []byte("\n"))
			torn := cut - 1 - bytes.LastIndexByte(segment[:cut], '\n')
			if before.Records != int64(complete) || before.Unsigned != int64(complete-3) {
				t.Fatalf("cut at %d: before: %+v", cut, before)
			}
			want := complete
			if complete > 3 || torn > 0 {
				want++ // the recovery record
			}
			if _, err := l.Append(small(99)); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if v := s.mustVerify(t); v.Records != int64(want+1) || v.Unsigned != 0 {
				t.Fatalf("cut at %d: %+v", cut, v)
			}
			all := s.records(t)
			if want > complete {
				r := all[complete]
				if r.Kind != accesslog.KindRecovery ||
					strings.Contains(r.Detail, "complete records from seq 3 on") != (complete > 3) ||
					strings.Contains(r.Detail, "bytes of incomplete records were cut") != (torn > 0) {
					t.Fatalf("cut at %d: %+v", cut, r)
				}
			}
			kept, _ := filepath.Glob(s.path("*.torn"))
			if (len(kept) == 1) != (torn > 0) {
				t.Fatalf("cut at %d: torn files %q", cut, kept)
			}
			if torn > 0 {
				if b, _ := os.ReadFile(kept[0]); !bytes.Equal(b, segment[cut-torn:cut]) {
					t.Fatalf("cut at %d: kept %d bytes, torn are %d", cut, len(b), torn)
				}
			}
		}
	}
}

func TestTail(t *testing.T) {
	base, segment, signedEnd := crashed(t, 3, 4)
	pad := func(b []byte) []byte { return append(b, make([]byte, 8192-len(b))...) }
	for _, c := range []struct {
		name    string
		segment func([]byte) []byte
		adopted int    // complete records behind the three
		want    string // of the recovery record, or of the damage
	}{
		{"hole in an unsynced group", func(b []byte) []byte {
			clear(b[signedEnd+20 : signedEnd+300])
			return b
		}, 0, "bytes of incomplete records were cut"},
		{"hole at the beginning of a line", func(b []byte) []byte {
			clear(b[signedEnd : signedEnd+10])
			return b
		}, 0, "bytes of incomplete records were cut"},
		{"unsigned record changed", func(b []byte) []byte {
			return append(b[:signedEnd:signedEnd], bytes.Replace(b[signedEnd:], []byte(`"c4"`), []byte(`"c9"`), 1)...)
		}, -1, "000001.jsonl line 5 (seq 4"},
		{"unsigned record removed", func(b []byte) []byte {
			n := bytes.IndexByte(b[signedEnd:], '\n') + 1
			return append(b[:signedEnd:signedEnd], b[signedEnd+n:]...)
		}, -1, "000001.jsonl line 4 (seq 3"},
		{"garbage line", func(b []byte) []byte { return append(b, "garbage\n"...) }, -1, "000001.jsonl line 8 (seq 7"},
		{"much garbage", func(b []byte) []byte { return append(b, strings.Repeat("garbage", 500)...) }, 4, "3500 bytes of incomplete records were cut"},
		{"garbage", func(b []byte) []byte { return append(b, "garbage"...) }, 4, "7 bytes of incomplete records were cut"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "tail"))
			s.put(t, "000001.jsonl", pad(c.segment(bytes.Clone(segment))))
			l, err := s.try()
			if c.adopted < 0 {
				asDamage(t, err)
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if _, err := s.verify(t); asDamage(t, err) == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("verify: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v := s.mustVerify(t); len(v.Notes) != 1 { // that no checkpoint was kept
				t.Errorf("something is left of the torn end: %q", v.Notes)
			}
			l.Close()
			s.mustVerify(t)
			all := s.records(t)
			if r := all[len(all)-1]; len(all) != 4+c.adopted || !strings.Contains(r.Detail, c.want) {
				t.Errorf("%d records, recovery %q", len(all), r.Detail)
			}
		})
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	base := newSite(t)
	base.segment = 4096
	base.fill(t, 20)
	stranger := newSite(t)
	stranger.fill(t, 1)
	twin := newSite(t)
	twin.signer, twin.verifier = base.signer, base.verifier
	l := twin.open(t)
	appendN(t, l, 50, 20)
	l.Close()

	for _, c := range []struct {
		name   string
		damage func(*site)
		want   string
	}{
		{"checkpoint missing", func(s *site) { os.Remove(s.path("checkpoint")) }, "checkpoint: the checkpoint is missing although the log has records"},
		{"checkpoint and segments missing", func(s *site) {
			names, _ := filepath.Glob(s.path("*.jsonl"))
			for _, n := range append(names, s.path("checkpoint")) {
				os.Remove(n)
			}
		}, "checkpoint: checkpoint and records are missing although there was a log"},
		{"checkpoint of another key", func(s *site) { s.put(t, "checkpoint", stranger.get(t, "checkpoint")) }, "start with the key that wrote this log"},
		{"checkpoint nonsense", func(s *site) { s.put(t, "checkpoint", []byte("x\n")) }, "checkpoint: it is not a signed note"},
		{"checkpoint empty, no frontier", func(s *site) { s.put(t, "checkpoint", nil); os.Remove(s.path("frontier")) }, "checkpoint: it is empty"},
		{"checkpoint of the same log elsewhere", func(s *site) { s.put(t, "checkpoint", twin.get(t, "checkpoint")) }, "sign different records"},
		{"last segment cut", func(s *site) {
			b := s.get(t, "000005.jsonl")
			s.put(t, "000005.jsonl", b[:len(b)-1])
		}, "000005.jsonl line 4 (seq 19"},
		{"last segment missing", func(s *site) { os.Remove(s.path("000005.jsonl")) }, "000004.jsonl line 5 (seq 16"},
		{"first segment missing", func(s *site) { os.Remove(s.path("000001.jsonl")) }, "000001.jsonl: the segment is missing"},
		{"record changed, no frontier", func(s *site) {
			os.Remove(s.path("frontier"))
			s.put(t, "000002.jsonl", bytes.Replace(s.get(t, "000002.jsonl"), []byte(`"c5"`), []byte(`"c6"`), 1))
		}, "000002.jsonl line 2 (seq 5"},
		{"records added while closed", func(s *site) {
			long := newSite(t)
			long.signer, long.verifier, long.segment = base.signer, base.verifier, base.segment
			l := long.open(t)
			appendN(t, l, 0, 22)
			l.Close()
			s.put(t, "000005.jsonl", long.get(t, "000005.jsonl"))
			s.put(t, "000006.jsonl", long.get(t, "000006.jsonl"))
		}, "frontier: the log was closed with 20 records, and now has 22"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "copy"))
			c.damage(s)
			_, err := s.try()
			d := asDamage(t, err)
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(d.Advice, "nothing was changed") {
				t.Errorf("got %v\nwant %q", err, c.want)
			}
			// A second try says the same: nothing was touched, and the folder is free.
			if _, again := s.try(); again == nil || again.Error() != err.Error() {
				t.Errorf("second try: %v", again)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		s := base.copyTo(t, filepath.Join(t.TempDir(), "copy"))
		s.signer = stranger.signer
		if _, err := s.try(); !errors.Is(err, accesslog.ErrKey) {
			t.Errorf("got %v", err)
		}
	})
}

// The frontier spares reading the history; without it, or with a wrong one, all is read.
func TestFrontier(t *testing.T) {
	base := newSite(t)
	base.segment = 4096
	base.fill(t, 10)
	older := base.get(t, "frontier")
	base.fill(t, 10)
	stranger := newSite(t)
	stranger.fill(t, 5)

	spoil := func(s *site) { // a change that only reading the history finds
		s.put(t, "000001.jsonl", bytes.Replace(s.get(t, "000001.jsonl"), []byte(`"c1"`), []byte(`"c2"`), 1))
	}
	t.Run("history is not read", func(t *testing.T) {
		s := base.copyTo(t, filepath.Join(t.TempDir(), "copy"))
		spoil(s)
		l, err := s.try()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if _, err := s.verify(t); asDamage(t, err).Seq != 1 {
			t.Errorf("verify: %v", err)
		}
	})
	for name, frontier := range map[string][]byte{"missing": nil, "nonsense": []byte("x"), "of another key": stranger.get(t, "frontier"),
		"a checkpoint": base.get(t, "checkpoint"), "changed": bytes.Replace(base.get(t, "frontier"), []byte("\nclosed\n"), []byte("\nopen\n"), 1)} {
		t.Run(name, func(t *testing.T) {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "copy"))
			os.Remove(s.path("frontier"))
			if frontier != nil {
				s.put(t, "frontier", frontier)
			}
			bad := s.copyTo(t, filepath.Join(t.TempDir(), "bad"))
			spoil(bad)
			if _, err := bad.try(); asDamage(t, err).Seq != 1 {
				t.Errorf("history was not read: %v", err)
			}
			l, err := s.try()
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			all := s.records(t)
			if r := all[len(all)-1]; len(all) != 21 || r.Kind != accesslog.KindRecovery || !strings.Contains(r.Detail, "all records were read again") {
				t.Errorf("%d records, last %+v", len(all), r)
			}
		})
	}
	// A frontier from an earlier closing fits, but claims that nothing came later.
	s := base.copyTo(t, filepath.Join(t.TempDir(), "copy"))
	s.put(t, "frontier", older)
	if _, err := s.try(); !strings.Contains(asDamage(t, err).Reason, "closed with 10 records, and now has 20") {
		t.Errorf("older frontier: %v", err)
	}
}

// A failed sync may leave records in memory that read as if they were on the disk. They are written
// and synced again before anything signs them.
func TestAdoptedRecordsAreWrittenAgain(t *testing.T) {
	s, segment, _ := crashed(t, 3, 2)
	s.put(t, "000001.jsonl", segment)
	f := &faultFS{}
	s.fs = f
	s.open(t)
	got := strings.Join(f.seen(), ", ")
	again := strings.Index(got, "open 000001.jsonl, write 000001.jsonl, datasync 000001.jsonl")
	if signed := strings.Index(got, "write tip, "); again < 0 || signed < again {
		t.Errorf("calls: %s", got)
	}
}

// What follows an old checkpoint over several segments is held to the form of closed segments.
func TestUnsignedSegments(t *testing.T) {
	s := newSite(t)
	s.segment = 4096
	l := s.open(t)
	appendN(t, l, 0, 2)
	old := s.get(t, "checkpoint")
	frontier := s.get(t, "frontier")
	appendN(t, l, 2, 10)
	l.Close()
	s.put(t, "checkpoint", old)
	s.put(t, "frontier", frontier)
	whole := s.copyTo(t, filepath.Join(t.TempDir(), "whole"))
	b := s.get(t, "000002.jsonl")
	s.put(t, "000002.jsonl", b[:len(b)-5])
	_, err := s.verify(t)
	if d := asDamage(t, err); d.File != "000002.jsonl" || d.Line != 4 || d.Seq != 7 {
		t.Errorf("verify: %v", err)
	}
	_, err = s.try()
	if d := asDamage(t, err); d.File != "000002.jsonl" || d.Line != 4 {
		t.Errorf("open: %v", err)
	}
	whole.open(t).Close()
	if v := whole.mustVerify(t); v.Records != 13 {
		t.Errorf("%+v", v)
	}
}

// What a power cut may do to an unsynced checkpoint.
func TestPowerCutCheckpoint(t *testing.T) {
	for _, name := range []string{"empty", "zeros"} {
		t.Run(name, func(t *testing.T) {
			s, segment, _ := crashed(t, 3, 2)
			s.put(t, "000001.jsonl", append(segment, make([]byte, 100)...))
			s.put(t, "checkpoint", map[string][]byte{"zeros": make([]byte, 200)}[name])
			remove(t, s, "tip")
			if _, err := s.verify(t); asDamage(t, err).File != "checkpoint" {
				t.Errorf("verify: %v", err)
			}
			l, err := s.try()
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			s.mustVerify(t)
			all := s.records(t)
			if r := all[len(all)-1]; len(all) != 6 || !strings.Contains(r.Detail, "checkpoint was empty") || !strings.Contains(r.Detail, "5 complete records from seq 0") {
				t.Errorf("%d records: %q", len(all), r.Detail)
			}
		})
	}
	// Nothing happened but that the checkpoint is old: no record is lost.
	s := newSite(t)
	s.tune = func(o *accesslog.Options) { accesslog.SyncPeriod(o, 1) }
	l := s.open(t)
	appendN(t, l, 0, 2) // the first is under the checkpoint's name by the second's answer, perhaps the second too
	old := s.get(t, "checkpoint")
	var signed int64
	if _, err := fmt.Sscanf(string(old), "gateway.example/access\n%d\n", &signed); err != nil || signed < 1 || signed > 2 {
		t.Fatalf("%q: %v", old, err)
	}
	appendN(t, l, 2, 4)
	c := s.copyTo(t, filepath.Join(t.TempDir(), "copy"))
	c.put(t, "checkpoint", old)
	remove(t, c, "tip")
	v := c.mustVerify(t)
	if v.Unsigned != 6-signed || v.Records != 6 || !strings.Contains(strings.Join(v.Notes, " "), fmt.Sprintf("last %d records are chained but not signed", v.Unsigned)) {
		t.Errorf("%+v", v)
	}
	c.open(t)
	if v := c.mustVerify(t); v.Records != 7 || v.Unsigned != 0 {
		t.Errorf("after recovery: %+v", v)
	}
}
