package accesslog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func TestQuery(t *testing.T) {
	s := newSite(t)
	l := s.open(t)
	at := func(minute int) time.Time { return time.Date(2026, 3, 4, 5, minute, 0, 0, time.UTC) }
	for i, r := range []*accesslog.Record{
		{Kind: "access", Correlation: "a", RequestID: "1", Ticket: accesslog.Ticket{ID: "T1"}, Actor: accesslog.Actor{Subject: "ann", Client: "desk"}, Subjects: []string{"Patient/t1", "Appointment/t9"}, Patients: []string{"hash1", "hash2"}},
		{Kind: "refusal", Correlation: "a", RequestID: "2", Ticket: accesslog.Ticket{ID: "T2"}, Actor: accesslog.Actor{Subject: "bob", Client: "desk"}, Request: accesslog.Request{Type: "Patient", ID: "t1"}},
		{Kind: "access", Correlation: "b", RequestID: "3", Ticket: accesslog.Ticket{ID: "T1"}, Actor: accesslog.Actor{Subject: "bob"}, Subjects: []string{"Appointment/t1"}, Patients: []string{"hash2"}},
		{Kind: "admin", Detail: "reload"},
	} {
		r.Time = at(i)
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Append(&accesslog.Record{Kind: "admin", Time: at(4), Actor: accesslog.Actor{Subject: "dörte \"d\""}}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(&accesslog.Record{Kind: "refusal", Time: at(5), Request: accesslog.Request{Interaction: "search-compartment", Type: "Appointment", ID: "Patient/t2"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		q    accesslog.Query
		want string
	}{
		{"all", accesslog.Query{}, "0 1 2 3 4 5"},
		{"compartment", accesslog.Query{Patient: "t2"}, "5"},
		{"no type of a compartment", accesslog.Query{Patient: "Appointment/t2"}, ""},
		{"ticket", accesslog.Query{Ticket: "T1"}, "0 2"},
		{"correlation", accesslog.Query{Correlation: "a"}, "0 1"},
		{"request", accesslog.Query{Correlation: "3"}, "2"},
		{"subject", accesslog.Query{Actor: "bob"}, "1 2"},
		{"client", accesslog.Query{Actor: "desk"}, "0 1"},
		{"escaped", accesslog.Query{Actor: "dörte \"d\""}, "4"},
		{"hash", accesslog.Query{Patient: "hash2"}, "0 2"},
		{"token", accesslog.Query{Patient: "t1"}, "0 1"},
		{"reference", accesslog.Query{Patient: "Patient/t1"}, "0 1"},
		{"other reference", accesslog.Query{Patient: "Appointment/t1"}, "2"},
		{"part of a token", accesslog.Query{Patient: "t"}, ""},
		{"since", accesslog.Query{Since: at(2)}, "2 3 4 5"},
		{"until", accesslog.Query{Until: at(2)}, "0 1"},
		{"both", accesslog.Query{Since: at(1), Until: at(3), Actor: "bob", Ticket: "T1"}, "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for r, err := range accesslog.Read(s.dir, c.q) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(r.Sequence))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReadStops(t *testing.T) {
	base := newSite(t)
	base.segment = 4096
	base.fill(t, 12)
	for _, c := range []struct {
		name   string
		damage func(*site)
		n      int
		want   string
	}{
		{"malformed line", func(s *site) {
			s.put(t, "000001.jsonl", bytes.Replace(s.get(t, "000001.jsonl"), []byte(`"correlation":"c2"`), []byte(`"correlation":"c2`), 1))
		}, 2, "000001.jsonl line 3 (byte "},
		{"newer version", func(s *site) {
			s.put(t, "000002.jsonl", bytes.Replace(s.get(t, "000002.jsonl"), []byte(`{"v":1,`), []byte(`{"v":2,"novel":{},`), 1))
		}, 4, "000002.jsonl line 1 (byte 0): not an access record: version 2 of the form, this program reads version 1"},
		{"torn in a closed segment", func(s *site) { s.put(t, "000001.jsonl", s.get(t, "000001.jsonl")[:2000]) }, 2, "000001.jsonl line 3 (byte "},
		{"segment missing", func(s *site) { os.Remove(s.path("000002.jsonl")) }, 4, "000002.jsonl: the segment is missing"},
		{"first segment missing", func(s *site) { os.Remove(s.path("000001.jsonl")) }, 0, "000001.jsonl: the segment is missing"},
		{"torn end", func(s *site) { b := s.get(t, "000003.jsonl"); s.put(t, "000003.jsonl", b[:len(b)-1]) }, 11, ""},
		{"zeros at the end", func(s *site) { s.put(t, "000003.jsonl", append(s.get(t, "000003.jsonl"), make([]byte, 1<<20)...)) }, 12, ""},
		{"endless line", func(s *site) {
			s.put(t, "000003.jsonl", bytes.Repeat([]byte("x"), accesslog.MaxRecord+10))
		}, 8, "000003.jsonl line 1 (byte 0): the line is longer than any record"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base.copyTo(t, t.TempDir()+"/copy")
			c.damage(s)
			// A query that nothing fits finds the same place.
			var rare error
			for _, err := range accesslog.Read(s.dir, accesslog.Query{Ticket: "none", Patient: "Patient/none"}) {
				rare = err
				break
			}
			n, last := 0, error(nil)
			for r, err := range accesslog.Read(s.dir, accesslog.Query{}) {
				if last = err; err != nil {
					break
				}
				if r.Sequence != int64(n) {
					t.Fatalf("record %d in place %d", r.Sequence, n)
				}
				n++
			}
			if n != c.n || (last == nil) != (c.want == "") {
				t.Fatalf("%d records, then %v", n, last)
			}
			if fmt.Sprint(rare) != fmt.Sprint(last) {
				t.Errorf("a query that nothing fits: %v", rare)
			}
			if c.want != "" && !strings.HasPrefix(asDamage(t, last).Error(), "access log damaged: "+c.want) {
				t.Errorf("got %v, want %s", last, c.want)
			}
		})
	}
	t.Run("caller stops", func(t *testing.T) {
		for r, err := range accesslog.Read(base.dir, accesslog.Query{}) {
			if err != nil || r.Sequence > 5 {
				t.Fatal(r, err)
			}
			if r.Sequence == 5 {
				break
			}
		}
	})
	t.Run("no folder", func(t *testing.T) {
		for _, err := range accesslog.Read(base.dir+"/none", accesslog.Query{}) {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	})
	t.Run("empty folder", func(t *testing.T) {
		for r, err := range accesslog.Read(t.TempDir(), accesslog.Query{}) {
			t.Error(r, err)
		}
	})
}

// stingy reads at most n bytes at a time.
type stingy struct {
	b []byte
	n int
}

func (s stingy) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(s.b)) {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.n)], s.b[off:])
	if n < len(p) && off+int64(n) == int64(len(s.b)) {
		return n, io.EOF
	}
	return n, nil
}

// slowLines is Lines, obvious and slow.
func slowLines(b []byte) (all []string, end error) {
	for len(b) > 0 && b[0] != 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok || bytes.Contains(line, []byte{0}) {
			return all, accesslog.ErrTorn
		}
		all = append(all, string(line))
		b = rest
	}
	return all, io.EOF
}

func checkLines(t *testing.T, b []byte) {
	t.Helper()
	want, wantEnd := slowLines(b)
	for _, n := range []int{1, 3, 1 << 20} {
		got, end := accesslog.Lines(stingy{b, n})
		if !slices.Equal(got, want) || end != wantEnd {
			t.Fatalf("%d bytes at a time: %q, %v; want %q, %v", n, got, end, want, wantEnd)
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for _, in := range []string{"", "\n", "a\n", "a", "a\nb\n", "a\nb", "\x00", "a\n\x00\x00", "a\nb\x00\n", "a\n\x00b\n", "\n\n", long + "\n" + long, long + "\n\x00"} {
		checkLines(t, []byte(in))
	}
	if _, end := accesslog.Lines(bytes.NewReader(bytes.Repeat([]byte("x"), accesslog.MaxRecord+1<<20))); end != accesslog.ErrLong {
		t.Errorf("a line without end: %v", end)
	}
	broken := errors.New("broken")
	if _, end := accesslog.Lines(readerAt{iotest.ErrReader(broken)}); end != broken {
		t.Errorf("a broken file: %v", end)
	}
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

// TestReadGoesOn is of a reader who wants what is left.
func TestReadGoesOn(t *testing.T) {
	base := newSite(t)
	base.segment = 4096
	base.fill(t, 12) // 4 a segment
	for _, c := range []struct {
		name   string
		damage func(*site)
		want   string // sequence numbers, and ! for what could not be read
	}{
		{"malformed line", func(s *site) {
			s.put(t, "000001.jsonl", bytes.Replace(s.get(t, "000001.jsonl"), []byte(`"correlation":"c2"`), []byte(`"correlation":"c2`), 1))
		}, "0 1 ! 3 4 5 6 7 8 9 10 11"},
		{"torn in a closed segment", func(s *site) { s.put(t, "000001.jsonl", s.get(t, "000001.jsonl")[:2000]) }, "0 1 ! 4 5 6 7 8 9 10 11"},
		{"segment missing", func(s *site) { os.Remove(s.path("000002.jsonl")) }, "0 1 2 3 ! 8 9 10 11"},
		{"first segment missing", func(s *site) { os.Remove(s.path("000001.jsonl")) }, "! 4 5 6 7 8 9 10 11"},
		{"endless line", func(s *site) {
			s.put(t, "000002.jsonl", bytes.Repeat([]byte("x"), accesslog.MaxRecord+10))
		}, "0 1 2 3 ! 8 9 10 11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base.copyTo(t, t.TempDir()+"/copy")
			c.damage(s)
			got := ""
			for r, err := range accesslog.Read(s.dir) {
				if err != nil {
					asDamage(t, err)
					got += " !"
				} else {
					got += fmt.Sprint(" ", r.Sequence)
				}
			}
			if got != " "+c.want {
				t.Errorf("got%s, want %s", got, c.want)
			}
		})
	}
}

func TestReadOneOfSeveralQueries(t *testing.T) {
	s := newSite(t)
	s.fill(t, 10)
	got := ""
	for r, err := range accesslog.Read(s.dir, accesslog.Query{Ticket: "T-1"}, accesslog.Query{Correlation: "c3"}) {
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprint(" ", r.Sequence)
	}
	if got != " 1 3 6" {
		t.Error(got)
	}
}

func TestReadReplicas(t *testing.T) {
	root := t.TempDir()
	at := func(name string, i, minute int) {
		s := newSite(t)
		s.dir = filepath.Join(root, name)
		l := s.open(t)
		r := sample(i)
		r.Time = time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)
		later := sample(i + 1)
		later.Time = r.Time.Add(2 * time.Minute)
		for _, r := range []*accesslog.Record{r, later} {
			if _, err := l.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	at("gw-1", 10, 0)
	at("gw-2", 20, 1)
	if err := os.Mkdir(filepath.Join(root, "notes"), 0o700); err != nil {
		t.Fatal(err)
	}
	dirs, err := accesslog.Replicas(root)
	if err != nil || len(dirs) != 2 {
		t.Fatal(dirs, err)
	}
	read := func() (got string) {
		for e, err := range accesslog.ReadReplicas(dirs) {
			if err != nil {
				got += " !" + e.Log
				continue
			}
			got += " " + e.Log + ":" + e.Correlation
		}
		return got
	}
	if got := read(); got != " gw-1:c10 gw-2:c20 gw-1:c11 gw-2:c21" {
		t.Error(got)
	}
	// What one replica has lost is told, with the rest of all.
	if err := os.Remove(filepath.Join(root, "gw-1", "000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "gw-1", "000002.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != " !gw-1 gw-2:c20 gw-2:c21" {
		t.Error(got)
	}
	if one, err := accesslog.Replicas(filepath.Join(root, "gw-2")); err != nil || len(one) != 1 {
		t.Error(one, err)
	}
	if _, err := accesslog.Replicas(filepath.Join(root, "notes")); err == nil || !strings.Contains(err.Error(), "holds no access log") {
		t.Error(err)
	}
}
