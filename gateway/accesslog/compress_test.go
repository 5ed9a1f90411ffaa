package accesslog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func compressing(o *accesslog.Options) { o.Compress = true }

// segments makes a closed log of several segments.
func segments(t *testing.T, n int) *site {
	t.Helper()
	s := newSite(t)
	s.segment, s.fs = 8<<10, &faultFS{}
	s.fill(t, n)
	return s
}

func (s *site) names(t *testing.T, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(s.path(pattern))
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i] = filepath.Base(all[i])
	}
	return all
}

// idle opens the log without its upkeep, and returns what that does once.
func (s *site) idle() (*accesslog.Log, func() error, error) {
	tune := s.tune
	var o accesslog.Options
	s.tune = func(to *accesslog.Options) {
		tune(to)
		o = *to
		to.Compress, to.Retention = false, 0
	}
	l, err := s.try()
	s.tune = tune
	return l, func() error { return accesslog.TidyUp(l, o) }, err
}

// tidy opens the log, does once what upkeep does, and closes it.
func (s *site) tidy(t *testing.T) error {
	t.Helper()
	l, tidy, err := s.idle()
	if err != nil {
		return err
	}
	return errors.Join(tidy(), l.Close())
}

func TestCompress(t *testing.T) {
	s := segments(t, 60)
	want := s.records(t)
	plain := map[string][]byte{}
	for _, name := range s.names(t, "*.jsonl") {
		plain[name] = s.get(t, name)
	}
	if len(plain) < 5 {
		t.Fatalf("%d segments", len(plain))
	}
	s.tune = compressing
	if err := s.tidy(t); err != nil {
		t.Fatal(err)
	}
	if left := s.names(t, "*.jsonl"); len(left) != 1 {
		t.Errorf("not compressed: %q", left)
	}
	packed := s.names(t, "*.zst")
	if len(packed) != len(plain)-1 {
		t.Errorf("compressed: %q", packed)
	}
	any, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer any.Close()
	for _, name := range packed {
		got, err := any.DecodeAll(s.get(t, name), nil)
		if err != nil || !bytes.Equal(got, plain[name[:len(name)-len(".zst")]]) {
			t.Errorf("%s: another zstd unpacks something else, %v", name, err)
		}
		if n := len(s.get(t, name)); n > len(got)/2 {
			t.Errorf("%s has %d bytes of %d", name, n, len(got))
		}
	}
	v := s.mustVerify(t)
	if v.Records != int64(len(want)) || v.Segments != len(plain) {
		t.Errorf("%+v", v)
	}
	got := s.records(t)
	if len(got) != len(want) {
		t.Fatalf("%d records, not %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Correlation != want[i].Correlation {
			t.Fatalf("record %d is %s", i, got[i].Correlation)
		}
	}
	for _, seq := range []int64{0, 17, v.Records - 1} {
		proof, err := accesslog.Prove(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier}, seq)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := accesslog.CheckProof(proof, s.verifier); err != nil || p.Record.Sequence != seq {
			t.Errorf("proof of %d: %v", seq, err)
		}
	}
	// The log goes on, also where all has to be read again.
	if err := os.Remove(s.path("frontier")); err != nil {
		t.Fatal(err)
	}
	l := s.open(t)
	appendN(t, l, 100, 30)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t)
}

