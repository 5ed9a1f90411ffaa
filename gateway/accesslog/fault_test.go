package accesslog_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// scenario opens a log, fills several segments from two callers, and closes it. It returns what was
// acknowledged, by number, and the first error.
func scenario(s *site) (acked map[int64]string, err error) {
	acked = map[int64]string{}
	l, err := s.try()
	if err != nil {
		return acked, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range 2 {
		wg.Go(func() {
			var mine error
			for i := range 8 {
				r := small(8*c + i)
				seq, e := l.Append(r)
				mu.Lock()
				switch {
				case e == nil && mine == nil:
					acked[seq] = r.Correlation
				case e == nil:
					err = fmt.Errorf("record %d was acknowledged after the log had failed: %w", seq, mine)
				default:
					mine = e
					if err == nil {
						err = e
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err != nil {
		if _, e := l.Append(small(0)); !errors.Is(e, accesslog.ErrPoisoned) || e.Error() != l.Err().Error() {
			err = fmt.Errorf("a later append says %v: %w", e, err)
		}
	}
	if e := l.Close(); err == nil {
		err = e
	}
	return acked, err
}

// check reopens the folder and finds every acknowledged record.
func check(t *testing.T, s *site, acked map[int64]string) {
	t.Helper()
	s.fs = &faultFS{} // does not sync: a test must not wear out the disk
	l, err := s.try()
	if err != nil {
		t.Fatalf("reopen: %v", err)
	}
	if _, err := l.Append(small(1000)); err != nil {
		t.Fatalf("append after reopening: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	v := s.mustVerify(t)
	all := s.records(t)
	if v.Records != int64(len(all)) || v.Unsigned != 0 {
		t.Fatalf("%d records read, verified %+v", len(all), v)
	}
	for seq, correlation := range acked {
		if seq >= int64(len(all)) || all[seq].Correlation != correlation {
			t.Fatalf("record %d (%s) was acknowledged and is lost", seq, correlation)
		}
	}
}

// renewals are how often a checkpoint is put under its name: as by default, which is never in so short a test but by
// Open and Close, and with every group.
var renewals = map[string]func(*accesslog.Options){
	"rarely":           nil,
	"with every group": func(o *accesslog.Options) { accesslog.SyncPeriod(o, 1) },
}

// Every call to the file system fails once, in every way.
func TestEveryCallFails(t *testing.T) {
	for name, causes := range map[string][]error{"rarely": {syscall.ENOSPC, syscall.EIO, errShort}, "with every group": {syscall.EIO}} {
		t.Run("checkpoints named "+name, func(t *testing.T) { everyCallFails(t, renewals[name], causes) })
	}
}

func everyCallFails(t *testing.T, tune func(*accesslog.Options), causes []error) {
	base := newSite(t)
	count := &faultFS{}
	base.segment, base.fs, base.tune = 700, count, tune
	if _, err := scenario(base); err != nil {
		t.Fatal(err)
	}
	total := len(count.seen())
	if total < 90 {
		t.Fatalf("only %d calls", total)
	}
	failed := 0
	for _, cause := range causes {
		for n := range total + 5 {
			s := newSite(t)
			s.segment, s.tune = 700, tune
			var calls int
			var hit string
			f := &faultFS{}
			f.before = func(call, name string) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				calls++
				if calls == n+1 && (cause != errShort || call == "write") {
					hit = call + " " + name
					return cause
				}
				return nil
			}
			s.fs = f
			acked, err := scenario(s)
			if hit == "" && err == nil {
				continue // the end, or a call that cannot be short; or the preparation was not needed any more
			}
			failed++
			what := fmt.Sprintf("%v at call %d, %s", cause, n+1, hit)
			if err == nil && !strings.HasSuffix(hit, "next.tmp") {
				t.Fatalf("%s: nobody noticed", what)
			}
			want := cause
			if cause == errShort {
				want = io.ErrShortWrite
			}
			if err != nil && !errors.Is(err, want) {
				t.Fatalf("%s: %v", what, err)
			}
			if len(acked) > 0 && err != nil && !errors.Is(err, accesslog.ErrPoisoned) {
				t.Fatalf("%s: not poisoned: %v", what, err)
			}
			if strings.Contains(fmt.Sprint(err), "acknowledged after") || strings.Contains(fmt.Sprint(err), "later append says") {
				t.Fatalf("%s: %v", what, err)
			}
			if _, statErr := os.Stat(s.dir); statErr != nil {
				continue
			}
			check(t, s, acked)
		}
	}
	if failed < total*len(causes)/3 { // how many groups there are differs, and only writes are short
		t.Errorf("only %d of %d calls failed", failed, total)
	}
}

// A full disk stays full: the log says so, nothing is retried, and Close is clean about it.
func TestFullDisk(t *testing.T) {
	s := newSite(t)
	full := false
	var mu sync.Mutex
	f := &faultFS{before: func(call, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if full && (call == "write" || call == "open") {
			return &os.PathError{Op: call, Path: name, Err: syscall.ENOSPC}
		}
		return nil
	}}
	s.fs = f
	l := s.open(t)
	appendN(t, l, 0, 3)
	mu.Lock()
	full = true
	mu.Unlock()
	for range 3 {
		_, err := l.Append(small(3))
		if !errors.Is(err, accesslog.ErrPoisoned) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
	}
	calls := len(f.seen())
	mu.Lock()
	full = false
	mu.Unlock()
	if _, err := l.Append(small(3)); !errors.Is(err, accesslog.ErrPoisoned) {
		t.Errorf("a poisoned log took a record: %v", err)
	}
	if err := l.Err(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Err: %v", err)
	}
	if _, err := s.try(); !errors.Is(err, accesslog.ErrLocked) {
		t.Errorf("a poisoned log must keep the folder until it is closed: %v", err)
	}
	if err := l.Close(); !errors.Is(err, accesslog.ErrPoisoned) {
		t.Errorf("Close: %v", err)
	}
	if got := len(f.seen()); got != calls {
		t.Errorf("a poisoned log still changed its folder: %q", f.seen()[calls:])
	}
	check(t, s, map[int64]string{0: "c0", 1: "c1", 2: "c2"})
}

// powerFS forgets, when the power is cut, all that was not synced. Names are forgotten too, or, as
// file systems may, kept although the content behind them is not there yet.
type powerFS struct {
	mu       sync.Mutex
	left     int  // calls until the cut
	eager    bool // names are durable at once
	names    map[string]*inode
	durable  map[string]*inode
	dropping bool
}

type inode struct{ synced []byte }

var errPower = errors.New("power cut")

func (p *powerFS) call() error {
	if p.left--; p.left < 0 {
		p.dropping = true
	}
	if p.dropping {
		return errPower
	}
	return nil
}

func (p *powerFS) persistNames() {
	p.durable = map[string]*inode{}
	for name, i := range p.names {
		p.durable[name] = i
	}
}

func (p *powerFS) OpenFile(name string, flag int) (accesslog.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.call(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, flag&^os.O_WRONLY|os.O_RDWR, 0o600) // Sync reads it
	if err != nil {
		return nil, err
	}
	base := filepath.Base(name)
	if p.names[base] == nil {
		p.names[base] = &inode{}
	}
	if p.eager {
		p.persistNames()
	}
	return &powerFile{f, p, p.names[base]}, nil
}

func (p *powerFS) Rename(from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.call(); err != nil {
		return err
	}
	p.names[filepath.Base(to)] = p.names[filepath.Base(from)]
	delete(p.names, filepath.Base(from))
	if p.eager {
		p.persistNames()
	}
	return os.Rename(from, to)
}

func (p *powerFS) Remove(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.call(); err != nil {
		return err
	}
	delete(p.names, filepath.Base(name))
	if p.eager {
		p.persistNames()
	}
	return os.Remove(name)
}

func (p *powerFS) Free(string) (int64, error) { return 1 << 40, nil }

func (p *powerFS) SyncDir(dir string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.call(); err != nil {
		return err
	}
	p.persistNames()
	return nil
}

// load takes a folder as durable.
func (p *powerFS) load(t *testing.T, dir string) {
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	p.names = map[string]*inode{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		p.names[f.Name()] = &inode{b}
	}
	p.persistNames()
}

// reboot writes what survived into a folder.
func (p *powerFS) reboot(t *testing.T, dir string) { p.rebootWith(t, dir, nil) }

// rebootWith has of the tip, which is never synced, what is given.
func (p *powerFS) rebootWith(t *testing.T, dir string, tip []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, i := range p.durable {
		if name == "tip" && tip != nil {
			i = &inode{tip}
		}
		if err := os.WriteFile(filepath.Join(dir, name), i.synced, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

type powerFile struct {
	*os.File
	fs *powerFS
	at *inode
}

func (f *powerFile) WriteAt(b []byte, offset int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.call(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, offset)
}

func (f *powerFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.call(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *powerFile) Datasync() error { return f.Sync() }

func (f *powerFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.call(); err != nil {
		return err
	}
	info, err := f.File.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, info.Size())
	if _, err := f.File.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	f.at.synced = b
	return nil
}

// The power is cut at every call of a log's life.
func TestPowerCutAnywhere(t *testing.T) {
	for _, c := range []struct {
		eager bool   // names are kept, and content is forgotten
		often string // a checkpoint is put under its name
		tip   string // what is left of it
	}{
		{false, "rarely", "torn"},
		{true, "rarely", "lost"},
		{false, "with every group", "lost"},
		{true, "with every group", "kept"},
	} {
		t.Run(fmt.Sprintf("names kept %v, checkpoints named %s, tip %s", c.eager, c.often, c.tip), func(t *testing.T) {
			for n := 1; ; n++ {
				s := newSite(t)
				s.segment, s.tune = 700, renewals[c.often]
				p := &powerFS{left: n, eager: c.eager, names: map[string]*inode{}, durable: map[string]*inode{}}
				s.fs = p
				acked, err := scenario(s)
				if err == nil {
					if n < 80 {
						t.Errorf("only %d calls", n)
					}
					break
				}
				tip, _ := os.ReadFile(s.path("tip")) // where it was made
				switch c.tip {
				case "lost":
					tip = nil
				case "torn":
					for i := range tip { // a part of a slot is new, and the rest as when the file was made
						if i%slot >= 150 {
							tip[i] = 0
						}
					}
				}
				s.dir = filepath.Join(t.TempDir(), "rebooted")
				p.rebootWith(t, s.dir, tip)
				check(t, s, acked)
			}
		})
	}
}

// The power is cut again while a start recovers from a crash: nothing is lost, and the record of the
// recovery is there in the end.
func TestPowerCutDuringRecovery(t *testing.T) {
	base, segment, _ := crashed(t, 3, 3)
	base.segment = 700 // so that the recovery record needs a new one
	base.put(t, "000001.jsonl", append(segment[:len(segment)-20], make([]byte, 500)...))
	for _, eager := range []bool{false, true} {
		for n := 0; ; n++ {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "crashed"))
			p := &powerFS{left: n, eager: eager}
			p.load(t, s.dir)
			s.fs = p
			acked := map[int64]string{0: "c0", 1: "c1", 2: "c2", 3: "c3", 4: "c4"}
			l, err := s.try()
			if err == nil {
				if seq, e := l.Append(small(7)); e == nil {
					acked[seq] = "c7"
				}
				err = l.Close()
			}
			s.dir = filepath.Join(t.TempDir(), "rebooted")
			p.reboot(t, s.dir)
			check(t, s, acked)
			detail := ""
			for _, r := range s.records(t) {
				if r.Kind == accesslog.KindRecovery {
					detail += r.Detail + "\n"
				}
			}
			if !strings.Contains(detail, "2 complete records from seq 3") || !strings.Contains(detail, "of incomplete records were cut") {
				t.Fatalf("cut at call %d: recovery says %q", n, detail)
			}
			if err == nil {
				if n < 20 {
					t.Errorf("only %d calls", n)
				}
				break
			}
		}
	}
}
