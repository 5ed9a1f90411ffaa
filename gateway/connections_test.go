package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// counted is a listener that counts what its connections write, and on demand lets no more through.
type counted struct {
	net.Listener
	writes atomic.Int64
	broken atomic.Bool
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l}, err
}

type countedConn struct {
	net.Conn
	of *counted
}

var errBroken = errors.New("the line is dead")

func (c countedConn) Write(p []byte) (int, error) {
	if c.of.broken.Load() {
		return 0, errBroken
	}
	c.of.writes.Add(1)
	return c.Conn.Write(p)
}

func withListener(l *counted) setting {
	return func(o *worldOptions) {
		o.run = func(r *gateway.RunOptions) {
			l.Listener = r.Listener
			r.Listener = l
		}
	}
}

// locations are so many of about a kilobyte, as the entries of a searchset that has begun with others or not.
func locations(from, n int) string {
	var all strings.Builder
	for i := from; i < from+n; i++ {
		_, _ = fmt.Fprintf(&all, `%s{"resource":{"resourceType":"Location","id":"l%d","status":"active","name":"%s"}}`, ","[:min(1, i)], i, strings.Repeat("x", 1000))
	}
	return all.String()
}

// TestAWindowIsOneWrite has answers of one window, of less than the buffer of net/http and more, and of several: each window
// leaves in one write to the client's connection, all of it at once, while the EHR has not gone on.
func TestAWindowIsOneWrite(t *testing.T) {
	next := make(chan struct{})
	ehr := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(rw, `{"resourceType":"Bundle","type":"searchset","entry":[`)
		n, err := strconv.Atoi(r.URL.Query().Get("_count"))
		check(t, err)
		if n > 100 {
			_, _ = io.WriteString(rw, locations(0, 100))
			_ = http.NewResponseController(rw).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			_, _ = io.WriteString(rw, locations(100, n-100))
		} else {
			_, _ = io.WriteString(rw, locations(0, n))
		}
		_, _ = io.WriteString(rw, `]}`)
	})
	line := &counted{}
	w := newWorld(t, withEHR(ehr), withListener(line))
	w.http1()
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.get(token, "/Location?_count=1") // the handshake is over
	for _, count := range []string{"1", "5", "40"} {
		before := line.writes.Load()
		r := w.get(token, "/Location?_count="+count)
		if r.status != 200 || r.err != nil || fmt.Sprint(len(r.json().Get("entry").Array())) != count {
			t.Fatalf("%d %v %.300s", r.status, r.err, r.body)
		}
		if n := line.writes.Load() - before; n != 1 {
			t.Errorf("%d writes of an answer with %s entries, want 1", n, count)
		}
	}

	before := line.writes.Load()
	resp := w.open("/Location?_count=300", "parts")
	for seen := 0; seen < 60<<10; { // of the 100 KB that the EHR has said, while it says no more
		n, err := resp.Body.Read(make([]byte, 32<<10))
		if seen += n; err != nil {
			t.Fatalf("%d bytes: %v", seen, err)
		}
	}
	close(next)
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	windows := int64(len(w.records("parts")))
	if n := line.writes.Load() - before; windows < 4 || n > windows+1 { // the end of the chunks is net/http's
		t.Errorf("%d writes of %d windows", n, windows)
	}
	w.verify()
}

// TestAWindowLongerThanIsHeld has windows of more than a connection holds back: they leave in a few writes, whole and in order.
func TestAWindowLongerThanIsHeld(t *testing.T) {
	line := &counted{}
	w := newWorld(t, withListener(line), withEHR(says(`{"resourceType":"Bundle","type":"searchset","entry":[`+locations(0, 700)+`]}`)),
		withConfig(func(y string) string { return y + "limits: {window: 256KiB}\n" }))
	w.http1()
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.get(token, "/Location")
	before := line.writes.Load()
	r := w.get(token, "/Location")
	entries := r.json().Get("entry.#.resource.name").Array()
	if r.err != nil || !gjson.ValidBytes(r.body) || len(entries) != 700 {
		t.Fatalf("%d %v, %d entries", r.status, r.err, len(entries))
	}
	for _, name := range entries {
		if name.String() != strings.Repeat("x", 1000) {
			t.Fatalf("a name is %q", name)
		}
	}
	if n := line.writes.Load() - before; n > 16 {
		t.Errorf("%d writes of 700 KB", n)
	}
	w.named(r)
}

// TestALineBreaksUnderAWindow has the one write of a window fail: the record of the window is durable, another says that the
// body was cut, and the connection is gone.
func TestALineBreaksUnderAWindow(t *testing.T) {
	line := &counted{}
	w := newWorld(t, withListener(line), withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		line.broken.Store(r.URL.Query().Get("_count") != "1")
		_, _ = io.WriteString(rw, `{"resourceType":"Bundle","type":"searchset","entry":[`+locations(0, 100)+`]}`)
	})))
	w.http1()
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.get(token, "/Location?_count=1")
	if r := w.get(token, "/Location?_count=100", "X-Request-Id", "broken"); r.err == nil {
		t.Fatalf("answered: %d", r.status)
	}
	w.until("a closing record", func() bool {
		all := w.records("broken")
		return len(all) == 2 && all[0].Kind == accesslog.KindAccess && all[1].Kind == accesslog.KindClose && all[1].Detail == "aborted"
	})
	line.broken.Store(false)
	check(t, w.close())
	w.verify()
}
