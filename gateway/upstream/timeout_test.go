package upstream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

const short = 40 * time.Millisecond

func TestDeadPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	_ = l.Close()
	_, err = fetch(t.Context(), ehr(t, base, nil))
	fails(t, err, upstream.Unreachable, "the connection was refused")
}

func TestUnknownName(t *testing.T) {
	e := ehr(t, "https://nowhere.example/fhir", nil)
	e.SetDial(func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: marker, Name: marker, IsNotFound: true}}
	})
	_, err := fetch(t.Context(), e)
	fails(t, err, upstream.Unreachable, "its name is unknown")
}

// A host that does not answer: the dialer's own time runs out.
func TestSlowConnect(t *testing.T) {
	e := ehr(t, "http://127.0.0.1:1/fhir", nil)
	e.SetDial(func(ctx context.Context, network, _ string) (net.Conn, error) {
		// A dialer whose time is over before it begins fails as one whose time ran out.
		return (&net.Dialer{Deadline: time.Now().Add(-time.Second)}).DialContext(ctx, network, "127.0.0.1:1")
	})
	_, err := fetch(t.Context(), e)
	fails(t, err, upstream.Timeout, "no connection in time")
}

// A server that accepts and says nothing, at each step.
func TestSilence(t *testing.T) {
	hang := until(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts by its backlog, and nobody reads
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	half := raw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
		<-hang
	})
	partOfHeader := raw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		<-hang
	})
	for _, c := range []struct {
		name, base string
		change     func(*upstream.Options)
		body       string
		reason     string
	}{
		{"handshake", "https://" + l.Addr().String(), func(o *upstream.Options) { o.ConnectTimeout = short }, "", "no answer in time"},
		{"header", "http://" + l.Addr().String(), func(o *upstream.Options) { o.HeaderTimeout = short }, "", "no answer in time"},
		{"rest of the header", partOfHeader, func(o *upstream.Options) { o.HeaderTimeout = short }, "", "no answer in time"},
		{"header, in all", "http://" + l.Addr().String(), func(o *upstream.Options) { o.TotalTimeout = short }, "", "took too long in all"},
		{"body", half, func(o *upstream.Options) { o.IdleTimeout = short }, "{", "body stalled"},
		{"body, in all", half, func(o *upstream.Options) { o.TotalTimeout = 10 * short }, "{", "took too long in all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := fetch(t.Context(), ehr(t, c.base, c.change))
			fails(t, err, upstream.Timeout, c.reason)
			if body != c.body {
				t.Errorf("body %q, want %q", body, c.body)
			}
		})
	}
}

// A body that keeps coming is held to the total alone, and a read that failed goes on failing.
func TestDrip(t *testing.T) {
	more := make(chan struct{}, 1)
	hang := until(t)
	base := raw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n")
		for {
			if _, err := c.Write([]byte{' '}); err != nil {
				return
			}
			select {
			case <-more:
			case <-hang:
				return
			}
		}
	})
	e := ehr(t, base, func(o *upstream.Options) { o.TotalTimeout = 10 * short })
	resp, err := e.Do(t.Context(), patient)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	buf := make([]byte, 10)
	for err == nil {
		if _, err = resp.Body.Read(buf); err == nil {
			more <- struct{}{}
		}
	}
	fails(t, err, upstream.Timeout, "took too long in all")
	if n, again := resp.Body.Read(buf); n != 0 || again != err {
		t.Errorf("a failed body reads %d, %v", n, again)
	}
}

// The reader's own pauses are not the EHR's: in a bubble of its own time, over a pipe.
func TestPausesOfTheReaderDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := upstream.New(upstream.Options{Name: "main", BaseURL: "http://localhost/fhir",
			IdleTimeout: time.Second, TotalTimeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		e.SetDial(func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer func() { _ = server.Close() }()
				if readHeader(server) != nil {
					return
				}
				_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n")
				for range 5 {
					time.Sleep(900 * time.Millisecond) // of the bubble's time
					_, _ = server.Write([]byte{' '})
				}
			}()
			return client, nil
		})
		resp, err := e.Do(t.Context(), patient)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1)
		for i := range 5 {
			time.Sleep(10 * time.Second) // of the bubble's time
			if n, err := resp.Body.Read(buf); n != 1 || err != nil && !(i == 4 && err == io.EOF) {
				t.Fatal(n, err)
			}
		}
		if _, err := resp.Body.Read(buf); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		_ = resp.Body.Close()
		e.Close()
		synctest.Wait()
	})
}

// The client goes away: before the call, before the header, in the body; or its deadline passes.
func TestTheCallerGoesAway(t *testing.T) {
	came, hang := make(chan struct{}, 1), until(t)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			came <- struct{}{}
			select {
			case <-r.Context().Done():
			case <-hang:
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-hang:
		}
	})
	e := ehr(t, s.URL, nil)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.Do(ctx, patient)
	fails(t, err, upstream.Canceled, "the caller went away")

	ctx, cancel = context.WithCancel(t.Context())
	go func() { <-came; cancel() }()
	_, err = e.Do(ctx, upstream.Call{Method: "HEAD", Path: "Patient/1"})
	fails(t, err, upstream.Canceled, "the caller went away")

	ctx, cancelCause := context.WithCancelCause(t.Context())
	resp, err := e.Do(ctx, patient)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := resp.Body.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	cancelCause(errors.New(marker))
	_, err = io.ReadAll(resp.Body)
	fails(t, err, upstream.Canceled, "the caller went away")
	_ = resp.Body.Close()

	ctx, cancel = context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err = fetch(ctx, e)
	fails(t, err, upstream.Timeout, "the caller's deadline passed")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("it does not say that it was the context's")
	}
}

// A body that is closed while it is read ends that read.
func TestCloseDuringARead(t *testing.T) {
	hang := until(t)
	reading := make(chan struct{})
	base := raw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
		<-hang
	})
	resp, err := ehr(t, base, nil).Do(t.Context(), patient)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, _ = resp.Body.Read(make([]byte, 1))
		close(reading)
		_, err := resp.Body.Read(make([]byte, 1))
		got <- err
	}()
	<-reading
	_ = resp.Body.Close()
	fails(t, <-got, upstream.Canceled, "body was closed")
}
