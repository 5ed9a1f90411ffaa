package upstream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// changes are those of a breaker, in their order.
type changes struct {
	mu  sync.Mutex
	all []string
}

func (c *changes) note(_ string, from, to upstream.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, string(from)+">"+string(to))
}

func (c *changes) seen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.all, " ")
}

// played is an EHR in a bubble of its own time, whose server answers each connection with what is played: the bytes of
// an answer, "" for none, or "refuse" for no connection.
type played struct {
	*upstream.EHR
	changes
	mu    sync.Mutex
	say   string
	calls int
}

const (
	fine   = "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	broken = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

func play(t *testing.T, change func(*upstream.Options)) *played {
	t.Helper()
	p := &played{say: fine}
	o := upstream.Options{Name: "main", BaseURL: "http://localhost/fhir", Changed: p.note,
		ConnectTimeout: time.Second, HeaderTimeout: time.Second, IdleTimeout: time.Second, TotalTimeout: time.Hour,
		Breaker: &upstream.Breaker{Calls: 4, Percent: 50, Within: 30 * time.Second, Rest: 10 * time.Second}}
	if change != nil {
		change(&o)
	}
	e, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p.EHR = e
	t.Cleanup(e.Close)
	e.SetDial(func(context.Context, string, string) (net.Conn, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.calls++
		say := p.say
		if say == "refuse" {
			return nil, &net.OpError{Op: "dial", Err: errors.New(marker)}
		}
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			if readHeader(server) != nil {
				return
			}
			if say == "" {
				_, _ = io.Copy(io.Discard, server)
				return
			}
			_, _ = io.WriteString(server, say)
		}()
		return client, nil
	})
	return p
}

func (p *played) plays(say string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say = say
}

func (p *played) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// call asks n times, each to the body's end.
func (p *played) call(t *testing.T, n int) (err error) {
	t.Helper()
	for range n {
		_, err = fetch(t.Context(), p.EHR)
	}
	return err
}

func (p *played) state() upstream.State { return p.Health().Addresses[0].Breaker }

// The breaker opens when half of at least four calls have failed, refuses at once while it rests, tries two calls, and
// closes when both are answered, or rests again when one is not.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, nil)
		_ = p.call(t, 2)
		p.plays(broken)
		_ = p.call(t, 1)
		if p.state() != upstream.Closed {
			t.Fatal("one failure of three opened it")
		}
		_ = p.call(t, 1)
		if p.state() != upstream.Opened {
			t.Fatalf("two failures of four did not: %s", p.seen())
		}
		asked := p.asked()
		err := p.call(t, 1)
		fails(t, err, upstream.BreakerOpen, "it has failed too often")
		var e *upstream.Error
		if errors.As(err, &e); e.RetryAfter < 8*time.Second || e.RetryAfter > 12*time.Second || e.Sent {
			t.Errorf("retry after %s", e.RetryAfter)
		}
		if p.asked() != asked || !p.Health().Failing() {
			t.Error("an open breaker lets calls pass, or does not say that it is open")
		}

		time.Sleep(12 * time.Second) // of the bubble's time
		_ = p.call(t, 1)
		if p.asked() != asked+1 || p.state() != upstream.Opened {
			t.Fatalf("a trial that failed: %s", p.seen())
		}
		time.Sleep(12 * time.Second)
		p.plays(fine)
		if err := p.call(t, 1); err != nil || p.state() != upstream.HalfOpen {
			t.Fatalf("after one trial: %v, %s", err, p.seen())
		}
		if err := p.call(t, 1); err != nil || p.state() != upstream.Closed || p.Health().Failing() {
			t.Fatalf("after two: %v, %s", err, p.seen())
		}
		if want := "closed>open open>half-open half-open>open open>half-open half-open>closed"; p.seen() != want {
			t.Errorf("changes %q", p.seen())
		}
		synctest.Wait()
	})
}

// What a call comes to counts against the EHR only where it is the EHR's fault.
func TestWhatTheBreakerCounts(t *testing.T) {
	status := func(line string, headers ...string) string {
		return "HTTP/1.1 " + line + "\r\n" + strings.Join(append(headers, ""), "\r\n") + "Content-Length: 0\r\nConnection: close\r\n\r\n"
	}
	for name, c := range map[string]struct {
		say  string
		call func(t *testing.T, p *played)
		open bool
	}{
		"no connection":     {"refuse", nil, true},
		"no answer in time": {"", nil, true},
		"500":               {broken, nil, true},
		"502":               {status("502 Bad"), nil, true},
		"503":               {status("503 Busy"), nil, true},
		"504":               {status("504 Slow"), nil, true},
		"not HTTP":          {"what?\r\n\r\n", nil, true},
		"a login page":      {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", nil, true},
		"a redirect":        {status("302 Found", "Location: http://elsewhere.example/"), nil, true},
		"a cut header":      {"HTTP/1.1 200 OK\r\nContent-", nil, true},
		"a cut body":        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", nil, true},
		"404":               {status("404 None"), nil, false},
		"401":               {status("401 Who"), nil, false},
		"429":               {status("429 Slower", "Retry-After: 5"), nil, false},
		"501":               {status("501 Never"), nil, false},
		"the client goes": {"", func(t *testing.T, p *played) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := fetch(ctx, p.EHR)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := play(t, func(o *upstream.Options) { o.Bearer = "" })
				p.plays(c.say)
				call := c.call
				if call == nil {
					call = func(t *testing.T, p *played) { _ = p.call(t, 1) }
				}
				for range 6 {
					call(t, p)
				}
				if got := p.state() == upstream.Opened; got != c.open {
					t.Errorf("open: %t, want %t", got, c.open)
				}
				want := 6
				if c.open {
					want = 4
				}
				if p.asked() != want {
					t.Errorf("the EHR was asked %d times, want %d", p.asked(), want)
				}
				synctest.Wait()
			})
		})
	}
}

