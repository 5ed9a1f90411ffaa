package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// node is one of the machines that a server answers at: it dies, and comes back at its address.
type node struct {
	t    *testing.T
	name string
	addr string

	mu      sync.Mutex
	server  *http.Server
	methods []string                                 // that it was asked by
	answer  func(http.ResponseWriter, *http.Request) // instead of its own
}

func newNode(t *testing.T, name string) *node {
	n := &node{t: t, name: name, addr: "127.0.0.1:0"}
	n.start()
	t.Cleanup(n.die)
	return n
}

func (n *node) start() {
	n.t.Helper()
	l, err := net.Listen("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.addr = l.Addr().String()
	s := &http.Server{Handler: n, ReadHeaderTimeout: time.Minute}
	n.mu.Lock()
	n.server = s
	n.mu.Unlock()
	go func() { _ = s.Serve(l) }()
}

func (n *node) die() {
	n.mu.Lock()
	s := n.server
	n.mu.Unlock()
	_ = s.Close()
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.methods = append(n.methods, r.Method)
	answer := n.answer
	n.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	jsonBody(fmt.Sprintf("%q", n.name+" "+r.URL.Path))(w, r)
}

func (n *node) answers(f func(http.ResponseWriter, *http.Request)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = f
}

func (n *node) asked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.methods)
}

// pair is a server at two addresses, with paths of their own.
func pair(t *testing.T, change func(*upstream.Options)) (e *upstream.EHR, first, second *node) {
	t.Helper()
	first, second = newNode(t, "first"), newNode(t, "second")
	e = ehr(t, "http://"+first.addr+"/a", func(o *upstream.Options) {
		o.Standbys = []string{"http://" + second.addr + "/b/r4"}
		if change != nil {
			change(o)
		}
	})
	return e, first, second
}

var create = upstream.Call{Method: "POST", Path: "Patient", Body: []byte(resource)}

// The second address is asked where the first cannot be reached, and goes on being asked until it cannot be reached
// itself. No call fails as long as one of them is there.
func TestStandby(t *testing.T) {
	e, first, second := pair(t, nil)
	reads := func(want string) {
		t.Helper()
		if body, err := fetch(t.Context(), e); err != nil || body != `"`+want+`"` {
			t.Fatalf("%s, %v; want %s", body, err, want)
		}
	}
	inUse := func(want int) {
		t.Helper()
		for i, a := range e.Health().Addresses {
			if a.InUse != (i == want) {
				t.Errorf("%+v: address %d should be in use", e.Health(), want)
			}
		}
	}
	reads("first /a/Patient/1")
	inUse(0)
	first.die()
	reads("second /b/r4/Patient/1")
	inUse(1)
	first.start()
	reads("second /b/r4/Patient/1")
	second.die()
	reads("first /a/Patient/1")
	first.die()
	_, err := fetch(t.Context(), e)
	fails(t, err, upstream.Unreachable, "the connection was refused")
	second.start()
	reads("second /b/r4/Patient/1")
	if got := e.Bases(); !slices.Contains(got, "http://"+first.addr+"/a") || !slices.Contains(got, "http://"+second.addr+"/b/r4") {
		t.Errorf("bases %q", got)
	}
}

