package accesslog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

var patientKey = bytes.Repeat([]byte{7}, 32)

// site is a log's folder and keys.
type site struct {
	dir, signer, verifier string
	segment               int64
	fs                    accesslog.FS
	tune                  func(*accesslog.Options) // may be nil
}

func newSite(t testing.TB) *site {
	t.Helper()
	signer, verifier, err := accesslog.GenerateKey("gateway.example/access")
	if err != nil {
		t.Fatal(err)
	}
	return &site{dir: filepath.Join(t.TempDir(), "log"), signer: signer, verifier: verifier, segment: 64 << 10}
}

func (s *site) try() (*accesslog.Log, error) {
	o := accesslog.Options{
		Dir: s.dir, Origin: "gateway.example/access", SigningKey: []byte(s.signer), PatientKey: patientKey,
		SegmentBytes: s.segment, Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC) }, FS: s.fs,
	}
	if s.tune != nil {
		s.tune(&o)
	}
	return accesslog.Open(o)
}

func (s *site) open(t testing.TB) *accesslog.Log {
	t.Helper()
	l, err := s.try()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (s *site) verify(t testing.TB) (*accesslog.Verified, error) {
	t.Helper()
	return accesslog.Verify(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier})
}

func (s *site) mustVerify(t testing.TB) *accesslog.Verified {
	t.Helper()
	v, err := s.verify(t)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return v
}

// fill makes a closed log of n records.
func (s *site) fill(t testing.TB, n int) {
	t.Helper()
	l := s.open(t)
	appendN(t, l, 0, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func appendN(t testing.TB, l *accesslog.Log, from, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Append(sample(from + i)); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) get(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *site) put(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// copyTo copies the folder as it is now.
func (s *site) copyTo(t testing.TB, dir string) *site {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(s.dir)
	for _, f := range files {
		if err != nil {
			break
		}
		from, to := filepath.Join(s.dir, f.Name()), filepath.Join(dir, f.Name())
		switch {
		case f.IsDir():
			err = os.CopyFS(to, os.DirFS(from))
		case filepath.Ext(from) != ".tmp": // which a log that is open may rename just now
			var b []byte
			if b, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	c := *s
	c.dir = dir
	return &c
}

// records reads all.
func (s *site) records(t testing.TB) []*accesslog.Record {
	t.Helper()
	var all []*accesslog.Record
	for r, err := range accesslog.Read(s.dir, accesslog.Query{}) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		all = append(all, r)
	}
	return all
}

func asDamage(t testing.TB, err error) *accesslog.Damage {
	t.Helper()
	var d *accesslog.Damage
	if !errors.As(err, &d) {
		t.Fatalf("got %v, want a *Damage", err)
	}
	return d
}

// sample is a record like those of a helpdesk's read; the correlation is its number.
func sample(i int) *accesslog.Record {
	return &accesslog.Record{
		Kind: accesslog.KindAccess, Correlation: fmt.Sprint("c", i), RequestID: fmt.Sprint("r", i),
		Trace:  "4bf92f3577b34da6a3ce929d0e0e4736",
		Actor:  accesslog.Actor{Subject: "agent-7", Issuer: "https://id.example", Client: "helpdesk", Roles: []string{"access-desk"}},
		Source: "192.0.2.10",
		Request: accesslog.Request{Method: "GET", Interaction: "search-type", Type: "Appointment",
			Parameters: []accesslog.Parameter{{Name: "patient", Values: []string{"q83vEjRWeJASNFZ4q83vEg"}}}},
		EHR: "main", Ticket: accesslog.Ticket{ID: fmt.Sprint("T-", i%5), Category: "scheduling"}, Purpose: "HOPERAT",
		Policy: accesslog.Policy{Revision: "2026-03-01", Dataset: "scheduling", Version: 3, Code: "role-scheduling"},
		Status: 200, Subjects: []string{"Patient/tA0000000000000000000000000000000000000000000"},
		Patients: []string{"q83vEjRWeJASNFZ4q83vEg"},
		Totals: &accesslog.Totals{BytesIn: 18234, BytesOut: 2210, Released: map[string]int{"Appointment": 3},
			Removed: map[string]int{"Appointment.comment": 3, "Appointment.description": 2}},
	}
}

// small is a record of little more than its frame.
func small(i int) *accesslog.Record {
	return &accesslog.Record{Kind: accesslog.KindAdmin, Correlation: fmt.Sprint("c", i)}
}

// faultFS is the operating system's file system with one place to break each call.
type faultFS struct {
	// before is asked before each call; an error is returned instead of the call. A short write writes
	// half of the bytes first.
	before func(call, name string) error
	free   *atomic.Int64 // where set
	mu     sync.Mutex
	calls  []string
}

func (f *faultFS) call(call, name string) error {
	f.mu.Lock()
	f.calls = append(f.calls, call+" "+filepath.Base(name))
	f.mu.Unlock()
	if f.before == nil {
		return nil
	}
	return f.before(call, filepath.Base(name))
}

// seen returns the calls so far.
func (f *faultFS) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *faultFS) OpenFile(name string, flag int) (accesslog.File, error) {
	if err := f.call("open", name); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f, name}, nil
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.call("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (f *faultFS) Remove(name string) error {
	if err := f.call("remove", name); err != nil {
		return err
	}
	return os.Remove(name)
}

func (f *faultFS) Free(string) (int64, error) {
	if f.free != nil {
		return f.free.Load(), nil
	}
	return 1 << 40, nil
}

func (f *faultFS) SyncDir(dir string) error { return f.call("syncdir", dir) }

var errShort = errors.New("short write")

type faultFile struct {
	*os.File
	fs   *faultFS
	name string
}

func (f *faultFile) WriteAt(b []byte, offset int64) (int, error) {
	err := f.fs.call("write", f.name)
	if errors.Is(err, errShort) {
		n, _ := f.File.WriteAt(b[:len(b)/2], offset)
		return n, nil
	}
	if err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/3], offset)
		return n, err
	}
	return f.File.WriteAt(b, offset)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.call("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Datasync() error { return f.fs.call("datasync", f.name) }
func (f *faultFile) Sync() error     { return f.fs.call("sync", f.name) }