// A trial whose client goes away is no verdict: the next call is the trial then.
func TestATrialWithoutAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, nil)
		p.plays(broken)
		_ = p.call(t, 4)
		time.Sleep(12 * time.Second) // of the bubble's time
		p.plays("")
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			_, err := fetch(ctx, p.EHR)
			cancel()
			fails(t, err, upstream.Timeout, "the caller's deadline passed")
		}
		if p.state() != upstream.HalfOpen {
			t.Fatal(p.seen())
		}
		p.plays(fine)
		if err := p.call(t, 2); err != nil || p.state() != upstream.Closed {
			t.Errorf("%v, %s", err, p.seen())
		}
		synctest.Wait()
	})
}

// While two trials are under way, nobody else passes; what was asked before the breaker opened says nothing of now.
func TestTrialsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, func(o *upstream.Options) { o.HeaderTimeout = time.Minute })
		p.plays("") // hangs for a minute
		var wait sync.WaitGroup
		old := func() { wait.Go(func() { _ = p.call(t, 1) }) }
		old()
		synctest.Wait()
		p.plays(broken)
		_ = p.call(t, 4)
		time.Sleep(12 * time.Second) // of the bubble's time
		p.plays("")
		old()
		old()
		synctest.Wait()
		err := p.call(t, 1)
		fails(t, err, upstream.BreakerOpen, "it has failed too often")
		if n := p.asked(); n != 7 {
			t.Errorf("the EHR was asked %d times", n)
		}
		time.Sleep(50 * time.Second) // the first one's time is over: no verdict on the trials
		if p.state() != upstream.HalfOpen {
			t.Error(p.seen())
		}
		wait.Wait()
		if p.state() != upstream.Opened {
			t.Error(p.seen())
		}
		synctest.Wait()
	})
}

// A 503 that says when to come back keeps calls away until then, though not for longer than a minute.
func TestTheEHRAsksForARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			after string
			rest  time.Duration
		}{
			{time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat), 9 * time.Second},
			{"7", 7 * time.Second},
			{"86400", time.Minute},
			{"-1", 0},
			{"soon", 0},
		} {
			p := play(t, nil)
			p.plays("HTTP/1.1 503 Busy\r\nRetry-After: " + c.after + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			resp, err := p.Do(t.Context(), patient)
			if err != nil || resp.Status != http.StatusServiceUnavailable {
				t.Fatal(resp, err)
			}
			_ = resp.Body.Close()
			p.plays(fine)
			err = p.call(t, 1)
			if c.rest == 0 {
				if err != nil {
					t.Errorf("%q: %v", c.after, err)
				}
				continue
			}
			fails(t, err, upstream.Resting, "it asked to be left alone")
			var e *upstream.Error
			if errors.As(err, &e); e.RetryAfter > c.rest || e.RetryAfter < c.rest-time.Second {
				t.Errorf("%q: retry after %s", c.after, e.RetryAfter)
			}
			time.Sleep(c.rest) // of the bubble's time
			if err := p.call(t, 1); err != nil {
				t.Errorf("%q, after it: %v", c.after, err)
			}
			if p.state() != upstream.Closed {
				t.Error(p.seen())
			}
		}
		synctest.Wait()
	})
}

// Without a breaker none opens.
func TestNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, func(o *upstream.Options) { o.Breaker = nil })
		p.plays(broken)
		_ = p.call(t, 20)
		if p.asked() != 20 || p.state() != upstream.Closed || slices.Contains(p.all, "closed>open") {
			t.Errorf("%d calls, %s", p.asked(), p.seen())
		}
		synctest.Wait()
	})
}

// Readers that leave no connection free say nothing of the server: who waits for one in vain is told that it is full, and the
// breaker stays closed.
func TestAWaitForAConnectionIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, func(o *upstream.Options) { o.MaxConnections, o.Breaker.Calls = 1, 2 })
		p.plays("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{")
		held, err := p.Do(t.Context(), patient)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Body.Close()
		for range 4 {
			_, err := p.Do(t.Context(), patient)
			fails(t, err, upstream.Full, "it has as many connections as it is given")
			var failed *upstream.Error
			if errors.As(err, &failed); failed.RetryAfter <= 0 || failed.Sent {
				t.Errorf("%+v", failed)
			}
		}
		if p.asked() != 1 || p.state() != upstream.Closed || p.seen() != "" {
			t.Errorf("%d connections, breaker %s, %s", p.asked(), p.state(), p.seen())
		}
	})
}