// A write goes to the second address where nothing of it can have been sent to the first, and only there.
func TestAWriteAtAStandby(t *testing.T) {
	e, first, second := pair(t, nil)
	first.die()
	resp, err := e.Do(t.Context(), create)
	if err != nil || resp.Status != http.StatusOK || second.asked() != 1 {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()

	e, first, second = pair(t, nil)
	first.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err = e.Do(t.Context(), create)
	fails(t, err, upstream.Unreachable, "the connection ended before an answer")
	var failed *upstream.Error
	if errors.As(err, &failed); !failed.Sent || second.asked() != 0 || first.asked() != 1 {
		t.Errorf("%+v: a write that may have arrived was sent again", failed)
	}
	// A read that got no answer is safe to repeat.
	if body, err := fetch(t.Context(), e); err != nil || !strings.Contains(body, "second") {
		t.Error(body, err)
	}
}

// What an address answers is the answer: no other is asked what it would say.
func TestAnAnswerIsNotAskedForElsewhere(t *testing.T) {
	for _, status := range []int{400, 404, 409, 429, 500, 503} {
		e, first, second := pair(t, nil)
		first.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		resp, err := e.Do(t.Context(), patient)
		if err != nil || resp.Status != status || second.asked() != 0 {
			t.Errorf("%d: %v, %v; the second was asked %d times", status, resp, err, second.asked())
		}
		_ = resp.Body.Close()
	}
	// Nor where the time is over.
	e, first, second := pair(t, func(o *upstream.Options) { o.HeaderTimeout = short })
	first.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := fetch(t.Context(), e)
	fails(t, err, upstream.Timeout, "no answer in time")
	if second.asked() != 0 {
		t.Error("the second was asked")
	}
}

// An address that fails too often, or asks to be left alone, is passed over without being asked; when all are, the call
// is refused.
func TestAStandbyBehindABreaker(t *testing.T) {
	fail := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	e, first, second := pair(t, func(o *upstream.Options) {
		o.Breaker = &upstream.Breaker{Calls: 3, Percent: 70, Within: time.Minute, Rest: time.Minute}
	})
	first.answers(fail)
	for range 3 {
		_, _ = fetch(t.Context(), e)
	}
	if body, err := fetch(t.Context(), e); err != nil || !strings.Contains(body, "second") || first.asked() != 3 {
		t.Fatalf("%s, %v; the first was asked %d times", body, err, first.asked())
	}
	h := e.Health()
	if h.Addresses[0].Breaker != upstream.Opened || h.Addresses[1].Breaker != upstream.Closed || h.Failing() {
		t.Errorf("%+v", h)
	}
	second.answers(fail)
	for range 3 {
		_, _ = fetch(t.Context(), e)
	}
	_, err := fetch(t.Context(), e)
	fails(t, err, upstream.BreakerOpen, "it has failed too often")
	if !e.Health().Failing() || second.asked() != 4 {
		t.Errorf("%+v, the second was asked %d times", e.Health(), second.asked())
	}

	e, first, _ = pair(t, nil)
	first.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, err := fetch(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if body, err := fetch(t.Context(), e); err != nil || !strings.Contains(body, "second") || first.asked() != 1 {
		t.Error(body, err)
	}
}

// An address that takes no connection in its time is passed over as well.
func TestAStandbyForASilentHost(t *testing.T) {
	second := newNode(t, "second")
	e := ehr(t, "http://127.0.0.1:1/a", func(o *upstream.Options) {
		o.Standbys, o.ConnectTimeout, o.HeaderTimeout = []string{"http://" + second.addr}, short, short
	})
	e.SetDial(func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == second.addr {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
		<-ctx.Done() // nobody answers
		return nil, ctx.Err()
	})
	if body, err := fetch(t.Context(), e); err != nil || !strings.Contains(body, "second") {
		t.Error(body, err)
	}
}

// The certificate has to be for the name that is configured, whatever the address.
func TestServerName(t *testing.T) {
	s, trust := serveTLS(t, true, jsonBody(resource))
	for name, ok := range map[string]bool{"example.com": true, "": true, "elsewhere.example": false} {
		body, err := fetch(t.Context(), ehr(t, s.URL, func(o *upstream.Options) { trust(o); o.ServerName = name }))
		if ok && (err != nil || body != resource) {
			t.Errorf("%q: %s, %v", name, body, err)
		} else if !ok {
			fails(t, err, upstream.Unreachable, "its certificate is not trusted")
		}
	}
}

// Each address is looked at by a check.
func TestCheckOfEachAddress(t *testing.T) {
	e, first, second := pair(t, nil)
	statement := jsonBody(`{"resourceType":"CapabilityStatement"}`)
	first.answers(statement)
	second.answers(statement)
	if err := e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.die()
	err := e.Check(t.Context())
	if !errors.Is(err, upstream.Unreachable) || !strings.Contains(err.Error(), second.addr) || strings.Contains(err.Error(), first.addr) {
		t.Errorf("%v", err)
	}
}
