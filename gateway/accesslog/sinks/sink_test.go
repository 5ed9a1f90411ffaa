package sinks_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// peer is a peer that a test breaks.
type peer struct {
	*inbox
	down    atomic.Bool
	hold    chan struct{} // where not nil, a batch waits for it
	closed  atomic.Int64
	differs atomic.Bool
}

func newPeer() *peer { return &peer{inbox: newInbox()} }

func (p *peer) Send(ctx context.Context, batch []sinks.Delivery) error {
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if p.differs.Load() {
		return fmt.Errorf("%w: record 0", sinks.ErrDiffers)
	}
	var all []int64
	for i, d := range batch {
		if p.down.Load() && i == len(batch)/2 {
			p.put(all...) // a part has arrived
			return errDown
		}
		all = append(all, d.Record.Sequence)
	}
	p.put(all...)
	return nil
}

func (p *peer) Close() error { p.closed.Add(1); return nil }

func TestASinkGoesOnWhereItWas(t *testing.T) {
	s := newSite(t)
	s.append(700)
	p := newPeer()
	sink, stop := s.start(p)
	p.wait(t, 700)
	s.append(30)
	p.wait(t, 730)
	st := until(t, sink, "all to be delivered", func(st sinks.Status) bool { return st.Behind == 0 })
	if st.Delivered != 730 || st.Failing || st.Failures != 0 {
		t.Errorf("%+v", st)
	}
	stop()
	if p.closed.Load() != 1 {
		t.Error("the peer is not closed")
	}
	// A restart of the whole.
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	s.open()
	s.append(20)
	again := newPeer()
	again.got = []int64{729} // what it has
	for i := range int64(729) {
		again.got = append([]int64{728 - i}, again.got...)
	}
	s.start(again)
	if got := again.wait(t, 750); len(got) != 750 {
		t.Errorf("%d records came, some again", len(got))
	}
}

// TestAPeerThatIsDown keeps the order and leaves nothing out, and delays no append.
func TestAPeerThatIsDown(t *testing.T) {
	s := newSite(t)
	p := newPeer()
	p.down.Store(true)
	sink, _ := s.start(p)
	s.append(120) // returns: nobody waits for the peer
	st := until(t, sink, "failures", func(st sinks.Status) bool { return st.Failures >= 3 && st.Behind == 120 })
	if !st.Failing || st.Problem != "down" || st.Delivered != 0 || st.Oldest.IsZero() {
		t.Errorf("%+v", st)
	}
	p.down.Store(false)
	p.wait(t, 120)
	if st := until(t, sink, "health", func(st sinks.Status) bool { return !st.Failing }); st.Problem != "" || st.Failures < 3 {
		t.Errorf("%+v", st)
	}
}

func TestASlowPeerDelaysNobody(t *testing.T) {
	s := newSite(t)
	slow := newPeer()
	slow.hold = make(chan struct{})
	sink, stop := s.start(slow)
	s.append(300)
	if st := sink.Status(); st.Behind != 300 {
		t.Errorf("%+v", st)
	}
	stop() // while a batch is under way
	if _, err := os.Stat(s.cursor); err == nil {
		t.Error("the cursor moved, and nothing was delivered")
	}
}

// TestPauses grow, and end at a minute.
func TestPausesGrow(t *testing.T) {
	s := newSite(t)
	s.append(1)
	p := newPeer()
	p.down.Store(true)
	pauses := make(chan time.Duration, 64)
	next := make(chan time.Time)
	sink, err := sinks.New(sinks.Options{Name: "one", Log: s.log, Dir: s.dir, Cursor: s.cursor, Peer: p,
		After: func(d time.Duration) <-chan time.Time { pauses <- d; return next }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); sink.Run(ctx) }()
	most := time.Second
	for range 10 {
		if d := <-pauses; d < most/2 || d > most {
			t.Errorf("a pause of %s, not up to %s", d, most)
		}
		most = min(2*most, time.Minute)
		next <- time.Time{}
	}
	cancel()
	<-done
}

func TestACursorThatIsNotThisLogs(t *testing.T) {
	for text, want := range map[string]string{
		`{"origin":"other.example/audit","next":3}`:    "is the cursor of the log",
		`{"origin":"gateway.example/audit","next":3}`:  "ahead of the log",
		`{"origin":"gateway.example/audit","next":-1}`: "is no cursor", "": "is no cursor", "null": "is the cursor of the log",
	} {
		s := newSite(t)
		s.append(2)
		if err := os.MkdirAll(s.dir+".sinks", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.cursor, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sinks.New(sinks.Options{Name: "one", Log: s.log, Dir: s.dir, Cursor: s.cursor, Peer: newPeer()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := sinks.New(sinks.Options{}); err == nil {
		t.Error("a sink of nothing")
	}
}

// TestALogThatCannotBeRead is said, and what lies before the damage is delivered.
func TestALogThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	s.append(500)
	name := s.dir + "/000002.jsonl"
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append([]byte("x"), whole[1:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPeer()
	sink, _ := s.start(p)
	st := until(t, sink, "a failure", func(st sinks.Status) bool { return st.Failing && st.Failures > 1 })
	if !strings.Contains(st.Problem, "000002.jsonl") || st.Delivered == 0 || st.Delivered >= 500 {
		t.Errorf("%+v", st)
	}
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	p.wait(t, 500)
}

// TestAPeerThatHasAnotherRecord is told of apart from one that is down, and until it has ended.
func TestAPeerThatHasAnotherRecord(t *testing.T) {
	s := newSite(t)
	s.append(3)
	p := newPeer()
	p.differs.Store(true)
	sink, _ := s.start(p)
	st := until(t, sink, "an alarm", func(st sinks.Status) bool { return st.Differs && st.Failures > 1 })
	if !st.Failing || st.Delivered != 0 {
		t.Errorf("%+v", st)
	}
	p.differs.Store(false)
	until(t, sink, "its end", func(st sinks.Status) bool { return !st.Differs && st.Delivered == 3 })
}
