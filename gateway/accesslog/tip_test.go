package accesslog_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

const slot = 2048

// held makes the file system wait before it makes a checkpoint's file, once it is armed.
func held(s *site) (arm, release func()) {
	var gate sync.Mutex
	var armed atomic.Bool
	s.fs = &faultFS{before: func(call, name string) error {
		if armed.Load() && call == "open" && name == "checkpoint.tmp" {
			gate.Lock()
			gate.Unlock()
		}
		return nil
	}}
	return func() { gate.Lock(); armed.Store(true) }, gate.Unlock
}

// What is acknowledged is signed in the folder, although the file checkpoint is not there yet, and no append waits for it.
func TestTipSignsWhatIsAcknowledged(t *testing.T) {
	s := newSite(t)
	arm, release := held(s)
	l := s.open(t)
	arm()
	for n := range int64(5) {
		appendN(t, l, int(n), 1)
		v := s.mustVerify(t)
		if v.CheckpointSize != n+1 || v.Unsigned != 0 || strings.Contains(strings.Join(v.Notes, " "), "tip") {
			t.Fatalf("after %d appends: %+v", n+1, v)
		}
		c, err := l.Checkpoint()
		if err != nil || c.Size != n+1 {
			t.Fatalf("after %d appends: %+v, %v", n+1, c, err)
		}
	}
	if named := s.get(t, "checkpoint"); !bytes.HasPrefix(named, []byte("gateway.example/access\n0\n")) {
		t.Errorf("the file checkpoint: %q", named)
	}
	proof, err := accesslog.Prove(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := accesslog.CheckProof(proof, s.verifier); err != nil || p.Record.Sequence != 4 {
		t.Errorf("%+v, %v", p, err)
	}
	// The process is killed now: the next start has every signature.
	crashed := s.copyTo(t, filepath.Join(t.TempDir(), "crashed"))
	crashed.fs = &faultFS{}
	if err := crashed.open(t).Close(); err != nil {
		t.Fatal(err)
	}
	if v := crashed.mustVerify(t); v.Records != 5 || v.CheckpointSize != 5 {
		t.Errorf("%+v", v)
	}
	release()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if named := s.get(t, "checkpoint"); !bytes.HasPrefix(named, []byte("gateway.example/access\n5\n")) {
		t.Errorf("the file checkpoint: %q", named)
	}
	if s.has("tip") || crashed.has("tip") {
		t.Error("a closed log has a tip")
	}
}

// Where the checkpoint cannot be made durable for long, nobody is acknowledged until it is.
func TestAppendsWaitForCheckpointOverdue(t *testing.T) {
	s := newSite(t)
	arm, release := held(s)
	s.tune = func(o *accesslog.Options) { accesslog.SyncPeriod(o, 1) }
	l := s.open(t)
	arm()
	appendN(t, l, 0, 1)
	var released atomic.Bool
	done := make(chan error)
	go func() {
		_, err := l.Append(sample(1))
		if err == nil && !released.Load() {
			err = fmt.Errorf("acknowledged although the checkpoint was overdue")
		}
		done <- err
	}()
	for { // until the second is signed
		if c, err := l.Checkpoint(); err != nil {
			t.Fatal(err)
		} else if c.Size == 2 {
			break
		}
	}
	released.Store(true)
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A renewal that fails while nobody appends poisons the log.
func TestRenewalFails(t *testing.T) {
	s := newSite(t)
	f := &faultFS{}
	s.fs = f
	s.tune = func(o *accesslog.Options) { accesslog.SyncPeriod(o, 1) }
	l := s.open(t)
	f.mu.Lock()
	f.before = func(call, name string) error {
		if call == "rename" && name == "checkpoint" {
			return os.ErrPermission
		}
		return nil
	}
	f.mu.Unlock()
	appendN(t, l, 0, 1)
	for l.Err() == nil {
		runtime.Gosched()
	}
	if err := l.Close(); !strings.Contains(fmt.Sprint(err), "write checkpoint: ") {
		t.Error(err)
	}
}

// twoTips is a log that was killed with three records, and the tip as it was with two, three and four of them.
func twoTips(t *testing.T) (s *site, tips [3][]byte) {
	t.Helper()
	live := newSite(t)
	live.fs = &faultFS{}
	l := live.open(t)
	for n := range 4 {
		if _, err := l.Append(small(n)); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			tips[n-1] = live.get(t, "tip")
		}
		if n == 2 {
			s = live.copyTo(t, filepath.Join(t.TempDir(), "killed"))
			s.fs = &faultFS{}
		}
	}
	// What a power cut leaves of the file checkpoint is that of the start.
	l.Close()
	other := newSite(t)
	other.signer, other.verifier, other.fs = live.signer, live.verifier, &faultFS{}
	other.open(t)
	s.put(t, "checkpoint", other.get(t, "checkpoint"))
	return s, tips
}

// A write of the tip that stopped at any byte leaves the signature before it: no start refuses, none is quiet, and
// the records are all there.
func TestTornTip(t *testing.T) {
	base, tips := twoTips(t)
	two, three := tips[0], tips[1]
	changed := 0
	for at := 0; at < len(two); at++ {
		if two[at] != three[at] {
			changed++
		} else if at > 0 {
			continue
		}
		torn := append(bytes.Clone(three[:at]), two[at:]...)
		s := base.copyTo(t, filepath.Join(t.TempDir(), "torn"))
		s.fs = base.fs
		s.put(t, "tip", torn)
		v := s.mustVerify(t)
		broken := strings.Contains(strings.Join(v.Notes, " "), "the file tip holds something that is no checkpoint")
		if v.Records != 3 || v.CheckpointSize != 2 || v.Unsigned != 1 || at > 0 && changed > 1 && !broken {
			t.Fatalf("torn at %d: %+v", at, v)
		}
		if err := s.open(t).Close(); err != nil {
			t.Fatal(err)
		}
		all := s.records(t)
		if r := all[len(all)-1]; len(all) != 4 || r.Kind != accesslog.KindRecovery || !strings.Contains(r.Detail, "1 complete records from seq 2") || strings.Contains(r.Detail, "the file tip holds") != broken {
			t.Fatalf("torn at %d: %d records, %+v", at, len(all), r)
		}
	}
	if changed < 100 {
		t.Errorf("%d bytes differ", changed)
	}
}

// What is put into the tip is believed only as far as the log's key signed it and the records agree.
func TestForgedTip(t *testing.T) {
	base, tips := twoTips(t)
	stranger, foreign := newSite(t), []byte(nil)
	stranger.fs = &faultFS{}
	appendN(t, stranger.open(t), 0, 5)
	foreign = stranger.get(t, "tip")
	digit := bytes.Replace(tips[1], []byte("\n3\n"), []byte("\n2\n"), 1)
	for _, c := range []struct {
		name   string
		tip    []byte
		signed int64  // where it is passed over; -1 where it is damage
		want   string // in the notes, or the damage
	}{
		{"none", nil, 0, "last 3 records are chained but not signed"},
		{"zeros", make([]byte, 2*slot), 0, "last 3 records are chained but not signed"},
		{"short", tips[1][:10], 0, "the file tip holds something"},
		{"long", append(bytes.Clone(tips[1]), 'x'), 3, "the file tip holds something"},
		{"nonsense", bytes.Repeat([]byte("x"), 2*slot), 0, "the file tip holds something"},
		{"of another log", foreign, 0, "the file tip holds something"},
		{"a number changed", digit, 2, "the file tip holds something"},
		{"older", tips[0], 2, "last 1 records are chained but not signed"},
		{"of records that were cut", tips[2], -1, "the log ends here with 3 records, but the "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "forged"))
			s.fs = base.fs
			s.put(t, "tip", c.tip)
			if c.tip == nil {
				remove(t, s, "tip")
			}
			v, err := s.verify(t)
			if c.signed < 0 {
				if d := asDamage(t, err); !strings.Contains(d.Reason, c.want) {
					t.Errorf("verify: %v", err)
				}
				_, err = s.try()
				if d := asDamage(t, err); !strings.Contains(d.Reason, c.want) {
					t.Errorf("open: %v", err)
				}
				// A repair keeps what is there, and leaves no tip that signs more.
				done, err := accesslog.Repair(t.Context(), accesslog.Options{Dir: s.dir, SigningKey: []byte(s.signer), PatientKey: patientKey, SegmentBytes: s.segment, FS: s.fs})
				if err != nil || done.Kept != 3 || done.Signed != 4 || s.has("tip") {
					t.Errorf("%+v, %v", done, err)
				}
				if b, err := os.ReadFile(filepath.Join(s.dir, done.Aside, "tip")); err != nil || !bytes.Equal(b, c.tip) {
					t.Errorf("aside: %v", err)
				}
				s.mustVerify(t)
				return
			}
			if err != nil || v.Records != 3 || v.CheckpointSize != c.signed || !strings.Contains(strings.Join(v.Notes, " "), c.want) {
				t.Fatalf("verify: %+v, %v", v, err)
			}
			if err := s.open(t).Close(); err != nil {
				t.Fatal(err)
			}
			if v := s.mustVerify(t); v.Unsigned != 0 {
				t.Errorf("%+v", v)
			}
			all := s.records(t)
			said := all[len(all)-1].Detail
			if n := 3 - c.signed; n > 0 && !strings.Contains(said, fmt.Sprintf("%d complete records", n)) || strings.Contains(c.want, "tip") != strings.Contains(said, "the file tip holds") {
				t.Errorf("recovery says %q", said)
			}
		})
	}
}

