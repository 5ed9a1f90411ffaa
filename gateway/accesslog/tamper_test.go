package accesslog_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// Every byte of a closed log matters, and the line that was changed is the one that is named.
func TestEveryByteMatters(t *testing.T) {
	s := newSite(t)
	s.segment = 400
	l := s.open(t)
	for i := range 7 {
		if _, err := l.Append(small(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if v := s.mustVerify(t); v.Segments < 3 {
		t.Fatalf("%d segments", v.Segments)
	}
	for _, name := range []string{"000001.jsonl", "000002.jsonl", "000003.jsonl", "checkpoint"} {
		whole := s.get(t, name)
		for i := range whole {
			for _, flip := range []byte{0x01, 0x80, whole[i] /* becomes zero */, whole[i] ^ '\n'} {
				bad := bytes.Clone(whole)
				bad[i] ^= flip
				if bad[i] == whole[i] {
					continue
				}
				s.put(t, name, bad)
				_, err := s.verify(t)
				if err == nil {
					t.Fatalf("%s byte %d ^ %02x was not found", name, i, flip)
				}
				d := asDamage(t, err)
				if d.File != name {
					t.Errorf("%s byte %d ^ %02x: %v", name, i, flip, err)
				}
				line := int64(1 + bytes.Count(whole[:i], []byte("\n")))
				if name != "checkpoint" && d.Line != line {
					t.Errorf("%s byte %d (line %d) ^ %02x: %v", name, i, line, flip, err)
				}
			}
		}
		s.put(t, name, whole)
	}
	s.mustVerify(t)
}

func TestVerifyNamesTheDamage(t *testing.T) {
	base := newSite(t)
	base.segment = 4096
	base.fill(t, 20)
	early := newSite(t) // another log with the same key
	early.signer, early.verifier = base.signer, base.verifier
	early.fill(t, 20)
	stranger := newSite(t)
	stranger.fill(t, 20)

	lines := func(s *site, name string) [][]byte {
		return bytes.SplitAfter(s.get(t, name), []byte("\n"))
	}
	first := bytes.Count(base.get(t, "000001.jsonl"), []byte("\n"))
	for _, c := range []struct {
		name   string
		damage func(*site)
		want   string // of the error, after "access log damaged: "
	}{
		{"one byte changed", func(s *site) {
			b := s.get(t, "000001.jsonl")
			s.put(t, "000001.jsonl", bytes.Replace(b, []byte(`"correlation":"c2"`), []byte(`"correlation":"c8"`), 1))
		}, "000001.jsonl line 3 (seq 2, "},
		{"last record of a segment changed", func(s *site) {
			b := lines(s, "000001.jsonl")
			b[first-1] = bytes.Replace(b[first-1], []byte("agent-7"), []byte("agent-8"), 1)
			s.put(t, "000001.jsonl", bytes.Join(b, nil))
		}, "000001.jsonl line 4 (seq 3, "},
		{"a line removed", func(s *site) {
			b := lines(s, "000001.jsonl")
			s.put(t, "000001.jsonl", bytes.Join(append(b[:1:1], b[2:]...), nil))
		}, "000001.jsonl line 2 (seq 1, "},
		{"lines swapped", func(s *site) {
			b := lines(s, "000001.jsonl")
			b[1], b[2] = b[2], b[1]
			s.put(t, "000001.jsonl", bytes.Join(b, nil))
		}, "000001.jsonl line 2 (seq 1, "},
		{"a line repeated", func(s *site) {
			b := lines(s, "000001.jsonl")
			s.put(t, "000001.jsonl", bytes.Join(append(b[:2:2], b[1:]...), nil))
		}, "000001.jsonl line 3 (seq 2, "},
		{"first segment missing", func(s *site) { os.Remove(s.path("000001.jsonl")) },
			"000001.jsonl: the segment is missing"},
		{"middle segment missing", func(s *site) { os.Remove(s.path("000002.jsonl")) },
			"000002.jsonl: the segment is missing"},
		{"segments swapped", func(s *site) {
			a, b := s.get(t, "000001.jsonl"), s.get(t, "000002.jsonl")
			s.put(t, "000001.jsonl", b)
			s.put(t, "000002.jsonl", a)
		}, "000001.jsonl line 1 (seq 0, byte 0): record 0 was expected here and 4 found"},
		{"middle segment truncated", func(s *site) { s.put(t, "000002.jsonl", s.get(t, "000002.jsonl")[:2000]) },
			"000002.jsonl line 3 (seq 6, "},
		{"middle segment truncated at a line", func(s *site) {
			s.put(t, "000002.jsonl", bytes.Join(lines(s, "000002.jsonl")[:2], nil))
		}, "000003.jsonl line 1 (seq 6, byte 0): record 6 was expected here and 8 found"},
		{"middle segment emptied", func(s *site) { s.put(t, "000002.jsonl", nil) },
			"000003.jsonl line 1 (seq 4, byte 0): record 4 was expected"},
		{"zeros behind a closed segment", func(s *site) { s.put(t, "000001.jsonl", append(s.get(t, "000001.jsonl"), 0)) },
			"000001.jsonl line 5 (seq 4, "},
		{"records overwritten with zeros", func(s *site) {
			b := s.get(t, "000001.jsonl")
			clear(b[bytes.IndexByte(b, '\n')+1 : len(b)-100])
			s.put(t, "000001.jsonl", b)
		}, "000001.jsonl line 2 (seq 1, "},
		{"tail cut", func(s *site) { os.Remove(s.path("000005.jsonl")) },
			"000004.jsonl line 5 (seq 16, "},
		{"all segments removed", func(s *site) {
			names, _ := filepath.Glob(s.path("*.jsonl"))
			for _, n := range names {
				os.Remove(n)
			}
		}, "000001.jsonl line 1 (seq 0, byte 0): the log ends here with 0 records, but the checkpoint signs 20: its tail was cut"},
		{"checkpoint missing", func(s *site) { os.Remove(s.path("checkpoint")) }, "checkpoint: there is none"},
		{"checkpoint empty", func(s *site) { s.put(t, "checkpoint", nil) }, "checkpoint: it is empty"},
		{"checkpoint of another key", func(s *site) { s.put(t, "checkpoint", stranger.get(t, "checkpoint")) }, "checkpoint: not signed by this log's key: it is signed by gateway.example/access+"},
		{"checkpoint forged", func(s *site) {
			s.put(t, "checkpoint", bytes.Replace(s.get(t, "checkpoint"), []byte("\n20\n"), []byte("\n19\n"), 1))
		}, "checkpoint: not signed by this log's key: the signature does not fit"},
		{"frontier as checkpoint", func(s *site) { s.put(t, "checkpoint", s.get(t, "frontier")) }, "checkpoint: it is signed by this log's key but is no checkpoint"},
		{"rewritten with its chain", func(s *site) {
			for _, n := range []string{"000001.jsonl", "000002.jsonl", "000003.jsonl", "000004.jsonl", "000005.jsonl"} {
				os.Remove(s.path(n))
			}
			// A whole log of as many records, properly chained, but not the one that was signed.
			forger := newSite(t)
			l := forger.open(t)
			for i := range 20 {
				r := sample(i)
				r.Actor.Subject = "nobody"
				if _, err := l.Append(r); err != nil {
					t.Fatal(err)
				}
			}
			l.Close()
			s.put(t, "000001.jsonl", forger.get(t, "000001.jsonl"))
		}, "000001.jsonl line 20 (seq 19, "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base.copyTo(t, t.TempDir()+"/copy")
			c.damage(s)
			_, err := s.verify(t)
			asDamage(t, err)
			if got := strings.TrimPrefix(err.Error(), "access log damaged: "); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s…", got, c.want)
			}
			if strings.Contains(err.Error(), "agent-7") {
				t.Error("the error quotes a record")
			}
		})
	}
	t.Run("wrong key", func(t *testing.T) {
		_, err := accesslog.Verify(t.Context(), accesslog.VerifyOptions{Dir: base.dir, Key: stranger.verifier})
		if !errors.Is(err, accesslog.ErrKey) {
			t.Errorf("got %v", err)
		}
		_, err = accesslog.Verify(t.Context(), accesslog.VerifyOptions{Dir: base.dir, Key: "nonsense"})
		if err == nil || !strings.Contains(err.Error(), "verifier key") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		_, err := accesslog.Verify(t.Context(), accesslog.VerifyOptions{Dir: base.dir + "/none", Key: base.verifier})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

// What only a checkpoint kept elsewhere finds.
func TestKeptCheckpoint(t *testing.T) {
	s := newSite(t)
	s.fill(t, 10)
	ten := s.get(t, "checkpoint")
	old := s.copyTo(t, t.TempDir()+"/ten")
	s.fill(t, 5) // five more
	fifteen := s.get(t, "checkpoint")

	verify := func(s *site, kept []byte) (*accesslog.Verified, error) {
		return accesslog.Verify(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier, Checkpoint: kept})
	}
	v, err := verify(s, ten)
	if err != nil || v.KeptSize != 10 || v.CheckpointSize != 15 || len(v.Notes) != 0 {
		t.Errorf("kept 10 of 15: %+v, %v", v, err)
	}
	if v := s.mustVerify(t); len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "no kept checkpoint was given") {
		t.Errorf("without a kept checkpoint: %q", v.Notes)
	}
	// Log and checkpoint put back together.
	if v := old.mustVerify(t); v.Records != 10 {
		t.Errorf("%+v", v)
	}
	_, err = verify(old, fifteen)
	if d := asDamage(t, err); d.Seq != 10 || !strings.Contains(d.Reason, "the kept checkpoint signs 15") {
		t.Errorf("put back: %v", err)
	}
	// Only the checkpoint put back: the records are all there.
	c := s.copyTo(t, t.TempDir()+"/late")
	c.put(t, "checkpoint", ten)
	v, err = verify(c, fifteen)
	if err != nil || v.Unsigned != 0 || v.Records != 15 || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "the kept checkpoint signs 15 records") {
		t.Errorf("checkpoint put back: %+v, %v", v, err)
	}
	// Another history signed with the same key.
	n := newSite(t)
	n.signer, n.verifier = s.signer, s.verifier
	l := n.open(t)
	appendN(t, l, 100, 20)
	l.Close()
	n.mustVerify(t)
	_, err = verify(n, ten)
	if d := asDamage(t, err); d.Seq != 9 || !strings.Contains(d.Reason, "root that the kept checkpoint signs") {
		t.Errorf("rewritten: %v", err)
	}
	for name, kept := range map[string][]byte{"empty": {}, "nonsense": []byte("x"), "a frontier": s.get(t, "frontier")} {
		if _, err := verify(s, kept); asDamage(t, err).File != "the kept checkpoint" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForeignFilesAreNoted(t *testing.T) {
	s := newSite(t)
	s.fill(t, 2)
	s.put(t, "000001 copy.jsonl", []byte("x"))
	s.put(t, "0000002.jsonl", []byte("x"))
	v := s.mustVerify(t)
	if got := strings.Join(v.Notes[1:], "; "); got != "0000002.jsonl is not part of the log; 000001 copy.jsonl is not part of the log" {
		t.Errorf("notes: %s", got)
	}
	if len(s.records(t)) != 2 {
		t.Error("foreign files were read")
	}
}
