package accesslog_test

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// withReserve is a log with a reserve, on a disk that has as much room as free says.
func withReserve(t *testing.T, free int64) (*site, *faultFS) {
	t.Helper()
	s := newSite(t)
	f := &faultFS{free: &atomic.Int64{}}
	f.free.Store(free)
	s.fs, s.segment = f, 8<<10
	s.tune = func(o *accesslog.Options) { o.Reserve, o.Low = 32<<10, 100<<10 }
	return s, f
}

func (s *site) has(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

func TestSpace(t *testing.T) {
	s, f := withReserve(t, 1<<20)
	var news []accesslog.Space
	tune := s.tune
	s.tune = func(o *accesslog.Options) {
		tune(o)
		o.Noticed = func(n accesslog.Space, _ error) { news = append(news, n) }
	}
	l := s.open(t)
	_ = news
	steps := []struct {
		free int64
		want accesslog.Space
		held bool
	}{
		{1 << 20, accesslog.Space{Free: 1 << 20}, true},
		{99 << 10, accesslog.Space{Free: 99 << 10, Low: true}, true},
		{31 << 10, accesslog.Space{Free: 31 << 10, Low: true, Spent: true}, false},
		{63 << 10, accesslog.Space{Free: 63 << 10, Low: true, Spent: true}, false}, // not room for it twice
		{64 << 10, accesslog.Space{Free: 64 << 10, Low: true}, true},
		{200 << 10, accesslog.Space{Free: 200 << 10}, true},
	}
	for _, step := range steps {
		f.free.Store(step.free)
		accesslog.WatchSpace(l)
		if got := l.Space(); got != step.want || s.has("reserve") != step.held {
			t.Errorf("with %d free: %+v, reserve held: %v", step.free, got, s.has("reserve"))
		}
		appendN(t, l, 0, 1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if v := s.mustVerify(t); v.Records != int64(len(steps)) {
		t.Errorf("%+v", v)
	}
}

// The disk fills while a segment is prepared or a checkpoint is written: the reserve is given up and the
// log goes on. Once that is used up as well, the log is poisoned, as without one.
func TestReserveIsGivenUp(t *testing.T) {
	for _, file := range []string{"next.tmp", "checkpoint.tmp", "frontier.tmp"} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
			s, f := withReserve(t, 1<<20)
			reserved := s.tune
			s.tune = func(o *accesslog.Options) {
				reserved(o)
				accesslog.SyncPeriod(o, 1) // a checkpoint under its name for every group
			}
			l := s.open(t)
			f.mu.Lock()
			full := true
			f.before = func(call, name string) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				if call == "remove" && name == "reserve" {
					full = false
				}
				if full && name == file && (call == "open" || call == "write") {
					return &os.PathError{Op: call, Path: name, Err: cause}
				}
				return nil
			}
			f.mu.Unlock()
			f.free.Store(40 << 10) // as the log saw it last
			appendN(t, l, 0, 30)
			if !l.Space().Spent || s.has("reserve") {
				t.Errorf("%s: %+v", file, l.Space())
			}
			f.mu.Lock()
			full = true
			f.mu.Unlock()
			var err error
			for i := 0; i < 30 && err == nil; i++ {
				_, err = l.Append(sample(i))
			}
			if !errors.Is(err, accesslog.ErrPoisoned) || !errors.Is(err, cause) {
				t.Errorf("%s: without a reserve: %v", file, err)
			}
			l.Close()
			f.mu.Lock()
			full = false
			f.mu.Unlock()
			s.fs = &faultFS{}
			s.tune = nil
			s.fill(t, 1)
			if v := s.mustVerify(t); v.Records < 31 {
				t.Errorf("%s: %d records", file, v.Records)
			}
		}
	}
}

// A disk without room for the reserve is no reason not to record; it is one to say so.
func TestNoRoomForReserve(t *testing.T) {
	s, _ := withReserve(t, 50<<10)
	l := s.open(t)
	appendN(t, l, 0, 20)
	if got := l.Space(); !got.Spent || !got.Low || s.has("reserve") {
		t.Errorf("%+v", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t)
}

// The operating system's own way to take space really takes it.
func TestReserveIsAllocated(t *testing.T) {
	s := newSite(t)
	s.tune = func(o *accesslog.Options) { o.Reserve = 1 << 20 }
	l := s.open(t)
	defer l.Close()
	info, err := os.Stat(s.path("reserve"))
	if err != nil {
		t.Fatal(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Blocks*512 < 1<<20 || l.Space().Spent {
		t.Errorf("%+v, %+v", info.Sys(), l.Space())
	}
}
