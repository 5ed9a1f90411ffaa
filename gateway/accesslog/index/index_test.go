package index_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/index"
)

// site is a log and its keys.
type site struct {
	dir, signer, key string
	compress         bool
	retention        time.Duration
	now              time.Time
}

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func newSite(t *testing.T) *site {
	t.Helper()
	signer, key, err := accesslog.GenerateKey("gateway.example/access")
	if err != nil {
		t.Fatal(err)
	}
	return &site{dir: filepath.Join(t.TempDir(), "log"), signer: signer, key: key, now: begin}
}

func (s *site) open(t *testing.T) *accesslog.Log {
	t.Helper()
	l, err := accesslog.Open(accesslog.Options{
		Dir: s.dir, SigningKey: []byte(s.signer), PatientKey: make([]byte, 32), SegmentBytes: 64 << 10,
		Compress: s.compress, Retention: s.retention, Now: func() time.Time { return s.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fill appends records from one number to another, of 7 patients, 5 tickets and 3 agents.
func (s *site) fill(t *testing.T, from, to int) {
	t.Helper()
	l := s.open(t)
	for i := from; i < to; i++ {
		r := &accesslog.Record{
			Kind: accesslog.KindAccess, Time: begin.Add(time.Duration(i) * time.Minute), Correlation: fmt.Sprint("task-", i/4), RequestID: fmt.Sprint("call-", i/2),
			Actor: accesslog.Actor{Subject: fmt.Sprint("agent-", i%3), Client: "desk"}, Ticket: accesslog.Ticket{ID: fmt.Sprint("INC-", i%5)},
			Request:  accesslog.Request{Type: "Patient", ID: fmt.Sprint("tA", i%11), Parameters: []accesslog.Parameter{{Name: "patient", Values: []string{fmt.Sprint("value-", i%13)}}}},
			Subjects: []string{fmt.Sprint("Patient/tB", i%7), fmt.Sprint("Appointment/tC", i)}, Patients: []string{patient(i % 7)},
		}
		if i%10 == 0 {
			r.RequestID += "#1"
		}
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func patient(n int) string { return fmt.Sprintf("patient-hash-number-%02d", n) }

// questions are of every kind, alone and together.
func questions() [][]accesslog.Query {
	at := func(n int) time.Time { return begin.Add(time.Duration(n)*time.Minute + 30*time.Second) }
	single := []accesslog.Query{
		{Ticket: "INC-3"}, {Correlation: "task-9"}, {Correlation: "call-15"}, {Actor: "agent-2"}, {Actor: "desk"},
		{Patient: patient(3)}, {Patient: "tB4"}, {Patient: "Patient/tB4"}, {Patient: "tA9"}, {Patient: "Appointment/tC50"},
		{Since: at(90)}, {Until: at(7)}, {Since: at(20), Until: at(33)},
		{Ticket: "INC-1", Actor: "agent-1"}, {Patient: patient(2), Ticket: "INC-4", Since: at(10), Until: at(900)},
		{Patient: "nobody"}, {Value: "value-12"}, {Value: "value-1", Actor: "agent-1"}, {Ticket: "INC-1", Actor: "nobody"}, {},
	}
	var all [][]accesslog.Query
	for _, q := range single {
		all = append(all, []accesslog.Query{q})
	}
	return append(all, []accesslog.Query{{Patient: patient(1)}, {Patient: patient(5)}, {Ticket: "INC-2"}}, nil)
}

func lines(t *testing.T, source accesslog.Source, queries []accesslog.Query) string {
	t.Helper()
	var b bytes.Buffer
	for r, err := range source(queries...) {
		if err != nil {
			t.Fatalf("%+v: %v", queries, err)
		}
		if err := json.NewEncoder(&b).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func (s *site) log(queries ...accesslog.Query) iter.Seq2[*accesslog.Record, error] {
	return accesslog.Read(s.dir, queries...)
}

// agrees holds every answer of the index to the log's own.
func (s *site) agrees(t *testing.T) {
	t.Helper()
	x, err := index.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for _, q := range questions() {
		want := lines(t, s.log, q)
		if got := lines(t, x.Read, q); got != want {
			t.Errorf("%+v:\nthe index says\n%s\nthe log\n%s", q, got, want)
		}
	}
}

func (s *site) update(t *testing.T) index.Result {
	t.Helper()
	r, err := index.Update(t.Context(), s.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestIndexAgreesWithLog(t *testing.T) {
	s := newSite(t)
	s.fill(t, 0, 150)
	if _, err := index.Open(s.dir); !errors.Is(err, index.ErrNone) {
		t.Errorf("without an index: %v", err)
	}
	if r := s.update(t); r.Added != 150 || !errors.Is(r.Anew, index.ErrNone) {
		t.Errorf("%+v", r)
	}
	s.agrees(t)
	s.fill(t, 150, 260) // the log goes on, and the index does not know yet
	s.agrees(t)
	if r := s.update(t); r.Added != 110 || r.Total != 260 || r.Anew != nil {
		t.Errorf("%+v", r)
	}
	s.agrees(t)
	if r := s.update(t); r.Added != 0 || r.Anew != nil {
		t.Errorf("nothing was new: %+v", r)
	}
	s.agrees(t)
	// A log in use is followed as well.
	l := s.open(t)
	if _, err := l.Append(&accesslog.Record{Kind: accesslog.KindAdmin, Correlation: "task-9"}); err != nil {
		t.Fatal(err)
	}
	s.agrees(t)
	s.update(t)
	s.agrees(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// The index holds numbers alone: nobody's name, ticket or hash is in it.
func TestIndexHoldsNoNames(t *testing.T) {
	s := newSite(t)
	s.fill(t, 0, 50)
	s.update(t)
	b, err := os.ReadFile(filepath.Join(s.dir, "index.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"INC-", "agent-", "desk", "patient-hash", "Patient/", "task-", "call-"} {
		if bytes.Contains(b, []byte(name)) {
			t.Errorf("it holds %q", name)
		}
	}
}

// An index that is not what was closed, or is of another log, is not used, and is made anew.
func TestIndexIsNotTrusted(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, s *site, path string){
		"a byte was changed": func(t *testing.T, s *site, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			write(t, path, b)
		},
		"it was cut": func(t *testing.T, s *site, path string) {
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
		},
		"it was not closed": func(t *testing.T, s *site, path string) {
			if err := os.Remove(filepath.Join(s.dir, "index.sum")); err != nil {
				t.Fatal(err)
			}
		},
		"it is no database": func(t *testing.T, s *site, path string) { write(t, path, []byte("SQLite format 4")) },
		"it is another log's": func(t *testing.T, s *site, path string) {
			other := newSite(t)
			other.fill(t, 7, 40)
			other.update(t)
			for _, name := range []string{"index.sqlite", "index.sum"} {
				b, err := os.ReadFile(filepath.Join(other.dir, name))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(s.dir, name), b)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.fill(t, 0, 120)
			s.update(t)
			spoil(t, s, filepath.Join(s.dir, "index.sqlite"))
			if _, err := index.Open(s.dir); !errors.Is(err, index.ErrUnusable) {
				t.Fatalf("%v", err)
			}
			if r := s.update(t); r.Added != 120 || !errors.Is(r.Anew, index.ErrUnusable) && !errors.Is(r.Anew, accesslog.ErrElsewhere) {
				t.Errorf("%+v", r)
			}
			s.agrees(t)
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the index leads to is held to the log's chain: a record that was changed is named, not told.
func TestChangedRecordIsNotTold(t *testing.T) {
	s := newSite(t)
	s.fill(t, 0, 40)
	s.update(t)
	path := filepath.Join(s.dir, "000001.jsonl")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 39} { // the last has no next one
		rows := bytes.SplitAfter(bytes.Clone(b), []byte("\n"))
		rows[at] = bytes.Replace(rows[at], []byte(`"client":"desk"`), []byte(`"client":"disk"`), 1)
		write(t, path, bytes.Join(rows, nil))
		x, err := index.Open(s.dir)
		if at == 39 {
			if !errors.Is(err, index.ErrUnusable) {
				t.Errorf("the last record was changed: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var damage *accesslog.Damage
		told := 0
		for r, err := range x.Read(accesslog.Query{Patient: patient(at % 7)}) {
			if err != nil {
				errors.As(err, &damage)
				continue
			}
			if r.Sequence == int64(at) {
				t.Error("it was told")
			}
			told++
		}
		if damage == nil || damage.Seq != int64(at) || told != 5 {
			t.Errorf("%v, %d told", damage, told)
		}
		x.Close()
	}
}

// Closed segments are compressed and removed beneath the index, and its places still lead to the records.
func TestIndexOutlivesUpkeep(t *testing.T) {
	s := newSite(t)
	s.fill(t, 0, 800)
	s.update(t)
	s.compress = true
	l := s.open(t)
	wait(t, func() bool {
		left, err := filepath.Glob(filepath.Join(s.dir, "*.jsonl"))
		return err == nil && len(left) == 1
	})
	s.agrees(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.retention, s.now = time.Hour, begin.Add(800*time.Minute)
	l = s.open(t)
	wait(t, func() bool {
		first, err := accesslog.First(s.dir)
		return err == nil && first > 0
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.agrees(t)
	s.update(t)
	s.agrees(t)
}

func wait(t *testing.T, holds func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not come to be")
		case <-tick.C:
		}
	}
}

// A damaged log is indexed up to the damage; the error names it, and a question goes on behind it.
func TestDamagedLog(t *testing.T) {
	s := newSite(t)
	s.fill(t, 0, 60)
	path := filepath.Join(s.dir, "000001.jsonl")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := bytes.SplitAfter(b, []byte("\n"))
	rows[30] = []byte(strings.Replace(string(rows[30]), "agent", "tnega", 1))
	write(t, path, bytes.Join(rows, nil))
	r, err := index.Update(t.Context(), s.dir, nil)
	var damage *accesslog.Damage
	if !errors.As(err, &damage) || damage.Seq != 31 || r.Added != 31 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := index.Open(s.dir); !errors.Is(err, index.ErrUnusable) {
		t.Errorf("the index of a damaged log: %v", err)
	}
}

// Whatever stops an update leaves an index that is not used, or one that is right.
func TestUpdateIsStopped(t *testing.T) {
	s := newSite(t)
	s.fill(t, 0, 1500)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := index.Update(ctx, s.dir, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if _, err := index.Open(s.dir); !errors.Is(err, index.ErrNone) && !errors.Is(err, index.ErrUnusable) {
		t.Errorf("%v", err)
	}
	s.update(t)
	s.agrees(t)
}
