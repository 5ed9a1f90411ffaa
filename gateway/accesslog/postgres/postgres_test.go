package postgres_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/postgres"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// What the statements do is tested against a server, in test/system/postgres.test.js.

func TestConfigure(t *testing.T) {
	for _, c := range []struct{ name, url, want string }{
		{"TLS by itself", "postgres://u@db.example/audit", ""},
		{"TLS asked for", "postgresql://u@db.example:5433/audit?sslmode=verify-full", ""},
		{"loopback", "postgres://u@127.0.0.1/audit?sslmode=disable", ""},
		{"loopback 6", "postgres://u@[::1]:5432/audit?sslmode=disable", ""},
		{"plain", "postgres://u:hunter2@db.example/audit?sslmode=disable", "want sslmode=verify-full"},
		{"perhaps plain", "postgres://u:hunter2@db.example/audit?sslmode=prefer", "want sslmode=verify-full"},
		{"perhaps plain on loopback", "postgres://u:hunter2@localhost/audit?sslmode=prefer", "want sslmode=verify-full"},
		{"any certificate", "postgres://u:hunter2@db.example/audit?sslmode=require", "want sslmode=verify-full"},
		{"two modes", "postgres://u:hunter2@localhost/audit?sslmode=verify-ca&sslmode=disable", "want sslmode=verify-full"},
		{"another host", "postgres://u:hunter2@localhost/audit?sslmode=disable&host=db.example", `"host" is not among`},
		{"a file of settings", "postgres://u:hunter2@db.example/audit?servicefile=x", `"servicefile" is not among`},
		{"two hosts", "postgres://u:hunter2@a.example,b.example/audit", "want one host"},
		{"no database", "postgres://u:hunter2@db.example/", "want postgres://"},
		{"no host", "postgres:///audit", "want postgres://"},
		{"no URL", "host=db.example password=hunter2", "want postgres://"},
		{"another scheme", "https://u:hunter2@db.example/audit", "want postgres://"},
		{"no port", "postgres://u:hunter2@db.example:99999/audit", "is wrong"},
		{"no such file", "postgres://u:hunter2@db.example/audit?sslrootcert=/hunter2", "is wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := postgres.Configure(c.url, "", nil)
			if c.want != "" {
				if !errors.Is(err, postgres.ErrURL) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if plain := strings.Contains(c.url, "disable"); plain != (got.TLSConfig == nil) {
				t.Fatalf("TLS %v", got.TLSConfig)
			} else if !plain && (got.TLSConfig.InsecureSkipVerify || got.TLSConfig.ServerName != got.Host || got.TLSConfig.MinVersion < tls.VersionTLS12) {
				t.Errorf("TLS %+v", got.TLSConfig)
			}
		})
	}
	roots := x509.NewCertPool()
	got, err := postgres.Configure("postgres://u:old@db.example/audit", "new", &tls.Config{RootCAs: roots, Certificates: make([]tls.Certificate, 1)})
	if err != nil || got.Password != "new" || got.TLSConfig.RootCAs != roots || len(got.TLSConfig.Certificates) != 1 {
		t.Errorf("%v", err)
	}
}

func TestHasPassword(t *testing.T) {
	for url, want := range map[string]bool{"postgres://u@h/d": false, "postgres://u:p@h/d": true, "postgres://u:@h/d": true, "postgres://u:p%zz@h/d": true} {
		if got := postgres.HasPassword(url); got != want {
			t.Errorf("%s: %t", url, got)
		}
	}
}

// TestColumn: whatever a client sends, the database takes it, and a question finds it by the same column.
func TestColumn(t *testing.T) {
	for in, want := range map[string]string{"": "", "INC-1": "INC-1", "a\x00b": "a\uFFFDb", "a\xffb": "a\uFFFDb", strings.Repeat("x", 401): strings.Repeat("x", 400), "x" + strings.Repeat("é", 300): "x" + strings.Repeat("é", 199)} {
		got := postgres.Column(in)
		if got != want || !utf8.ValidString(got) || len(got) > 400 {
			t.Errorf("%q is %q", in, got)
		}
	}
}

const origin = "gateway.example/audit"

func delivery(seq int64) sinks.Delivery {
	r := &accesslog.Record{Kind: accesslog.KindAccess, Sequence: seq, Time: time.Date(2026, 3, 1, 8, 0, 0, 5, time.UTC), Correlation: "task", RequestID: "call#1#2",
		Actor: accesslog.Actor{Subject: "agent", Client: "desk"}, Ticket: accesslog.Ticket{ID: "INC\x00"}, Code: "ok", Status: 200,
		Request:  accesslog.Request{Type: "Patient", ID: "tA", Parameters: []accesslog.Parameter{{Name: "a", Values: []string{"v1", "v2"}}, {Name: "b", Values: []string{"v3"}}}},
		Subjects: []string{"Patient/tA", "Appointment/tC"}, Patients: []string{"hash"}, BreakGlass: &accesslog.BreakGlass{}}
	return sinks.Delivery{Record: r, Line: fmt.Appendf(nil, "line %d", seq)}
}

