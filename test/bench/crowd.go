package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// A crowd is more than the gateway has room and memory for: clients that take large answers slowly, clients that send
// bodies slowly, and connections that say nothing, while the EHR answers with documents that have to be held, as the
// type of a resource comes last.

const (
	slowReaders = 300
	slowWriters = 100
	idlers      = 300

	crowdEntries = 8
	crowdName    = 600 << 10 // bytes of an entry, below what the filter looks ahead, and all of it leaves
	crowdBody    = 900 << 10 // bytes of a request
)

// large answers a search for locations with a crowd's document.
func (s *scene) large(next http.Handler) http.Handler {
	name := strings.Repeat("n", crowdName)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.crowded.Load() || !strings.HasSuffix(r.URL.Path, "/Location") {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, err := io.WriteString(w, `{"resourceType":"Bundle","type":"searchset","entry":[`)
		for i := 0; i < crowdEntries && err == nil; i++ {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			_, _ = fmt.Fprintf(w, `{"resource":{"id":"l%d","status":"active","name":"`, i)
			_, _ = io.WriteString(w, name)
			_, err = io.WriteString(w, `","resourceType":"Location"}}`)
		}
		_, _ = io.WriteString(w, "]}") // whoever is gone needs no answer
	})
}

// crowd plays one until ctx ends.
func crowd(ctx context.Context, s *scene) error {
	var err error
	if s.stranger, err = s.issuer.Token("demo-access", demo.TokenOptions{}); err != nil {
		return err
	}
	s.crowded.Store(true)
	defer s.crowded.Store(false)
	var all sync.WaitGroup
	for n := range slowReaders + slowWriters {
		all.Go(func() {
			pick := rand.New(rand.NewPCG(uint64(n), uint64(time.Now().UnixNano())))
			_ = every(ctx, 2*time.Second, func(int) error {
				o := s.one(ctx, pick, n < slowReaders)
				o.what, o.served = "slow: "+o.what, false // what counts as served is the others'
				s.count(o)
				return nil
			})
		})
	}
	for range idlers {
		all.Go(func() { idle(ctx, s) })
	}
	all.Wait()
	return nil
}

// one is a call of somebody slow.
func (s *scene) one(ctx context.Context, pick *rand.Rand, reads bool) outcome {
	c := call{client: s.slow[pick.IntN(len(s.slow))]}
	c.id, _, c.got = s.next(pick)
	c.token = s.stranger
	if reads {
		c.method, c.path, c.pause = http.MethodGet, "/Location?_count=5", func() { sleep(ctx, 3*time.Second) }
		return s.send(c)
	}
	c.method, c.kind = http.MethodPost, "application/fhir+json"
	c.body = io.MultiReader(&trickle{ctx: ctx, left: crowdBody}, strings.NewReader(twoSearches))
	return s.send(c)
}

// trickle is a body that comes a little at a time.
type trickle struct {
	ctx  context.Context
	left int
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	sleep(t.ctx, 10*time.Millisecond)
	n := min(len(p), t.left, 8<<10)
	for i := range n {
		p[i] = ' '
	}
	t.left -= n
	return n, nil
}

func sleep(ctx context.Context, d time.Duration) {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-late.C:
	case <-ctx.Done():
	}
}

// idle keeps a connection that sends part of a header, and opens another when it is closed.
func idle(ctx context.Context, s *scene) {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", s.listens)
		if err != nil {
			sleep(ctx, time.Second)
			continue
		}
		secure := tls.Client(conn, s.trust.Clone())
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		_, err = io.WriteString(secure, "GET /fhir/Location HTTP/1.1\r\nHost: slow\r\n")
		if err == nil {
			_, _ = io.Copy(io.Discard, secure) // until it is closed, by either side
		}
		stop()
		_ = conn.Close()
		sleep(ctx, 100*time.Millisecond)
	}
}
