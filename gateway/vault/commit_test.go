package vault_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

// disk is a mapping file that can be made to fail, and counts its syncs.
type disk struct {
	vault.File
	writeErr, syncErr atomic.Pointer[error]
	syncs             atomic.Int64
	short             bool
	gate              chan struct{} // where set, a sync waits for it
}

func (d *disk) WriteAt(b []byte, at int64) (int, error) {
	if err := d.writeErr.Load(); err != nil {
		n := 0
		if d.short {
			n, _ = d.File.WriteAt(b[:len(b)/2], at)
		}
		return n, *err
	}
	return d.File.WriteAt(b, at)
}

func (d *disk) Sync() error {
	d.syncs.Add(1)
	if d.gate != nil {
		<-d.gate
	}
	if err := d.syncErr.Load(); err != nil {
		return *err
	}
	return d.File.Sync()
}

func withDisk(v *vault.Vault, d *disk) *disk {
	v.ReplaceFile(func(f vault.File) vault.File {
		d.File = f
		return d
	})
	return d
}

// After one failure no long id gets a token, even when the disk is well again; what was durable still opens; the next
// start reads what is there.
func TestAFailureStays(t *testing.T) {
	full := errors.New("disk full")
	for _, c := range []struct {
		name  string
		fault func(*disk)
		heal  func(*disk)
	}{
		{"write", func(d *disk) { d.writeErr.Store(&full) }, func(d *disk) { d.writeErr.Store(nil) }},
		{"half a write", func(d *disk) { d.short = true; d.writeErr.Store(&full) }, func(d *disk) { d.writeErr.Store(nil) }},
		{"sync", func(d *disk) { d.syncErr.Store(&full) }, func(d *disk) { d.syncErr.Store(nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			v := open(t, "1", dir)
			d := withDisk(v, &disk{})
			s := sealer(t, v, "", "app", "main")
			kept := seal(t, s, "Patient", long(0))
			if v.Err() != nil {
				t.Fatal(v.Err())
			}
			c.fault(d)
			for i := range 2 {
				dst, err := s.AppendToken([]byte("before"), "Patient", []byte(long(1)))
				if !errors.Is(err, vault.ErrMapping) || !errors.Is(err, full) || string(dst) != "before" {
					t.Fatalf("attempt %d: %q, %v", i, dst, err)
				}
				c.heal(d)
			}
			if !errors.Is(v.Err(), vault.ErrMapping) {
				t.Errorf("the vault says %v", v.Err())
			}
			w, err := v.Reload(vault.Options{Keyset: keyset("1"), Dir: dir, Now: clock})
			if err != nil || !errors.Is(w.Err(), vault.ErrMapping) {
				t.Errorf("a reload heals: %v, %v", w.Err(), err)
			}
			_ = w.Close()
			opens(t, s, "Patient", kept, long(0))
			if seal(t, sealer(t, v, "", "app", "main"), "Patient", long(0)) != kept {
				t.Error("a known id has another token")
			}
			opens(t, s, "Patient", seal(t, s, "Patient", "1"), "1")
			_ = v.Close()
			s = sealer(t, open(t, "1", dir), "", "app", "main")
			opens(t, s, "Patient", kept, long(0))
			opens(t, s, "Patient", seal(t, s, "Patient", long(1)), long(1))
		})
	}
}

// While one sync is under way, what arrives shares the next one. No caller returns before its sync did.
func TestGroupCommit(t *testing.T) {
	const callers = 64
	v := open(t, "1", t.TempDir())
	d := withDisk(v, &disk{gate: make(chan struct{})})
	var done atomic.Int64
	var ready, wait sync.WaitGroup
	for i := range callers {
		ready.Add(1)
		wait.Go(func() {
			s := sealer(t, v, "", "app", "main")
			ready.Done()
			if _, err := s.AppendToken(nil, "Patient", []byte(long(i%(callers/2)))); err != nil { // half are of the same id
				t.Error(err)
			}
			done.Add(1)
		})
	}
	ready.Wait()
	if n := done.Load(); n != 0 {
		t.Errorf("%d returned before any sync", n)
	}
	close(d.gate)
	wait.Wait()
	if n := d.syncs.Load(); n >= callers {
		t.Errorf("%d syncs for %d callers", n, callers)
	}
	d.gate = nil
	for i := range callers / 2 {
		s := sealer(t, v, "", "app", "main")
		opens(t, s, "Patient", seal(t, s, "Patient", long(i)), long(i))
	}
}

// Many requests at once, over one file, with a failure in the middle: each token that was given out opens after a new
// start, and opens as what it was given for.
func TestConcurrentUseAndFailure(t *testing.T) {
	dir := t.TempDir()
	v := open(t, "1", dir)
	d := withDisk(v, &disk{short: true})
	full := errors.New("disk full")
	var mu sync.Mutex
	given := map[string]string{}
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for i := range 60 {
				if g == 3 && i == 40 {
					d.writeErr.Store(&full)
				}
				id := long(i)
				if g%2 == 0 {
					id = long(1000*g + i)
				}
				s := sealer(t, v, "", "app", "main")
				token, err := s.AppendToken(nil, "Patient", []byte(id))
				if err != nil {
					if !errors.Is(err, vault.ErrMapping) {
						t.Error(err)
					}
					continue
				}
				opens(t, s, "Patient", string(token), id)
				mu.Lock()
				given[string(token)] = id
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	_ = v.Close()
	s := sealer(t, open(t, "1", dir), "", "app", "main")
	for token, id := range given {
		opens(t, s, "Patient", token, id)
	}
	t.Logf("%d tokens given out, in %d syncs", len(given), d.syncs.Load())
}
