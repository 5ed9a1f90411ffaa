package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is one kind of request, sent again as soon as it is answered, on each of so many connections.
type load struct {
	address     string // host:port
	tls         *tls.Config
	http2       bool
	connections int
	path        string
	token       string
	clients     []client // open, from one slice to the next
}

// client is one connection.
type client interface {
	// once sends the request and reads the whole answer, of which it returns the length. Only a 200 is an answer.
	once() (int64, error)
	// ask has it ask for another path from here on.
	ask(path string)
	close()
}

// slice is what a load came to in a while.
type slice struct {
	requests int
	bytes    int64 // of bodies
	took     time.Duration
	each     []time.Duration // in order of length
}

// run loads for a while: no request begins after it, and those that have begun end.
func (l *load) run(d time.Duration) (slice, error) {
	for len(l.clients) < l.connections {
		c, err := l.open()
		if err != nil {
			return slice{}, err
		}
		l.clients = append(l.clients, c)
	}
	var (
		mu    sync.Mutex
		total slice
		errs  []error
		all   sync.WaitGroup
	)
	start := time.Now()
	for _, c := range l.clients {
		all.Go(func() {
			var s slice
			var err error
			for at := start; err == nil && at.Sub(start) < d; {
				var n int64
				n, err = c.once()
				now := time.Now()
				s.requests, s.bytes, s.each = s.requests+1, s.bytes+n, append(s.each, now.Sub(at))
				at = now
			}
			mu.Lock()
			defer mu.Unlock()
			total.requests, total.bytes, total.each = total.requests+s.requests, total.bytes+s.bytes, append(total.each, s.each...)
			errs = append(errs, err)
		})
	}
	all.Wait()
	total.took = time.Since(start)
	slices.Sort(total.each)
	return total, errors.Join(errs...)
}

// quantile is the latency that so much of the requests had at most.
func (s *slice) quantile(q float64) time.Duration { return s.each[int(q*float64(len(s.each)-1))] }

// ask has all connections ask for another path.
func (l *load) ask(path string) {
	l.path = path
	for _, c := range l.clients {
		c.ask(path)
	}
}

func (l *load) close() {
	for _, c := range l.clients {
		c.close()
	}
	l.clients = nil
}

func (l *load) open() (client, error) {
	if l.http2 {
		return newStream(l), nil
	}
	return newWire(l)
}

func (l *load) url() string {
	scheme := "http://"
	if l.tls != nil {
		scheme = "https://"
	}
	return scheme + l.address + l.path
}

// wire speaks HTTP/1.1 as little as it takes, so that the load costs less than what is loaded.
type wire struct {
	conn    net.Conn
	in      *bufio.Reader
	host    string
	token   string
	request []byte
}

func newWire(l *load) (*wire, error) {
	conn, err := net.DialTimeout("tcp", l.address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if l.tls != nil {
		secure := l.tls.Clone()
		secure.NextProtos = []string{"http/1.1"}
		conn = tls.Client(conn, secure)
	}
	w := &wire{conn: conn, in: bufio.NewReaderSize(conn, 32<<10), host: l.address, token: l.token}
	w.ask(l.path)
	return w, nil
}

func (w *wire) ask(path string) {
	w.request = fmt.Appendf(nil,
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: application/fhir+json\r\nAuthorization: Bearer %s\r\n\r\n", path, w.host, w.token)
}

func (w *wire) close() { _ = w.conn.Close() }

func (w *wire) once() (int64, error) {
	if err := w.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	if _, err := w.conn.Write(w.request); err != nil {
		return 0, err
	}
	status, err := w.line()
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("answered %q", status)
	}
	length := int64(-1)
	for {
		line, err := w.line()
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return 0, err
			}
		}
	}
	if length >= 0 {
		return length, w.discard(length)
	}
	for length = 0; ; {
		line, err := w.line()
		if err != nil {
			return 0, err
		}
		chunk, err := strconv.ParseInt(string(line), 16, 64)
		if err != nil {
			return 0, err
		}
		if err := w.discard(chunk + 2); err != nil { // with the line's end behind it
			return 0, err
		}
		if chunk == 0 {
			return length, nil
		}
		length += chunk
	}
}

func (w *wire) line() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

func (w *wire) discard(n int64) error {
	for n > 0 {
		k, err := w.in.Discard(int(min(n, 1<<20)))
		if n -= int64(k); err != nil {
			return err
		}
	}
	return nil
}

// stream is an HTTP/2 connection, one request at a time.
type stream struct {
	transport *http.Transport
	request   *http.Request
	buf       []byte
}

func newStream(l *load) *stream {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(l.tls != nil)
	protocols.SetUnencryptedHTTP2(l.tls == nil)
	t := &http.Transport{Protocols: protocols, TLSClientConfig: l.tls.Clone(), DisableCompression: true}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, l.url(), nil)
	if err != nil {
		panic(err) // the address is ours
	}
	req.Header.Set("Accept", "application/fhir+json")
	req.Header.Set("Authorization", "Bearer "+l.token)
	return &stream{transport: t, request: req, buf: make([]byte, 32<<10)}
}

func (s *stream) ask(path string) {
	u := *s.request.URL
	if at, err := u.Parse(path); err == nil { // the path is ours
		s.request.URL = at
	}
}

func (s *stream) close() { s.transport.CloseIdleConnections() }

func (s *stream) once() (int64, error) {
	resp, err := s.transport.RoundTrip(s.request)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answered %s", resp.Status)
	}
	if resp.ProtoMajor != 2 {
		return 0, fmt.Errorf("answered in %s", resp.Proto)
	}
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, s.buf)
}
