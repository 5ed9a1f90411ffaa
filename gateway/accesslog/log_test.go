package accesslog_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestAppendAndRead(t *testing.T) {
	s := newSite(t)
	s.segment = 4096 // several segments
	l := s.open(t)
	for i := range 50 {
		seq, err := l.Append(sample(i))
		if err != nil || seq != int64(i) {
			t.Fatalf("append %d: seq %d, %v", i, seq, err)
		}
	}
	check := func(state string) {
		t.Helper()
		v := s.mustVerify(t)
		if v.Records != 50 || v.CheckpointSize != 50 || v.Unsigned != 0 || v.Segments < 5 {
			t.Errorf("%s: %+v", state, v)
		}
		if want := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC); !v.First.Equal(want) || !v.Last.Equal(want) {
			t.Errorf("%s: first %v, last %v", state, v.First, v.Last)
		}
		all := s.records(t)
		if len(all) != 50 || all[49].Correlation != "c49" || all[49].Sequence != 49 {
			t.Errorf("%s: read %d records", state, len(all))
		}
	}
	check("while open")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed")
	if _, err := l.Append(sample(0)); !errors.Is(err, accesslog.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if b := s.get(t, "000001.jsonl"); bytes.IndexByte(b, 0) >= 0 || b[len(b)-1] != '\n' {
		t.Error("a closed segment is not cut to its records")
	}

	l = s.open(t)
	if seq, err := l.Append(sample(50)); err != nil || seq != 50 {
		t.Errorf("append after reopening: seq %d, %v", seq, err)
	}
	if v := s.mustVerify(t); v.Records != 51 {
		t.Errorf("reopened: %+v", v)
	}
}

// The tree and the checkpoint must be what other tools expect: RFC 6962 over the lines, C2SP's text.
func TestCheckpointIsStandard(t *testing.T) {
	s := newSite(t)
	for n := range 20 {
		if n > 0 {
			l := s.open(t)
			appendN(t, l, n, 1)
			l.Close()
		} else {
			s.fill(t, 0)
		}
		var hashes []tlog.Hash
		read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			var out []tlog.Hash
			for _, i := range at {
				out = append(out, hashes[i])
			}
			return out, nil
		})
		for i, line := range bytes.Split(bytes.TrimSuffix(s.get(t, "000001.jsonl"), []byte("\n")), []byte("\n")) {
			if len(line) == 0 {
				continue
			}
			h, err := tlog.StoredHashes(int64(i), line, read)
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, h...)
		}
		root, err := tlog.TreeHash(int64(n), read)
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := note.NewVerifier(s.verifier)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := note.Open(s.get(t, "checkpoint"), note.VerifierList(verifier))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("gateway.example/access\n%d\n%s\n", n, root); opened.Text != want {
			t.Errorf("checkpoint of %d records:\n%swant\n%s", n, opened.Text, want)
		}
	}
}

func TestConcurrentAppends(t *testing.T) {
	s := newSite(t)
	s.segment = 32 << 10
	l := s.open(t)
	const callers, each = 32, 30
	var wg sync.WaitGroup
	seen := make([][]int64, callers)
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				r := sample(c*each + i)
				seq, err := l.Append(r)
				if err != nil {
					t.Error(err)
					return
				}
				seen[c] = append(seen[c], seq)
			}
		})
	}
	// A reviewer verifies meanwhile.
	for range 5 {
		s.mustVerify(t)
		s.records(t)
	}
	wg.Wait()
	all := s.records(t)
	if len(all) != callers*each {
		t.Fatalf("%d records", len(all))
	}
	for c := range callers {
		for i, seq := range seen[c] {
			if got, want := all[seq].Correlation, fmt.Sprint("c", c*each+i); got != want {
				t.Fatalf("record %d is %s, want %s", seq, got, want)
			}
		}
	}
}

// Append does not return before the sync does, and those who come meanwhile share the next group.
func TestAppendWaitsForTheDisk(t *testing.T) {
	s := newSite(t)
	var hold sync.Mutex
	inSync := make(chan struct{}, 100)
	armed := make(chan struct{})
	fs := &faultFS{before: func(call, name string) error {
		select {
		case <-armed:
			if call == "datasync" {
				inSync <- struct{}{}
				hold.Lock()
				hold.Unlock()
			}
		default:
		}
		return nil
	}}
	s.fs = fs
	l := s.open(t)
	hold.Lock()
	close(armed)
	before := len(fs.seen())
	done := make(chan error, 21)
	go func() { _, err := l.Append(small(0)); done <- err }()
	<-inSync
	for i := range 20 {
		go func() { _, err := l.Append(small(i + 1)); done <- err }()
	}
	select {
	case <-done:
		t.Error("acknowledged before the disk was")
	default:
	}
	if n := len(done); n != 0 {
		t.Error("acknowledged before the disk was")
	}
	hold.Unlock()
	for range 21 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	var order []string
	for _, c := range fs.seen()[before:] {
		if !strings.HasPrefix(c, "syncdir") && !strings.HasPrefix(c, "sync ") {
			order = append(order, c)
		}
	}
	want := "write 000001.jsonl,datasync 000001.jsonl,write tip"
	if got := strings.Join(order[:3], ","); got != want {
		t.Errorf("calls of a group:\n%s\nwant\n%s", got, want)
	}
}

