package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connectionsPerCall is how many connections a listener takes for each call that may be under
// way: most are idle. Without a bound, connections that say nothing use up the process's
// descriptors, and the access log, which opens a file with each group, would be poisoned.
const connectionsPerCall = 4

// bounded is a listener that has no more than so many connections open. Where one comes beyond, the one that has been
// quiet for longest has to go: it says nothing, or has said no whole request yet. So whoever opens many connections, or
// sends a header little by little, keeps nobody else out. Where all are in the midst of a call, the new one waits.
type bounded struct {
	net.Listener
	most   int
	close  sync.Once
	closed chan struct{}
	left   chan struct{} // holds a value when a connection has been closed since it was looked at last

	mu      sync.Mutex
	open    map[*seated]struct{}
	dropped atomic.Int64
}

func newBounded(l net.Listener, connections int) *bounded {
	return &bounded{Listener: l, most: connections, closed: make(chan struct{}), left: make(chan struct{}, 1), open: map[*seated]struct{}{}}
}

// Accept waits for a connection, and then for room.
func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := &seated{Conn: conn, from: b}
	s.quiet.Store(time.Now().UnixNano())
	for !b.seat(s) {
		select {
		case <-b.left:
		case <-b.closed:
			_ = conn.Close() // nobody serves it
			return nil, net.ErrClosed
		}
	}
	return s, nil
}

// seat takes the connection in, where there is room or can be made.
func (b *bounded) seat(s *seated) bool {
	b.mu.Lock()
	var oldest *seated
	if len(b.open) >= b.most {
		for other := range b.open {
			if at := other.quiet.Load(); at != 0 && (oldest == nil || at < oldest.quiet.Load()) {
				oldest = other
			}
		}
		if oldest == nil {
			b.mu.Unlock()
			return false
		}
		delete(b.open, oldest)
		b.dropped.Add(1)
	}
	b.open[s] = struct{}{}
	b.mu.Unlock()
	if oldest != nil {
		_ = oldest.Conn.Close() // its server finds out when it reads
	}
	return true
}

// Close also ends an Accept that waits for room.
func (b *bounded) Close() error {
	b.close.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// state is told by the HTTP server what a connection does.
func (b *bounded) state(conn net.Conn, now http.ConnState) {
	s := seatOf(conn)
	if s == nil {
		return
	}
	if now == http.StateIdle {
		s.quiet.Store(time.Now().UnixNano())
	} else if now == http.StateActive {
		s.quiet.Store(0)
	}
}

// seated is a connection that makes room when it is closed.
//
// It can hold writes back. net/http and crypto/tls make six of a window: each wakes the client for a record of 16 KB at most,
// and costs about as much as to encrypt it. What is held leaves in one.
type seated struct {
	net.Conn
	from  *bounded
	quiet atomic.Int64 // since when no call of it is under way, in nanoseconds; 0 where one is

	mu   sync.Mutex // crypto/tls also writes for whoever reads
	held *[]byte    // what was written since hold; nil where nothing is held back
}

// holding is how many bytes a connection holds back at most: a window of the usual size with what HTTP and TLS add to it.
const holding = 66 << 10

var heldBytes = sync.Pool{New: func() any { b := make([]byte, 0, holding); return &b }}

// hold keeps back what is written from here on. A connection that is nil does not.
func (s *seated) hold() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = heldBytes.Get().(*[]byte)
	}
}

// let writes what was held back, and from here on writes as it comes. Its error is that of the write.
func (s *seated) let() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return nil
	}
	err := s.send()
	heldBytes.Put(s.held)
	s.held = nil
	return err
}

// send writes what is held, and holds on.
func (s *seated) send() error {
	if len(*s.held) == 0 {
		return nil
	}
	_, err := s.Conn.Write(*s.held)
	*s.held = (*s.held)[:0]
	return err
}

// Write holds p back, or writes it.
func (s *seated) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return s.Conn.Write(p)
	}
	if len(*s.held)+len(p) > holding {
		if err := s.send(); err != nil {
			return 0, err
		}
	}
	if len(p) > holding {
		return s.Conn.Write(p)
	}
	*s.held = append(*s.held, p...)
	return len(p), nil
}

func (s *seated) Close() error {
	err := s.Conn.Close()
	s.from.mu.Lock()
	delete(s.from.open, s)
	s.from.mu.Unlock()
	select {
	case s.from.left <- struct{}{}:
	default:
	}
	return err
}

// seatOf is the connection that an HTTP server speaks of, TLS or not; nil where it is none of a bounded listener's.
func seatOf(c net.Conn) *seated {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	s, _ := c.(*seated)
	return s
}

// connection is the key of a request's connection in its context, from which net/http lets nothing else know it.
type connection struct{}

// knowing is http.Server.ConnContext.
func knowing(ctx context.Context, c net.Conn) context.Context {
	if s := seatOf(c); s != nil {
		return context.WithValue(ctx, connection{}, s)
	}
	return ctx
}

// alone is the connection of a request that has it to itself; nil in HTTP/2, in which others would wait for it.
func alone(r *http.Request) *seated {
	if r.ProtoMajor != 1 {
		return nil
	}
	s, _ := r.Context().Value(connection{}).(*seated)
	return s
}
