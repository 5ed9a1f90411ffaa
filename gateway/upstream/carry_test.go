package upstream_test

import (
	"crypto/elliptic"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// What a server came to be known for under one configuration is known under the next, where its settings are the same.
func TestAReloadForgetsNothing(t *testing.T) {
	failing := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	breaker := upstream.Breaker{Calls: 2, Percent: 50, Within: time.Minute, Rest: time.Minute}
	options := func(o *upstream.Options) {
		b := breaker
		o.Breaker, o.Load = &b, upstream.Load{Requests: 1}
	}
	e := ehr(t, failing.URL, options)
	next := func(change func(*upstream.Options)) *upstream.EHR {
		return ehr(t, failing.URL, func(o *upstream.Options) {
			options(o)
			if change != nil {
				change(o)
			}
			o.Previous = e
		})
	}
	for range 2 {
		_, _ = fetch(t.Context(), e)
	}
	for _, c := range []struct {
		name   string
		change func(*upstream.Options)
		open   bool
	}{
		{"the same", nil, true},
		{"another time", func(o *upstream.Options) { o.HeaderTimeout = time.Minute }, true},
		{"one more address", func(o *upstream.Options) { o.Standbys = []string{"http://127.0.0.1:9"} }, true},
		{"another load", func(o *upstream.Options) { o.Load.Requests = 2 }, true},
		{"another breaker", func(o *upstream.Options) { o.Breaker.Calls = 3 }, false},
		{"no breaker", func(o *upstream.Options) { o.Breaker = nil }, false},
		{"another name", func(o *upstream.Options) { o.Name = "west" }, false},
		{"another path", func(o *upstream.Options) { o.BaseURL += "/r5" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := next(c.change)
			if got := after.Health().Addresses[0].Breaker == upstream.Opened; got != c.open {
				t.Errorf("open: %t", got)
			}
		})
	}
}

// A reload while requests are under way neither forgets them nor lets others pass for them, and what ends under the old
// configuration makes room under the new one.
func TestAReloadKeepsTurns(t *testing.T) {
	release := make(chan struct{})
	var asked atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-release
		}
		jsonBody(resource)(w, r)
	})
	options := func(o *upstream.Options) { o.Load = upstream.Load{Requests: 1} }
	e := ehr(t, s.URL, options)
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := fetch(t.Context(), e); err != nil {
			t.Error(err)
		}
	})
	await(t, "one under way", func() bool { return asked.Load() == 1 })
	after := ehr(t, s.URL, func(o *upstream.Options) { options(o); o.Previous = e })
	_, err := fetch(t.Context(), after)
	fails(t, err, upstream.Full, "it has as many requests as it is given at once")
	close(release)
	wait.Wait()
	if _, err := fetch(t.Context(), after); err != nil {
		t.Error(err)
	}
}

// The access token goes on, too, also where the key that it was asked for with has been replaced; it is fetched anew where
// it would be another one.
func TestAReloadKeepsTokens(t *testing.T) {
	old, young := parsed(t, jwkOf(t, ecKey(t, elliptic.P384()), "old")), parsed(t, jwkOf(t, ecKey(t, elliptic.P384()), "young"))
	for _, c := range []struct {
		name    string
		change  func(*upstream.OAuth)
		fetches int
	}{
		{"the same", func(*upstream.OAuth) {}, 1},
		{"another key", func(o *upstream.OAuth) { o.Keys = append(young, old...) }, 1},
		{"other scopes", func(o *upstream.OAuth) { o.Scopes = []string{"system/Task.rs"} }, 2},
		{"another client", func(o *upstream.OAuth) { o.ClientID = "other" }, 2},
		{"another audience", func(o *upstream.OAuth) { o.Audience = "https://elsewhere.example" }, 2},
		{"another resource", func(o *upstream.OAuth) { o.Resource = "https://elsewhere.example" }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWall(t, newClock())
			oauth := func() *upstream.OAuth {
				return &upstream.OAuth{ClientID: "halfdoor", Keys: old, TokenURL: w.URL + "/token", Scopes: []string{"system/Patient.rs"}}
			}
			e := w.behind(func(o *upstream.Options) { o.OAuth = oauth() })
			reads(t, e)
			after := w.behind(func(o *upstream.Options) {
				o.OAuth, o.Previous = oauth(), e
				c.change(o.OAuth)
			})
			e.Close()
			reads(t, after)
			if n := w.fetched(); n != c.fetches {
				t.Errorf("%d tokens were asked for, want %d", n, c.fetches)
			}
		})
	}
}

// Keys are rotated by reloads while calls go on and tokens end: no call fails.
func TestKeysAreRotatedUnderLoad(t *testing.T) {
	clock := newClock()
	w := newWall(t, clock)
	var published atomic.Pointer[[]byte]
	w.jwks = func() []byte { return *published.Load() }
	keys := parsed(t, jwkOf(t, ecKey(t, elliptic.P384()), "key-0"))
	generation := func(before *upstream.EHR) *upstream.EHR {
		e := w.behind(func(o *upstream.Options) {
			o.Previous, o.OAuth = before, &upstream.OAuth{ClientID: "halfdoor", Keys: keys, TokenURL: w.URL + "/token"}
		})
		set, err := e.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		published.Store(&set) // the new key and the one before it, before the new one signs
		return e
	}
	var current atomic.Pointer[upstream.EHR]
	current.Store(generation(nil))
	var load sync.WaitGroup
	end := make(chan struct{})
	var calls atomic.Int64
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				resp, err := current.Load().Do(t.Context(), patient)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				calls.Add(1)
			}
		})
	}
	for n := range 8 {
		had := calls.Load()
		await(t, "calls go on", func() bool { return calls.Load() > had+20 || t.Failed() })
		young := parsed(t, jwkOf(t, ecKey(t, elliptic.P384()), "key-"+string(rune('1'+n))))
		keys = append(young, keys[0])
		current.Store(generation(current.Load()))
		fetched := w.fetched()
		clock.pass(10 * time.Minute) // every token has ended
		await(t, "the new key signs", func() bool { return w.fetched() > fetched || t.Failed() })
	}
	close(end)
	load.Wait()
	if w.fetched() < 9 {
		t.Errorf("%d tokens for 9 keys", w.fetched())
	}
}