// A checkpoint does not stay unsynced when the log falls idle.
func TestIdleCheckpointIsSynced(t *testing.T) {
	s := newSite(t)
	synced := make(chan struct{}, 100)
	s.fs = &faultFS{before: func(call, name string) error {
		if call == "sync" && name == "checkpoint.tmp" {
			synced <- struct{}{}
		}
		return nil
	}}
	l := s.open(t)
	appendN(t, l, 0, 1)
	for len(synced) > 0 {
		<-synced
	}
	select {
	case <-synced:
	case <-time.After(30 * time.Second):
		t.Error("still not synced")
	}
}

func TestOpenRefuses(t *testing.T) {
	signer, _, err := accesslog.GenerateKey("gateway.example/access")
	if err != nil {
		t.Fatal(err)
	}
	good := accesslog.Options{Dir: t.TempDir(), SigningKey: []byte(signer), PatientKey: patientKey}
	for _, c := range []struct {
		name   string
		change func(*accesslog.Options)
		want   string
	}{
		{"no folder", func(o *accesslog.Options) { o.Dir = "" }, "no folder for the access log"},
		{"no signing key", func(o *accesslog.Options) { o.SigningKey = nil }, "signing key: malformed"},
		{"short patient key", func(o *accesslog.Options) { o.PatientKey = patientKey[:31] }, "patient key has 31 bytes, at least 32 are needed"},
		{"another origin", func(o *accesslog.Options) { o.Origin = "other" }, `made for the origin "gateway.example/access", not for "other"`},
		{"long origin", func(o *accesslog.Options) {
			long, _, _ := note.GenerateKey(rand.Reader, strings.Repeat("o", 513))
			o.SigningKey = []byte(long)
		}, "origin of 513 bytes: 512 are the most"},
		{"negative segment", func(o *accesslog.Options) { o.SegmentBytes = -1 }, "segment size is negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.change(&o)
			_, err := accesslog.Open(o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), signer[len(signer)-20:]) {
				t.Error("the error holds the key")
			}
		})
	}
}

func TestOneProcessAtATime(t *testing.T) {
	s := newSite(t)
	l := s.open(t)
	if _, err := s.try(); !errors.Is(err, accesslog.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.open(t)
}

func TestAppendRefusesRecord(t *testing.T) {
	s := newSite(t)
	l := s.open(t)
	long := sample(0)
	long.Detail = strings.Repeat("x", accesslog.MaxRecord)
	late := sample(0)
	late.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, r := range map[string]*accesslog.Record{"no kind": {}, "unknown kind": {Kind: "gossip"}, "too long": long, "year 10000": late} {
		if _, err := l.Append(r); !errors.Is(err, accesslog.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.Err(); err != nil {
		t.Errorf("a refused record broke the log: %v", err)
	}
	// A record that is longer than a segment gets one of its own.
	large := sample(1)
	large.Detail = strings.Repeat("y", 3*int(s.segment))
	for _, r := range []*accesslog.Record{sample(0), large, sample(2)} {
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if v := s.mustVerify(t); v.Records != 3 {
		t.Errorf("%+v", v)
	}
	l.Close()
	s.open(t)
	if all := s.records(t); len(all) != 3 || len(all[1].Detail) != 3*int(s.segment) {
		t.Errorf("%d records", len(all))
	}
}

func TestKeys(t *testing.T) {
	for _, origin := range []string{"", "a b", "a+b", "a\nb", "\xff"} {
		if _, _, err := accesslog.GenerateKey(origin); err == nil {
			t.Errorf("origin %q was taken", origin)
		}
	}
	for range 50 { // some have a plus sign in their base64
		signer, verifier, err := accesslog.GenerateKey("gw/1")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := accesslog.VerifierKey([]byte(signer + "\n")); err != nil || got != verifier {
			t.Fatalf("got %q, %v; want %q", got, err, verifier)
		}
	}
}

func TestHasher(t *testing.T) {
	h, err := accesslog.NewHasher(patientKey)
	if err != nil {
		t.Fatal(err)
	}
	other, err := accesslog.NewHasher(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for name, hash := range map[string]string{
		"patient ab/c": h.Patient("ab", "c"), "patient a/bc": h.Patient("a", "bc"), "patient /abc": h.Patient("", "abc"),
		"value": h.Hash("\x02abc"), "value abc": h.Hash("abc"), "other key": other.Patient("ab", "c"),
	} {
		if len(hash) != 22 {
			t.Errorf("%s: %q", name, hash)
		}
		if twin, ok := seen[hash]; ok {
			t.Errorf("%s and %s are alike", name, twin)
		}
		seen[hash] = name
	}
	// What is written today must be found in ten years.
	if got, want := h.Patient("main", "123"), "VzzgVfVEuivHqCFcr3aeUQ"; got != want {
		t.Errorf("Patient = %s, want %s", got, want)
	}
	if h.Patient("main", "123") != h.Patient("main", "123") {
		t.Error("not stable")
	}
	s := newSite(t)
	if l := s.open(t); l.Patient("main", "123") != h.Patient("main", "123") || l.Hash("x") != h.Hash("x") {
		t.Error("the log hashes differently from its Hasher")
	}
}

func TestFolderIsMadePrivate(t *testing.T) {
	s := newSite(t)
	s.fill(t, 1)
	for name, want := range map[string]os.FileMode{"": 0o700, "000001.jsonl": 0o600, "checkpoint": 0o600, "frontier": 0o600} {
		info, err := os.Stat(s.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", name, got, want)
		}
	}
}
