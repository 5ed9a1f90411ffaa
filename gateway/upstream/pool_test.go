package upstream_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// counted is a server that counts its connections.
func counted(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &n
}

// One connection serves call after call: read to the end, not read at all, or an error's page.
func TestConnectionsAreReused(t *testing.T) {
	s, connections := counted(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/missing"):
			w.Header().Set("Content-Type", "application/fhir+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"resourceType":"OperationOutcome"}`)
		case strings.HasSuffix(r.URL.Path, "/html"):
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		default:
			jsonBody(resource)(w, r)
		}
	})
	e := ehr(t, s.URL, nil)
	for range 5 {
		if body, err := fetch(t.Context(), e); err != nil || body != resource {
			t.Fatal(body, err)
		}
		resp, err := e.Do(t.Context(), upstream.Call{Method: "GET", Path: "Patient/missing"})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		_, err = e.Do(t.Context(), upstream.Call{Method: "GET", Path: "Patient/html"})
		fails(t, err, upstream.NotJSON, "the answer is not JSON in UTF-8")
		resp, err = e.Do(t.Context(), upstream.Call{Method: "HEAD", Path: "Patient/1"})
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 0 {
			t.Fatal(body, err)
		}
		_ = resp.Body.Close()
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 20 calls", n)
	}
}

// A connection that the server closed while it was idle is replaced without the caller seeing it.
func TestAnIdleConnectionThatWasClosed(t *testing.T) {
	s, connections := counted(t, jsonBody(resource))
	e := ehr(t, s.URL, nil)
	for range 3 {
		if _, err := fetch(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// Calls beyond the connections wait for one, and not for ever.
func TestTheNumberOfConnectionsIsBounded(t *testing.T) {
	release := make(chan struct{})
	var open, most atomic.Int64
	s, connections := counted(t, func(w http.ResponseWriter, r *http.Request) {
		n := open.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		open.Add(-1)
		jsonBody(resource)(w, r)
	})
	e := ehr(t, s.URL, func(o *upstream.Options) { o.MaxConnections = 2 })
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			if _, err := fetch(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	wait.Wait()
	if n := connections.Load(); n > 2 || most.Load() > 2 {
		t.Errorf("%d connections, %d at once", n, most.Load())
	}

	hang := until(t)
	base := raw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
		<-hang
	})
	e = ehr(t, base, func(o *upstream.Options) { o.MaxConnections, o.ConnectTimeout, o.HeaderTimeout = 1, 6*short, 6*short })
	resp, err := e.Do(t.Context(), patient)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Do(t.Context(), patient)
	fails(t, err, upstream.Full, "it has as many connections as it is given")
	_ = resp.Body.Close()
}

func TestBodiesAreBounded(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    int
		chunked bool
		ok      bool
	}{
		{"at the bound", 100, false, true},
		{"at the bound, chunked", 100, true, true},
		{"one more", 101, false, false},
		{"one more, chunked", 101, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if c.chunked {
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.WriteString(w, strings.Repeat(" ", c.size))
			})
			body, err := fetch(t.Context(), ehr(t, s.URL, func(o *upstream.Options) { o.MaxBody = 100 }))
			if len(body) > 100 || c.ok && (err != nil || len(body) != 100) {
				t.Errorf("%d bytes, %v", len(body), err)
			}
			if !c.ok {
				fails(t, err, upstream.TooLarge, "the answer is longer than its bound")
			}
		})
	}
}

// A long body takes no more memory than a short one.
func TestMemoryIsConstant(t *testing.T) {
	const megabytes = 64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	resp, err := ehr(t, s.URL, nil).Do(t.Context(), patient)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var before, after runtime.MemStats
	buf := make([]byte, 64<<10)
	runtime.ReadMemStats(&before)
	for read := 0; read < megabytes<<20; {
		n, err := resp.Body.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		read += n
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes allocated over %d MiB", grown, megabytes)
	}
}
