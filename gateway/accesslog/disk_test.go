package accesslog_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A disk that can only be read refuses to start; one that becomes so poisons the log. What is there is read
// and verified all the same.
func TestReadOnlyDisk(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	readOnly := false
	f := &faultFS{before: func(call, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if readOnly {
			return &os.PathError{Op: call, Path: name, Err: syscall.EROFS}
		}
		return nil
	}}
	s.fs = f
	l := s.open(t)
	appendN(t, l, 0, 3)
	mu.Lock()
	readOnly = true
	mu.Unlock()
	for range 2 {
		if _, err := l.Append(sample(3)); !errors.Is(err, accesslog.ErrPoisoned) || !errors.Is(err, syscall.EROFS) {
			t.Fatalf("%v", err)
		}
	}
	if err := l.Close(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("close: %v", err)
	}
	if _, err := s.try(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("open: %v", err)
	}
	if v := s.mustVerify(t); v.Records != 3 {
		t.Errorf("%+v", v)
	}
	if n := len(s.records(t)); n != 3 {
		t.Errorf("%d records", n)
	}
	mu.Lock()
	readOnly = false
	mu.Unlock()
	s.fill(t, 2)
	if v := s.mustVerify(t); v.Records != 5 && v.Records != 6 { // and perhaps one of what was found
		t.Errorf("%+v", v)
	}
}

// A clock that jumps back changes the times that records have, and nothing of their order, of what is
// proven, or of what is found.
func TestClockJumpsBack(t *testing.T) {
	s := newSite(t)
	s.fs = &faultFS{}
	var now atomic.Int64 // hours after the first day; the log's upkeep looks at the clock as well
	s.tune = func(o *accesslog.Options) {
		o.Now = func() time.Time { return firstDay.Add(time.Duration(now.Load()) * time.Hour) }
		o.SegmentAge, o.Retention = 24*time.Hour, 1000*time.Hour
	}
	l := s.open(t)
	times := []time.Duration{0, 10, 30, -500, 20, -900, 31}
	for i, hours := range times {
		now.Store(int64(hours))
		if _, err := l.Append(small(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = s.open(t)
	appendN(t, l, 100, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if v := s.mustVerify(t); v.Records != int64(len(times))+1 || v.Removed != 0 {
		t.Errorf("%+v", v)
	}
	for i, r := range s.records(t)[:len(times)] {
		if r.Sequence != int64(i) || !r.Time.Equal(firstDay.Add(times[i]*time.Hour)) {
			t.Errorf("record %d is %d of %s", i, r.Sequence, r.Time)
		}
	}
	found := 0
	for _, err := range accesslog.Read(s.dir, accesslog.Query{Until: firstDay}) {
		if err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found != 2 {
		t.Errorf("%d records are before the first day", found)
	}
}

// While another process writes a log, this one can neither open nor repair it, and can read it; what the
// other one has acknowledged is not touched.
func TestTwoProcesses(t *testing.T) {
	s := newSite(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+s.dir, childEnv+"_KEY="+s.signer)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	acked := map[int64]string{}
	next := func() {
		t.Helper()
		var seq int64
		var correlation string
		if !lines.Scan() {
			t.Fatal("the other process has ended")
		}
		if _, err := fmt.Sscanf(lines.Text(), "%d %s", &seq, &correlation); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		acked[seq] = correlation
	}
	for range 20 {
		next()
	}
	if _, err := s.try(); !errors.Is(err, accesslog.ErrLocked) {
		t.Errorf("open: %v", err)
	}
	if _, err := s.repair(); !errors.Is(err, accesslog.ErrLocked) {
		t.Errorf("repair: %v", err)
	}
	if v := s.mustVerify(t); v.Records < 20 {
		t.Errorf("%+v", v)
	}
	for range 200 {
		next()
	}
	cmd.Process.Kill()
	cmd.Wait()
	l := s.open(t) // the kernel has let go of the lock
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t)
	all := s.records(t)
	for seq, correlation := range acked {
		if seq >= int64(len(all)) || all[seq].Correlation != correlation {
			t.Fatalf("record %d (%s) was acknowledged and is lost", seq, correlation)
		}
	}
}