// Whatever fails while a segment is compressed, and wherever the power is cut: every record is there, the
// log takes more, and the next upkeep ends the work.
func TestCompressFails(t *testing.T) {
	base := segments(t, 40)
	want := len(base.records(t))
	whole := func(t *testing.T, s *site, what string) {
		t.Helper()
		s.fs = &faultFS{}
		if v := s.mustVerify(t); v.Records != int64(want) {
			t.Fatalf("%s: %d records", what, v.Records)
		}
		if err := s.tidy(t); err != nil {
			t.Fatalf("%s: and again: %v", what, err)
		}
		if n := len(s.records(t)); n < want {
			t.Fatalf("%s: %d records", what, n)
		}
		if left := s.names(t, "*.jsonl"); len(left) != 1 {
			t.Fatalf("%s: %q are left", what, left)
		}
		s.mustVerify(t)
	}
	for n, end := 0, false; !end; n++ {
		s := base.copyTo(t, filepath.Join(t.TempDir(), "log"))
		s.tune = compressing
		f := &faultFS{}
		s.fs = f
		l, tidy, err := s.idle()
		if err != nil {
			t.Fatal(err)
		}
		calls, hit := 0, ""
		f.mu.Lock()
		f.before = func(call, name string) error {
			if calls++; calls == n+1 {
				hit = call + " " + name
				return syscall.ENOSPC
			}
			return nil
		}
		f.mu.Unlock()
		err = tidy()
		if end = hit == ""; !end && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d, %s: %v", n+1, hit, err)
		}
		if l.Err() != nil {
			t.Errorf("call %d, %s: the log was poisoned", n+1, hit)
		}
		f.before = nil
		if err := l.Close(); err != nil {
			t.Errorf("call %d, %s: %v", n+1, hit, err)
		}
		whole(t, s, fmt.Sprintf("call %d, %s", n+1, hit))
	}
	for _, eager := range []bool{false, true} {
		for n := 1; ; n++ {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "log"))
			s.tune = compressing
			p := &powerFS{left: n, eager: eager}
			p.load(t, s.dir)
			s.fs = p
			err := s.tidy(t)
			s.dir = filepath.Join(t.TempDir(), "rebooted")
			p.reboot(t, s.dir)
			whole(t, s, fmt.Sprintf("cut at call %d", n))
			if err == nil {
				break
			}
		}
	}
}

// No byte of a compressed segment can be changed without being noticed, and what lies behind it is read.
func TestCompressedIsDamaged(t *testing.T) {
	s := segments(t, 40)
	s.tune = compressing
	if err := s.tidy(t); err != nil {
		t.Fatal(err)
	}
	const name = "000002.jsonl.zst"
	whole := s.get(t, name)
	records := len(s.records(t))
	damaged := func(what string, b []byte) {
		t.Helper()
		s.put(t, name, b)
		_, err := s.verify(t)
		asDamage(t, err)
		var errs []error
		n := 0
		for _, err := range accesslog.Read(s.dir) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			n++
		}
		if n == records && len(errs) == 0 {
			return // zstd's own: what was changed stands for the same, and its hash has shown it
		}
		if len(errs) == 0 || n < records/2 {
			t.Fatalf("%s: %d records of %d, %v", what, n, records, errs)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x41
		s.put(t, name, b)
		if v, err := s.verify(t); err == nil { // a frame may say the same in two ways
			if v.Records != int64(records) {
				t.Fatalf("byte %d: %d records", i, v.Records)
			}
			continue
		}
		damaged(fmt.Sprint("byte ", i), b)
	}
	for _, n := range []int{0, 1, 8, len(whole) / 2, len(whole) - 1} {
		damaged(fmt.Sprint(n, " bytes"), whole[:n])
	}
	other := s.get(t, "000003.jsonl.zst")
	damaged("another segment's", other)
	if err := os.Remove(s.path(name)); err != nil {
		t.Fatal(err)
	}
	_, err := s.verify(t)
	if d := asDamage(t, err); d.File != "000002.jsonl" {
		t.Errorf("%v", d)
	}
}

// A reader does not trip over a segment that is compressed while it reads.
func TestReadWhileCompressing(t *testing.T) {
	s := segments(t, 40)
	want := len(s.records(t))
	s.tune = compressing
	l, tidy, err := s.idle()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []int64
	for r, err := range accesslog.Read(s.dir) {
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 3 {
			if err := tidy(); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, r.Sequence)
	}
	if len(got) < want || !slices.IsSorted(got) {
		t.Errorf("%d records of %d: %d", len(got), want, got)
	}
}
