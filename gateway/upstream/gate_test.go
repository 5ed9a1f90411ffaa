package upstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// load is a server that answers once released, behind a gate.
func load(t *testing.T, l upstream.Load) (e *upstream.EHR, release chan struct{}, asked *atomic.Int64) {
	t.Helper()
	release, asked = make(chan struct{}), &atomic.Int64{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
		jsonBody(resource)(w, r)
	})
	return ehr(t, s.URL, func(o *upstream.Options) { o.Load = l }), release, asked
}

// await waits for a condition that another goroutine brings about.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-late:
			t.Fatal("not in time: " + what)
		case <-time.After(time.Millisecond):
		}
	}
}

// No more requests are under way than may be; a few calls wait, those beyond are refused at once, and one that has
// waited long enough is refused as well.
func TestLoad(t *testing.T) {
	e, release, asked := load(t, upstream.Load{Requests: 2, Queue: 1, Wait: time.Minute})
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			if body, err := fetch(t.Context(), e); err != nil || body != resource {
				t.Error(body, err)
			}
		})
	}
	await(t, "two under way, one waiting", func() bool {
		h := e.Health()
		return asked.Load() == 2 && h.Requests == 2 && h.Waiting == 1
	})
	_, err := e.Do(t.Context(), upstream.Call{Method: "POST", Path: "Patient", Body: []byte(resource)})
	fails(t, err, upstream.Full, "it has as many requests as it is given at once")
	var full *upstream.Error
	if errors.As(err, &full); full.Sent || full.RetryAfter != time.Second {
		t.Errorf("%+v", full)
	}
	close(release)
	wait.Wait()
	if h := e.Health(); h.Requests != 0 || h.Waiting != 0 || asked.Load() != 3 {
		t.Errorf("%+v after %d requests", h, asked.Load())
	}
}

// Who waits is let go when its own time is over, or the wait's.
func TestTheWaitForATurnIsBounded(t *testing.T) {
	for _, c := range []struct {
		name   string
		wait   time.Duration
		own    time.Duration
		kind   upstream.Kind
		reason string
	}{
		{"its turn did not come", short, time.Minute, upstream.Full, "it has as many requests as it is given at once"},
		{"its own deadline", time.Minute, short, upstream.Timeout, "the caller's deadline passed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, release, asked := load(t, upstream.Load{Requests: 1, Queue: 1, Wait: c.wait})
			defer close(release)
			go func() { _, _ = fetch(t.Context(), e) }()
			await(t, "one under way", func() bool { return asked.Load() == 1 })
			ctx, cancel := context.WithTimeout(t.Context(), c.own)
			defer cancel()
			_, err := fetch(ctx, e)
			fails(t, err, c.kind, c.reason)
			if asked.Load() != 1 {
				t.Error("the EHR was asked")
			}
		})
	}
}

// A turn lasts until the answer's body has ended: read to its end, broken, or closed; and where there is no body, or no
// answer, it ends with that.
func TestATurnEndsWithTheBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/Patient/html":
			w.Header().Set("Content-Type", "text/html")
		case "/Patient/cut":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "{")
		case "/Patient/none":
			panic(http.ErrAbortHandler)
		case "/Patient/204":
			w.WriteHeader(http.StatusNoContent)
		default:
			jsonBody(resource)(w, r)
		}
	})
	e := ehr(t, s.URL, func(o *upstream.Options) { o.Load = upstream.Load{Requests: 1} })
	get := func(id string) (*upstream.Response, error) {
		return e.Do(t.Context(), upstream.Call{Method: "GET", Path: "Patient/" + id})
	}
	for range 3 {
		resp, err := get("1")
		if err != nil {
			t.Fatal(err)
		}
		_, err = get("1")
		fails(t, err, upstream.Full, "it has as many requests as it is given at once")
		_, _ = io.ReadAll(resp.Body)
		again, err := get("1") // the first is at its end, and not closed
		if err != nil {
			t.Fatal(err)
		}
		_ = again.Body.Close()
		_ = resp.Body.Close()
		cut, err := get("cut")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(cut.Body)
		fails(t, err, upstream.Cut, "the answer ended early")
		for _, id := range []string{"html", "none"} {
			if _, err := get(id); err == nil || errors.Is(err, upstream.Full) {
				t.Fatal(id, err)
			}
		}
		gone, err := e.Do(t.Context(), upstream.Call{Method: "DELETE", Path: "Patient/204"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := get("none"); errors.Is(err, upstream.Full) {
			t.Fatal("an answer without a body holds its turn")
		}
		_ = gone.Body.Close()
		_ = cut.Body.Close()
	}
	if n := e.Health().Requests; n != 0 {
		t.Errorf("%d requests under way", n)
	}
}

// The EHR is asked no faster than it may be, and the calls beyond wait, or are refused.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, func(o *upstream.Options) {
			o.Load = upstream.Load{Queue: 100, Wait: 3 * time.Second, PerSecond: 2, Burst: 4}
		})
		began := time.Now()
		for range 8 {
			if err := p.call(t, 1); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("8 calls took %s", took)
		}
		p.plays("") // the answers do not matter
		var wait sync.WaitGroup
		var refused atomic.Int64
		for range 30 {
			wait.Go(func() {
				if err := p.call(t, 1); errors.Is(err, upstream.Full) {
					refused.Add(1)
					fails(t, err, upstream.Full, "it has as many requests as it is given in a second")
				}
			})
		}
		wait.Wait()
		if n := p.asked() - 8; n > 12 || refused.Load() != int64(30-n) {
			t.Errorf("%d of 30 were sent, %d refused", n, refused.Load())
		}
		synctest.Wait()
	})
}
