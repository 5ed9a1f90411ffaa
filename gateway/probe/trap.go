package probe

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// trap is a server on loopback that nobody has a reason to call.
type trap struct {
	url, host string // "http://127.0.0.1:4711/fhir"
	bait      string // what it answers with
	called    atomic.Int64
	server    *http.Server
}

func newTrap() (*trap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &trap{host: l.Addr().String(), url: "http://" + l.Addr().String() + "/fhir", bait: "hdctrap"}
	t.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.called.Add(1)
		w.Header().Set("Content-Type", fhirType)
		fmt.Fprintf(w, `{"resourceType":"Practitioner","id":"1","active":true,"name":[{"family":"%s"}]}`, t.bait)
	})}
	go func() { _ = t.server.Serve(l) }() // it ends when the trap is closed
	return t, nil
}

func (t *trap) calls() int64 { return t.called.Load() }

func (t *trap) close() { _ = t.server.Close() } // nobody waits for it
