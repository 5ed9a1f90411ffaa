package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// connectionsPerCall is how many connections a listener takes for each call that may be under
// way: most are idle. Without a bound, connections that say nothing use up the process's
// descriptors, and the access log, which opens a file with each group, would be poisoned.
const connectionsPerCall = 4

// bounded is a listener that has no more than so many connections open; those beyond wait in
// the kernel's queue.
type bounded struct {
	net.Listener
	seats  chan struct{}
	close  sync.Once
	closed chan struct{}
}

func newBounded(l net.Listener, connections int) *bounded {
	return &bounded{Listener: l, seats: make(chan struct{}, connections), closed: make(chan struct{})}
}

// Accept waits for a seat, and then for a connection.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.seats <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.seats
		return nil, err
	}
	return &seated{Conn: conn, leave: sync.OnceFunc(func() { <-b.seats })}, nil
}

// Close also ends an Accept that waits for a seat.
func (b *bounded) Close() error {
	b.close.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// seated is a connection that gives its seat back.
//
// It can hold writes back. net/http and crypto/tls make six of a window: each wakes the client for a record of 16 KB at most,
// and costs about as much as to encrypt it. What is held leaves in one.
type seated struct {
	net.Conn
	leave func()

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
	defer s.leave()
	return s.Conn.Close()
}

// connection is the key of a request's connection in its context, from which net/http lets nothing else know it.
type connection struct{}

// knowing is http.Server.ConnContext.
func knowing(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	if s, ok := c.(*seated); ok {
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
