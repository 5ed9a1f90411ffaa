package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// everyone authenticates all the tokens at once and returns how often each code came.
func everyone(t *testing.T, a *auth.Authenticator, tokens []string) map[string]int {
	t.Helper()
	var mu sync.Mutex
	codes := map[string]int{}
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			got := code(t, a, "Bearer "+token)
			mu.Lock()
			defer mu.Unlock()
			codes[got]++
		})
	}
	wg.Wait()
	return codes
}

func many(n int, make func(i int) string) []string {
	out := []string{}
	for i := range n {
		out = append(out, make(i))
	}
	return out
}

func TestOneQuestionForAll(t *testing.T) {
	iss := newIssuer(t, ecKey("ec"))
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now})
	tokens := many(50, func(i int) string { return sign(t, ecKey("ec"), "", iss.claims(claim{"jti": fmt.Sprint(i)})) })
	if got := everyone(t, a, tokens); got[""] != 50 {
		t.Errorf("codes %v", got)
	}
	if d, k := iss.discoveries.Load(), iss.fetches.Load(); d != 1 || k != 1 {
		t.Errorf("%d discoveries, %d fetches", d, k)
	}
}

func TestRotation(t *testing.T) {
	iss := newIssuer(t, ecKey("k0"))
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now})
	for n := range 4 { // in one moment, for what is found is free
		id := fmt.Sprint("k", n)
		iss.publish(ecKey(id))
		tokens := many(30, func(i int) string { return sign(t, ecKey(id), "", iss.claims(claim{"jti": fmt.Sprint(n, i)})) })
		if got := everyone(t, a, tokens); got[""] != 30 {
			t.Errorf("rotation %d: codes %v", n, got)
		}
	}
	if k := iss.fetches.Load(); k != 4 {
		t.Errorf("%d fetches for four keys", k)
	}
}

// A token by a new key that arrives while an older answer is still on its way must not
// be judged by that.
func TestRotationDuringFetch(t *testing.T) {
	iss, clock := newIssuer(t, rsaKey("old")), newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
	old := "Bearer " + sign(t, rsaKey("old"), "", iss.claims())
	if got := code(t, a, old); got != "" {
		t.Fatal(got)
	}
	asked, release := make(chan struct{}), make(chan struct{})
	iss.answer(nil, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		iss.answer(nil, nil)
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{rsaKey("old").jwk()}})
	})
	clock.advance(6 * time.Minute)
	if got := code(t, a, old); got != "" {
		t.Errorf("while keys are refreshed: %q", got)
	}
	<-asked
	iss.publish(ecKey("new"))
	newer := []string{"Bearer " + sign(t, ecKey("new"), "", iss.claims())}
	ctx := waited{Context: t.Context(), begun: make(chan struct{}, 8)}
	got := make(chan error)
	go func() {
		_, err := a.Authenticate(ctx, auth.Request{Authorization: newer})
		got <- err
	}()
	<-ctx.begun
	close(release)
	if err := <-got; err != nil {
		t.Errorf("the new key's token: %v", err)
	}
}

// waited tells when somebody begins to wait under it.
type waited struct {
	context.Context
	begun chan struct{}
}

func (w waited) Done() <-chan struct{} {
	w.begun <- struct{}{}
	return w.Context.Done()
}

func TestFloodOfUnknownKeys(t *testing.T) {
	iss, clock := newIssuer(t, ecKey("ec")), newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now, CacheSize: -1})
	good := sign(t, ecKey("ec"), "", iss.claims())
	if got := code(t, a, "Bearer "+good); got != "" {
		t.Fatal(got)
	}
	for round := range int64(5) {
		tokens := many(200, func(i int) string {
			if i%10 == 0 {
				return good
			}
			return sign(t, ecKey(fmt.Sprint("flood", round, i)), "", iss.claims())
		})
		if got := everyone(t, a, tokens); got[""] != 20 || got[auth.CodeKey] != 180 {
			t.Errorf("round %d: codes %v", round, got)
		}
		if n := iss.fetches.Load(); n > 2+round {
			t.Errorf("round %d: %d fetches", round, n)
		}
		clock.advance(2 * time.Second)
	}
	// The flood takes no good key with it.
	iss.publish(ecKey("ec"), rsaKey("new"))
	if got := code(t, a, "Bearer "+sign(t, rsaKey("new"), "", iss.claims())); got != "" {
		t.Errorf("a new key after the flood: %q", got)
	}
	if n := iss.discoveries.Load(); n != 1 {
		t.Errorf("%d discoveries", n)
	}
}
