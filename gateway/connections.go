package gateway

import (
	"net"
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
type seated struct {
	net.Conn
	leave func()
}

func (s *seated) Close() error {
	defer s.leave()
	return s.Conn.Close()
}
