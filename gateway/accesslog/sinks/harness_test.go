package sinks_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

const origin = "gateway.example/audit"

// A site is a log, and where its sinks keep their cursors.
type site struct {
	t      *testing.T
	dir    string
	key    string
	log    *accesslog.Log
	cursor string
	n      int
}

func newSite(t *testing.T) *site {
	t.Helper()
	key, _, err := accesslog.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "log"), key: key}
	s.cursor = s.dir + ".sinks/one.json"
	s.open()
	return s
}

func (s *site) open() {
	s.t.Helper()
	var err error
	s.log, err = accesslog.Open(accesslog.Options{Dir: s.dir, Origin: origin, SigningKey: []byte(s.key), PatientKey: bytes.Repeat([]byte{7}, 32), SegmentBytes: 64 << 10})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.log.Close() })
}

// append writes n records more.
func (s *site) append(n int) {
	s.t.Helper()
	for range n {
		r := &accesslog.Record{Kind: accesslog.KindAccess, RequestID: fmt.Sprintf("r%d", s.n), Actor: accesslog.Actor{Subject: "agent-7", Client: "helpdesk"}, Source: "192.0.2.7",
			Request: accesslog.Request{Interaction: "read", Type: "Patient", ID: "tA"}, EHR: "main", Ticket: accesslog.Ticket{ID: `INC-"]\`}, Status: 200,
			Subjects: []string{"Patient/tA"}, Patients: []string{"hash"}}
		if s.n%10 == 9 {
			r = &accesslog.Record{Kind: accesslog.KindRefusal, RequestID: r.RequestID, Status: 403, Code: "scope"}
		}
		if _, err := s.log.Append(r); err != nil {
			s.t.Fatal(err)
		}
		s.n++
	}
}

// start runs a sink until the test, or what it returns, ends it. Its pauses take no time.
func (s *site) start(peer sinks.Peer) (sink *sinks.Sink, stop func()) {
	s.t.Helper()
	at := make(chan time.Time)
	close(at)
	sink, err := sinks.New(sinks.Options{Name: "one", Kind: "test", Log: s.log, Dir: s.dir, Cursor: s.cursor, Peer: peer,
		After: func(time.Duration) <-chan time.Time { return at }})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { sink.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	s.t.Cleanup(stop)
	return sink, stop
}

// inbox is what a peer has got.
type inbox struct {
	mu   sync.Mutex
	cond *sync.Cond
	got  []int64 // numbers of records, as they came
}

func newInbox() *inbox {
	b := &inbox{}
	b.cond = sync.NewCond(&b.mu)
	return b
}

func (b *inbox) put(seq ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, seq...)
	b.cond.Broadcast()
}

// wait waits until each record before n has come, and checks that they came in order: what comes again begins
// no further on than where it was.
func (b *inbox) wait(t *testing.T, n int64) []int64 {
	t.Helper()
	watchdog := time.AfterFunc(time.Minute, func() { b.mu.Lock(); defer b.mu.Unlock(); b.cond.Broadcast() })
	defer watchdog.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for begun := time.Now(); ; b.cond.Wait() {
		next := int64(0)
		for _, seq := range b.got {
			if seq > next {
				t.Fatalf("record %d came, and %d did not: %v", seq, next, b.got)
			}
			next = max(next, seq+1)
		}
		if next >= n {
			return b.got
		}
		if time.Since(begun) >= time.Minute {
			t.Fatalf("%d of %d records came", next, n)
		}
	}
}

// until waits until the sink's status is as wanted.
func until(t *testing.T, s *sinks.Sink, what string, is func(sinks.Status) bool) sinks.Status {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for begun := time.Now(); time.Since(begun) < time.Minute; <-look.C {
		if st := s.Status(); is(st) {
			return st
		}
	}
	t.Fatalf("in vain for %s: %+v", what, s.Status())
	return sinks.Status{}
}

// authority is a CA, and a server's certificate for 127.0.0.1.
func authority(t *testing.T) (server tls.Certificate, roots *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	if _, err := certs.Development(dir, []string{"127.0.0.1"}, time.Now); err != nil {
		t.Fatal(err)
	}
	server, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return server, roots
}

var errDown = errors.New("down")
