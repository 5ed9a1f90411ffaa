package auth_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// A remembered token yields the very same Caller.
func caller(t testing.TB, a *auth.Authenticator, token string) *auth.Caller {
	t.Helper()
	c, err := a.Authenticate(t.Context(), auth.Request{Authorization: []string{"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRemembered(t *testing.T) {
	iss, clock := newIssuer(t, rsaKey("rsa")), newClock()
	cfg := iss.config()
	cfg.ClockSkew = 10 * time.Second
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: clock.now})
	token := sign(t, rsaKey("rsa"), "", iss.claims())
	first := caller(t, a, token)
	clock.advance(5*time.Minute - 1)
	if caller(t, a, token) != first {
		t.Error("not remembered")
	}
	clock.advance(1)
	second := caller(t, a, token)
	if second == first {
		t.Error("believed for longer than five minutes")
	}
	if caller(t, a, token) != second || a.Remembered() != 1 {
		t.Error("not remembered anew")
	}

	short := sign(t, rsaKey("rsa"), "", iss.claims(claim{"exp": clock.now().Add(time.Minute).Unix()}))
	first = caller(t, a, short)
	clock.advance(70*time.Second - 1)
	if caller(t, a, short) != first {
		t.Error("not remembered until it expires")
	}
	clock.advance(1)
	if got := code(t, a, "Bearer "+short); got != auth.CodeExpired {
		t.Errorf("expired: %q", got)
	}
}

func TestRevokedKeyIsForgotten(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration
		busy bool // the refresh of a busy gateway is in the background
	}{
		{"busy", 2 * time.Minute, true},
		{"after a quiet time", 4 * time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			iss, clock := newIssuer(t, rsaKey("rsa"), ecKey("ec")), newClock()
			a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now, KeysFresh: 2 * time.Minute})
			token := sign(t, rsaKey("rsa"), "", iss.claims())
			other := sign(t, ecKey("ec"), "", iss.claims())
			caller(t, a, token)
			kept := caller(t, a, other)
			iss.publish(ecKey("ec"))
			clock.advance(c.wait - time.Second)
			if c.busy {
				caller(t, a, token)
				kept = caller(t, a, other)
			}
			clock.advance(time.Second)
			if c.busy {
				caller(t, a, token)
				if errs := a.Check(t.Context()); len(errs) > 0 { // waits for the refresh
					t.Fatal(errs)
				}
			}
			if got := code(t, a, "Bearer "+token); got != auth.CodeKey {
				t.Errorf("the revoked key's token: %q", got)
			}
			if c.busy && caller(t, a, other) != kept {
				t.Error("the other key's token was forgotten")
			}
		})
	}
}

// A key that comes back under the same id is another key.
func TestReplacedKeyIsForgotten(t *testing.T) {
	iss, clock := newIssuer(t, rsaKey("k")), newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
	token := sign(t, rsaKey("k"), "", iss.claims())
	caller(t, a, token)
	iss.publish(signingKey{id: "k", alg: "RS256", private: otherRSA()})
	clock.advance(10 * time.Minute)
	if got := code(t, a, "Bearer "+token); got != auth.CodeSignature {
		t.Errorf("code %q", got)
	}
}

func TestRememberedIsBounded(t *testing.T) {
	iss, clock := newIssuer(t, ecKey("ec")), newClock()
	for _, c := range []struct{ size, want int }{{8, 8}, {1, 1}, {-1, 0}, {0, 40}} {
		a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now, CacheSize: c.size})
		hot := sign(t, ecKey("ec"), "", iss.claims(claim{"jti": "hot"}))
		first := caller(t, a, hot)
		for i := range 39 {
			caller(t, a, sign(t, ecKey("ec"), "", iss.claims(claim{"jti": fmt.Sprint(i)})))
			if c.size == 8 && caller(t, a, hot) != first {
				t.Error("a token in use was forgotten before those that are not")
			}
		}
		if n := a.Remembered(); n != c.want {
			t.Errorf("size %d: %d remembered", c.size, n)
		}
		for range 20 {
			if got := code(t, a, "Bearer "+sign(t, ecKey("ec"), "", iss.claims(claim{"aud": "x"}))); got != auth.CodeAudience {
				t.Error(got)
			}
		}
		if n := a.Remembered(); n != c.want {
			t.Errorf("size %d: refused tokens are remembered", c.size)
		}
	}
}

// Everything at once, for the race detector: good and bad tokens, rotation, faults, time.
func TestConcurrent(t *testing.T) {
	iss, other, clock := newIssuer(t, ecKey("a"), ecKey("b")), newIssuer(t, ecKey("a")), newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config(), other.config()}, Now: clock.now, CacheSize: 16})
	tokens := many(40, func(i int) string {
		from := []*issuer{iss, other}[i%2]
		return sign(t, ecKey(string("abc"[i%3])), "", from.claims(claim{"jti": fmt.Sprint(i), "exp": start.Add(24 * time.Hour).Unix()}))
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				i := rand.IntN(len(tokens))
				switch got := code(t, a, "Bearer "+tokens[i]); got {
				case "", auth.CodeKey, auth.CodeUnavailable:
				default:
					t.Error(got)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			iss.publish(ecKey("a"), ecKey(string("bc"[i%2])))
			if other.answer(nil, nil); i%3 == 0 {
				other.answer(nil, cut)
			}
			clock.advance(time.Minute)
			a.Check(t.Context())
		}
	})
	wg.Wait()
	other.answer(nil, nil)
	clock.advance(time.Hour)
	for i, token := range tokens {
		if i%3 == 0 && code(t, a, "Bearer "+token) != "" {
			t.Errorf("token %d is refused afterwards", i)
		}
	}
}