func TestRow(t *testing.T) {
	d := delivery(7)
	got := postgres.Row(origin, d)
	want := []any{origin, int64(7), []byte("line 7"), d.Record.Time, "access", "ok", "agent", "desk", "INC\uFFFD", "task", "call#1#2", true,
		[]string{"agent", "desk"}, []string{"task", "call#1#2", "call", "call#1"}, []string{"hash", "Patient/tA", "Appointment/tC", "Patient/tA"}, []string{"v1", "v2", "v3"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	for i, v := range postgres.Row(origin, sinks.Delivery{Record: &accesslog.Record{}}) {
		if s, ok := v.([]string); ok && s == nil {
			t.Errorf("column %d would be NULL", i)
		}
	}
}

func TestStatement(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const head = "SELECT seq, line FROM halfdoor_record WHERE origin = $1"
	for _, c := range []struct {
		name    string
		queries []accesslog.Query
		want    string
		args    []any
	}{
		{"all", nil, head + " ORDER BY seq", nil},
		{"nothing asked", []accesslog.Query{{}}, head + " AND ((true)) ORDER BY seq", nil},
		{"ticket", []accesslog.Query{{Ticket: "x'); DROP TABLE halfdoor_record--\x00"}}, head + " AND ((true AND ticket = $2 AND ticket <> '')) ORDER BY seq", []any{"x'); DROP TABLE halfdoor_record--\uFFFD"}},
		{"everything", []accesslog.Query{{Ticket: "t", Correlation: "c", Actor: "a", Value: "v", Patient: "tA", BreakGlass: true, Since: at, Until: at}},
			head + " AND ((true AND ticket = $2 AND ticket <> '' AND calls @> $3 AND actors @> $4 AND hashed @> $5 AND names && $6 AND break_glass AND time >= $7 AND time <= $8)) ORDER BY seq",
			[]any{"t", []string{"c"}, []string{"a"}, []string{"v"}, []string{"tA", "Patient/tA"}, at.Add(-time.Microsecond), at.Add(time.Microsecond)}},
		{"one of two", []accesslog.Query{{Patient: "Appointment/tC"}, {Actor: "b"}}, head + " AND ((true AND names && $2) OR (true AND actors @> $3)) ORDER BY seq", []any{[]string{"Appointment/tC", "Appointment/tC"}, []string{"b"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, args := postgres.Statement(origin, c.queries)
			if text != c.want || !reflect.DeepEqual(args, append([]any{origin}, c.args...)) {
				t.Errorf("%s %q", text, args)
			}
		})
	}
}

// A transaction answers as a server would whose table has some rows already.
type transaction struct {
	has    int   // of the batch's rows
	differ int64 // the row that differs; -1: none
	fails  error
	queued *pgx.Batch
	asked  []any
}

func (f *transaction) SendBatch(_ context.Context, b *pgx.Batch) pgx.BatchResults {
	f.queued = b
	return &results{of: f}
}

func (f *transaction) QueryRow(_ context.Context, _ string, args ...any) pgx.Row {
	f.asked = args
	return found(f.differ)
}

type found int64

func (f found) Scan(to ...any) error {
	if f < 0 {
		return pgx.ErrNoRows
	}
	*to[0].(*int64) = int64(f)
	return nil
}

type results struct {
	pgx.BatchResults
	of *transaction
	n  int
}

func (r *results) Exec() (pgconn.CommandTag, error) {
	if r.n++; r.n <= r.of.has {
		return pgconn.NewCommandTag("INSERT 0 0"), nil
	}
	return pgconn.NewCommandTag("INSERT 0 1"), r.of.fails
}

func (r *results) Close() error { return nil }

func TestInsert(t *testing.T) {
	batch := []sinks.Delivery{delivery(3), delivery(4), delivery(5)}
	down := errors.New("down")
	for _, c := range []struct {
		name     string
		tx       transaction
		compares bool
		want     error
	}{
		{"new", transaction{differ: -1}, false, nil},
		{"again", transaction{has: 3, differ: -1}, true, nil},
		{"one is there, and another", transaction{has: 1, differ: 3}, true, sinks.ErrDiffers},
		{"fails", transaction{fails: down}, false, down},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := postgres.NewSink(&pgx.ConnConfig{}, origin)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Insert(t.Context(), &c.tx, batch)
			if !errors.Is(err, c.want) || c.tx.queued.Len() != 3 {
				t.Errorf("%v, %d rows", err, c.tx.queued.Len())
			}
			if c.want == sinks.ErrDiffers && !strings.Contains(err.Error(), "record 3 of "+origin) {
				t.Error(err)
			}
			if c.compares != (c.tx.asked != nil) {
				t.Fatalf("compared: %q", c.tx.asked)
			}
			want := []any{origin, []int64{3, 4, 5}, [][]byte{[]byte("line 3"), []byte("line 4"), []byte("line 5")}}
			if c.compares && !reflect.DeepEqual(c.tx.asked, want) {
				t.Errorf("compared: %q", c.tx.asked)
			}
		})
	}
	if _, err := postgres.NewSink(nil, origin); err == nil {
		t.Error("a sink of no database")
	}
}

// TestErrorsRepeatNothing: neither the password nor what the server says, which may be of a record.
func TestErrorsRepeatNothing(t *testing.T) {
	err := postgres.Told(fmt.Errorf("x: %w", &pgconn.PgError{Code: "22021", Message: "invalid value: Patient/tA"}))
	if err.Error() != "the database answers SQLSTATE 22021" {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody answers
	config, err := postgres.Configure("postgres://u:hunter2@"+l.Addr().String()+"/audit?sslmode=disable", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := postgres.NewSink(config, origin)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), []sinks.Delivery{delivery(0)}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	if _, err := postgres.NewReader(t.Context(), config).Origins(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	told := 0
	for r, err := range postgres.NewReader(t.Context(), config).Source(origin)() {
		if told++; err == nil || r != nil {
			t.Errorf("%v, %v", r, err)
		}
	}
	if told != 1 || s.Close() != nil {
		t.Errorf("%d errors", told)
	}
}

func TestRead(t *testing.T) {
	if _, err := postgres.Read(3, []byte(`{"v":1}`)); err == nil || !strings.Contains(err.Error(), "record 3 in the database") {
		t.Errorf("%v", err)
	}
	if _, err := postgres.Read(3, []byte("x")); !errors.Is(err, accesslog.ErrRecord) {
		t.Errorf("%v", err)
	}
}