// A log of which only the tip is left was there.
func TestTipWithoutLog(t *testing.T) {
	base, tips := twoTips(t)
	s := newSite(t)
	s.signer, s.verifier, s.fs = base.signer, base.verifier, base.fs
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.put(t, "tip", tips[0])
	if _, err := s.try(); !strings.Contains(asDamage(t, err).Reason, "missing although there was a log") {
		t.Error(err)
	}
}

// Whoever reads the tip or the file checkpoint while the log is written has a whole one: of the tip, one that signs
// all that was durable when the reading began.
func TestCheckpointsAreReadWhileWritten(t *testing.T) {
	s := newSite(t)
	s.segment = 1 << 20
	l := s.open(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := l.Append(small(c*1_000_000 + i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	verifier, err := note.NewVerifier(s.verifier)
	if err != nil {
		t.Fatal(err)
	}
	for l.Durable() < 3000 && !t.Failed() {
		durable := l.Durable()
		c, err := l.Checkpoint()
		if err != nil || c.Size < durable {
			t.Errorf("%+v, %v: %d records were durable", c, err, durable)
		}
		if _, err := note.Open(s.get(t, "checkpoint"), note.VerifierList(verifier)); err != nil {
			t.Errorf("the file checkpoint: %v", err)
		}
	}
	stop()
	wg.Wait()
}
