package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// drip is the time between two bytes of a slow client.
const drip = 400 * time.Millisecond

// slowClients are those that send a byte at a time, while the other checks are made.
type slowClients struct {
	cancel context.CancelFunc
	group  sync.WaitGroup
	ended  map[string]*slowEnd
}

// slowEnd is how a gateway bore one.
type slowEnd struct {
	done chan struct{}
	took time.Duration
	how  string
	cut  bool // it answered or hung up in time
}

// beginSlow starts them, where their checks are chosen.
func (r *run) beginSlow(ctx context.Context) *slowClients {
	ctx, cancel := context.WithCancel(ctx)
	s := &slowClients{cancel: cancel, ended: map[string]*slowEnd{}}
	r.slow = s
	a := &attempt{run: r, ctx: ctx, saw: map[string]int{}}
	heads := map[string]string{
		"header": fmt.Sprintf("GET %s/Appointment?_count=1 HTTP/1.1\r\nHost: %s\r\nX-Slow: ", r.target.base.Path, r.target.base.Host),
		"body":   a.searchHead("Content-Length: 4000") + "\r\n_count=",
	}
	for _, c := range r.chosen {
		for part, head := range heads {
			if c.Name != "wire/slow-"+part {
				continue
			}
			conn, err := r.target.dial(ctx, "http/1.1")
			end := &slowEnd{done: make(chan struct{})}
			s.ended[part] = end
			if err != nil {
				end.how, end.cut = "no connection", true
				close(end.done)
				continue
			}
			s.group.Go(func() { end.watch(ctx, conn, head, r.o.Slow) })
		}
	}
	return s
}

// watch sends the head and then a byte at a time, until the gateway answers or hangs up.
func (e *slowEnd) watch(ctx context.Context, conn net.Conn, head string, limit time.Duration) {
	defer close(e.done)
	defer conn.Close()
	begun := time.Now()
	if err := conn.SetDeadline(begun.Add(limit)); err != nil {
		return
	}
	heard := make(chan bool, 1) // true: an answer
	go func() {
		n, err := conn.Read(make([]byte, 1))
		late, ok := err.(net.Error)
		if !(ok && late.Timeout()) {
			heard <- n > 0
		}
		close(heard)
	}()
	tick := time.NewTicker(drip)
	defer tick.Stop()
	_, _ = io.WriteString(conn, head) // a failure is heard
	for {
		select {
		case answered, ok := <-heard:
			e.took, e.cut = time.Since(begun), ok
			e.how = "cut"
			if answered {
				e.how = "answered"
			}
			return
		case <-tick.C:
			_, _ = io.WriteString(conn, "a") // a failure is heard
		case <-ctx.Done():
			return
		}
	}
}

// wait returns how long the slow client of a part was borne.
func (s *slowClients) wait(part string) (took time.Duration, how string, cut bool) {
	e := s.ended[part]
	<-e.done
	return e.took, e.how, e.cut
}

// end ends those that are still sending.
func (s *slowClients) end() {
	s.cancel()
	s.group.Wait()
}
