package upstream_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// A read is asked for again as often as allowed, behind what may pass, after pauses that grow or that the EHR asks for.
func TestRetries(t *testing.T) {
	now := newClock()
	for _, c := range []struct {
		name   string
		status int // of all answers but the third; 0: the connection is cut
		after  string
		method string
		calls  int64
		least  []time.Duration
	}{
		{"busy", 503, "", "GET", 3, []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}},
		{"throttled, in seconds", 429, "2", "GET", 3, []time.Duration{2 * time.Second, 2 * time.Second}},
		{"throttled, to a time", 429, now.now().Add(3 * time.Second).UTC().Format(http.TimeFormat), "GET", 3, []time.Duration{3 * time.Second, 3 * time.Second}},
		{"a gateway's", 502, "", "HEAD", 3, []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}},
		{"a gateway's time", 504, "", "GET", 3, []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}},
		{"cut", 0, "", "GET", 3, []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}},
		{"for longer than is waited", 503, "60", "GET", 1, nil},
		{"broken", 500, "", "GET", 1, nil},
		{"missing", 404, "", "GET", 1, nil},
		{"a write", 503, "", "PUT", 1, nil},
		{"a write that is cut", 0, "", "POST", 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int64
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch n := calls.Add(1); {
				case n == 3:
					jsonBody(resource)(w, r)
				case c.status == 0:
					panic(http.ErrAbortHandler)
				default:
					w.Header().Set("Retry-After", c.after)
					w.WriteHeader(c.status)
				}
			})
			var paused []time.Duration
			e := ehr(t, s.URL, func(o *upstream.Options) { o.Retries, o.Now = 2, now.now })
			e.SetPause(func(_ context.Context, d time.Duration) { paused = append(paused, d) })
			call := upstream.Call{Method: c.method, Path: "Patient/1"}
			if c.method == "PUT" || c.method == "POST" {
				call.Body = []byte(resource)
			}
			resp, err := e.Do(t.Context(), call)
			if err == nil {
				_ = resp.Body.Close()
			}
			if good := err == nil && resp.Status == http.StatusOK; good != (c.calls == 3) || calls.Load() != c.calls || len(paused) != len(c.least) {
				t.Fatalf("%v after %d calls and pauses %v", err, calls.Load(), paused)
			}
			for i, d := range paused {
				if d < c.least[i] || d > c.least[i]*2+time.Millisecond {
					t.Errorf("pause %d is %s, want %s or somewhat more", i, d, c.least[i])
				}
			}
		})
	}
}

// Who goes while it waits is let go, and nothing more is asked; so it is when the retries are used up.
func TestRetriesEnd(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	e := ehr(t, s.URL, func(o *upstream.Options) { o.Retries = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	e.SetPause(func(context.Context, time.Duration) { cancel() })
	_, err := fetch(ctx, e)
	fails(t, err, upstream.Canceled, "the caller went away")
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
	e.SetPause(func(context.Context, time.Duration) {})
	resp, err := e.Do(t.Context(), patient)
	if err != nil || resp.Status != http.StatusTooManyRequests || resp.RetryAfter != "1" || calls.Load() != 4 {
		t.Fatalf("%v, %v after %d calls", resp, err, calls.Load())
	}
	_ = resp.Body.Close()
}

// A pause that would outlast the call, by its own total or by the deadline that it came with, is not begun: what the EHR
// said is handed on at once.
func TestRetriesDoNotOutlastTheCall(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	for _, c := range []struct {
		name     string
		total    time.Duration
		deadline time.Duration
		calls    int64
	}{
		{"time enough", time.Minute, time.Minute, 3},
		{"its total", 2 * time.Second, time.Minute, 1},
		{"the caller's deadline", time.Minute, 2 * time.Second, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls.Store(0)
			e := ehr(t, s.URL, func(o *upstream.Options) { o.Retries, o.TotalTimeout = 2, c.total })
			e.SetPause(func(context.Context, time.Duration) {})
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			defer cancel()
			resp, err := e.Do(ctx, patient)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.Status != http.StatusTooManyRequests || resp.RetryAfter != "3" || calls.Load() != c.calls {
				t.Errorf("%d, %q after %d calls", resp.Status, resp.RetryAfter, calls.Load())
			}
		})
	}
}
