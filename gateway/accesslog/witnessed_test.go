package accesslog_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A cosigner is a witness's key.
type cosigner struct {
	*accesslog.Cosigner
	private ed25519.PrivateKey
}

func newCosigner(t testing.TB, name string) cosigner {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	typed := append([]byte{4}, public...)
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	c, err := accesslog.ParseCosigner(fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(typed)))
	if err != nil {
		t.Fatal(err)
	}
	return cosigner{c, private}
}

// sign cosigns the log's checkpoint.
func (c cosigner) sign(t testing.TB, l *accesslog.Log) (int64, []byte) {
	t.Helper()
	signed, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(signed.Message), "\n\n")
	sig := binary.BigEndian.AppendUint32(nil, c.KeyHash())
	sig = binary.BigEndian.AppendUint64(sig, 1772600000)
	sig = append(sig, ed25519.Sign(c.private, []byte("cosignature/v1\ntime 1772600000\n"+text+"\n"))...)
	line := "— " + c.Name() + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
	message, _, err := c.Add(signed.Message, []byte(line), l.Origin())
	if err != nil {
		t.Fatal(err)
	}
	return signed.Size, message
}

// cosigned keeps two checkpoints one after the other, and forgets the first. It returns the size of the last one that was kept.
func cosigned(t testing.TB, l *accesslog.Log, c cosigner) (kept int64, err error) {
	for range 2 {
		if _, err := l.Append(small(1)); err != nil {
			return kept, err
		}
		size, message := c.sign(t, l)
		if err := l.KeepWitnessed(size, message); err != nil {
			return kept, err
		}
		kept = size
		if err := l.ForgetWitnessed(size); err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// beside holds what is beside a log to what was kept of it.
func beside(t testing.TB, s *site, l *accesslog.Log, c cosigner, kept int64) {
	t.Helper()
	w, err := accesslog.Witnessed(s.dir, l.Origin(), c.Cosigner)
	switch {
	case err != nil:
		t.Fatal(err)
	case w == nil && kept > 0 || w != nil && w.Size < kept:
		t.Fatalf("%d records were cosigned and kept, and now %+v is beside the log", kept, w)
	}
}

// Every call to the file system fails once while a cosigned checkpoint is kept. The log takes records nevertheless, and the next one is kept.
func TestKeepingWitnessedFails(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO, errShort} {
		failed := 0
		for n := 1; ; n++ {
			s := newSite(t)
			f := &faultFS{}
			calls, hit, before := 0, "", ""
			f.before = func(call, name string) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				ours := strings.HasPrefix(name, "witnessed.") || call == "syncdir" && strings.HasPrefix(before, "rename witnessed.")
				before = call + " " + name
				if !ours {
					return nil
				}
				if calls++; calls == n && (cause != errShort || call == "write") {
					hit = call + " " + name
					return cause
				}
				return nil
			}
			s.fs = f
			l := s.open(t)
			c := newCosigner(t, "witness.example")
			kept, err := cosigned(t, l, c)
			if hit == "" && calls < n {
				if failed < 1 || cause != errShort && failed < 8 {
					t.Errorf("%v: only %d calls failed", cause, failed)
				}
				break
			}
			if hit == "" {
				continue // a call that cannot be short
			}
			if failed++; err == nil {
				t.Fatalf("%v at %s: nobody noticed", cause, hit)
			}
			beside(t, s, l, c, kept)
			if l.Err() != nil {
				t.Fatalf("%v at %s poisons the log: %v", cause, hit, l.Err())
			}
			again, err := cosigned(t, l, c)
			if err != nil {
				t.Fatalf("%v at %s: the next try: %v", cause, hit, err)
			}
			beside(t, s, l, c, again)
			if left, _ := filepath.Glob(s.path("witnessed.*")); len(left) != 1 {
				t.Fatalf("%v at %s: %q is left", cause, hit, left)
			}
			s.mustVerify(t)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The power is cut at every call: what was said to be kept is there afterwards, whole.
func TestPowerCutWhileKeepingWitnessed(t *testing.T) {
	c := newCosigner(t, "witness.example")
	for _, eager := range []bool{false, true} {
		for n := 1; ; n++ {
			s := newSite(t)
			p := &powerFS{left: n, eager: eager, names: map[string]*inode{}, durable: map[string]*inode{}}
			s.fs = p
			kept := int64(0)
			l, err := s.try()
			if err == nil {
				kept, err = cosigned(t, l, c)
				l.Close()
			}
			if err == nil {
				if n < 20 {
					t.Errorf("only %d calls", n)
				}
				break
			}
			s.dir = filepath.Join(t.TempDir(), "rebooted")
			p.reboot(t, s.dir)
			s.fs = &faultFS{}
			l = s.open(t)
			beside(t, s, l, c, kept)
			if _, err := cosigned(t, l, c); err != nil {
				t.Fatalf("cut at call %d: %v", n, err)
			}
			s.mustVerify(t)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A damaged file that cannot be set aside is an error, and stays where it is; the record of it is there before.
func TestSetAsideFails(t *testing.T) {
	s := newSite(t)
	f := &faultFS{}
	s.fs = f
	l := s.open(t)
	c := newCosigner(t, "witness.example")
	if _, err := cosigned(t, l, c); err != nil {
		t.Fatal(err)
	}
	text := string(s.get(t, "witnessed.2"))
	s.put(t, "witnessed.2", []byte(strings.Replace(text, "\n2\n", "\n3\n", 1)))
	_, err := accesslog.Witnessed(s.dir, l.Origin(), c.Cosigner)
	d := asDamage(t, err)
	if d.File != "witnessed.2" || !errors.Is(err, accesslog.ErrCosignature) {
		t.Errorf("%v", err)
	}
	f.before = func(call, name string) error {
		if call == "rename" && strings.HasPrefix(name, "witnessed.") {
			return syscall.EROFS
		}
		return nil
	}
	if err := l.SetAsideWitnessed(d); !errors.Is(err, syscall.EROFS) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(s.path("witnessed.2")); err != nil {
		t.Error(err)
	}
	all := s.records(t)
	if last := all[len(all)-1]; last.Code != "witnessed-damaged" || last.Kind != accesslog.KindAdmin || strings.Contains(last.Detail, s.dir) {
		t.Errorf("%+v", last)
	}
	f.before = nil
	if err := l.SetAsideWitnessed(d); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
