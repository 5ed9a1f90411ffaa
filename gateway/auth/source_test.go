package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// faults are what an issuer can do wrong. Each body has a word that no error may hold.
var faults = []struct {
	name            string
	discovery, jwks http.HandlerFunc
}{
	{"discovery is missing", text(404, "SECRET"), nil},
	{"discovery is HTML", text(200, "<html>SECRET"), nil},
	{"discovery is empty", text(200, ""), nil},
	{"discovery names another issuer", text(200, `{"issuer":"https://SECRET.example","jwks_uri":"https://a.example/jwks"}`), nil},
	{"discovery is too long", text(200, `{"a":"`+strings.Repeat("SECRET", 1<<18)+`"}`), nil},
	{"discovery redirects", http.RedirectHandler("https://SECRET.example/", 302).ServeHTTP, nil},
	{"discovery is cut", cut, nil},
	{"keys are missing", nil, text(404, "SECRET")},
	{"keys are HTML", nil, text(200, "<html>SECRET")},
	{"keys are no object", nil, text(200, `["SECRET"]`)},
	{"keys without keys", nil, text(200, `{"SECRET":[]}`)},
	{"keys of the wrong kind", nil, text(200, `{"keys":{"SECRET":1}}`)},
	{"keys twice", nil, text(200, `{"keys":[],"keys":[]}`)},
	{"too many keys", nil, text(200, `{"keys":[`+strings.Repeat(`{"kid":"SECRET"},`, 64)+`{}]}`)},
	{"keys are too long", nil, text(200, `{"keys":[],"a":"`+strings.Repeat("SECRET", 1<<18)+`"}`)},
	{"keys redirect", nil, http.RedirectHandler("https://SECRET.example/", 302).ServeHTTP},
	{"keys are cut", nil, cut},
	{"nobody answers", cut, cut},
}

func cut(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

func checkErrors(t *testing.T, a *auth.Authenticator, iss *issuer, want int) {
	t.Helper()
	errs := a.Check(t.Context())
	if len(errs) != want {
		t.Fatalf("Check: %v, want %d errors", errs, want)
	}
	for _, err := range errs {
		if !strings.Contains(err.Error(), iss.URL) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("Check: %v", err)
		}
	}
}

// TestFewWaitForAnIssuer has an issuer hang: so many calls wait for it, one more is refused at once, and whoever is known
// already is let in. When the issuer answers, those who waited are let in too.
func TestFewWaitForAnIssuer(t *testing.T) {
	iss, clock := newIssuer(t, rsaKey("rsa")), newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now, Waiting: 2})
	known := "Bearer " + sign(t, rsaKey("rsa"), "", iss.claims())
	if got := code(t, a, known); got != "" {
		t.Fatalf("code %q", got)
	}
	answer := make(chan struct{})
	iss.answer(nil, func(w http.ResponseWriter, _ *http.Request) {
		<-answer
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{rsaKey("rsa").jwk(), rsaKey("next").jwk()}})
	})
	fresh := "Bearer " + sign(t, rsaKey("next"), "", iss.claims())
	got := make(chan string, 3)
	for range 3 {
		go func() { got <- code(t, a, fresh) }()
	}
	if c := <-got; c != auth.CodeUnavailable { // the one beyond
		t.Errorf("code %q", c)
	}
	if c := code(t, a, known); c != "" {
		t.Errorf("one who is known: code %q", c)
	}
	close(answer)
	for range 2 {
		if c := <-got; c != "" {
			t.Errorf("one who waited: code %q", c)
		}
	}
}

func TestIssuerFailsBeforeFirstSuccess(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			iss, clock := newIssuer(t, rsaKey("rsa")), newClock()
			a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
			token := "Bearer " + sign(t, rsaKey("rsa"), "", iss.claims())
			asked := func() int64 { return iss.discoveries.Load() + iss.fetches.Load() }

			iss.answer(c.discovery, c.jwks)
			if got := code(t, a, token); got != auth.CodeUnavailable {
				t.Fatalf("code %q", got)
			}
			before := asked()
			for range 20 {
				if got := code(t, a, token); got != auth.CodeUnavailable {
					t.Fatalf("code %q", got)
				}
			}
			checkErrors(t, a, iss, 1)
			if n := asked() - before; n != 0 {
				t.Errorf("asked %d times more within the back-off", n)
			}
			clock.advance(time.Second)
			if got := code(t, a, token); got != auth.CodeUnavailable || asked() == before {
				t.Errorf("after the back-off: %q, asked again: %v", got, asked() != before)
			}
			iss.answer(nil, nil)
			clock.advance(time.Second)
			if got := code(t, a, token); got != auth.CodeUnavailable {
				t.Errorf("the second back-off is longer: %q", got)
			}
			clock.advance(time.Second)
			if got := code(t, a, token); got != "" {
				t.Errorf("repaired: %q", got)
			}
			checkErrors(t, a, iss, 0)
		})
	}
}

func TestIssuerFailsAfterSuccess(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			iss, clock := newIssuer(t, rsaKey("rsa")), newClock()
			a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
			long := claim{"exp": start.Add(24 * time.Hour).Unix()}
			token := "Bearer " + sign(t, rsaKey("rsa"), "", iss.claims(long))
			newer := "Bearer " + sign(t, ecKey("new"), "", iss.claims(long))
			if got := code(t, a, token); got != "" {
				t.Fatal(got)
			}
			iss.publish(rsaKey("rsa"), ecKey("new"))
			iss.answer(c.discovery, c.jwks)
			if c.jwks == nil {
				iss.answer(c.discovery, text(500, "")) // discovery is asked only after a failure
			}
			// Last good keys go on, new ones cannot be had.
			for range 3 {
				if got := code(t, a, token) + code(t, a, newer); got != auth.CodeUnavailable {
					t.Fatalf("at once: %q", got)
				}
			}
			if n := iss.fetches.Load() + iss.discoveries.Load(); n > 4 {
				t.Errorf("asked %d times within the back-off", n)
			}
			for range 11 {
				clock.advance(5 * time.Minute)
				if got := code(t, a, token); got != "" {
					t.Fatalf("%s after the last success: %q", clock.now().Sub(start), got)
				}
				if got := code(t, a, newer); got != auth.CodeUnavailable {
					t.Fatalf("a key that could not be asked for: %q", got)
				}
				if got := code(t, a, token); got != "" {
					t.Fatalf("while the issuer is left alone: %q", got)
				}
			}
			checkErrors(t, a, iss, 1)
			clock.advance(5 * time.Minute)
			if got := code(t, a, token); got != auth.CodeUnavailable {
				t.Errorf("keys beyond their age: %q", got)
			}
			iss.answer(nil, nil)
			clock.advance(time.Minute)
			if got := code(t, a, token) + code(t, a, newer); got != "" {
				t.Errorf("repaired: %q", got)
			}
		})
	}
}

func TestKeysLeadNowhereElse(t *testing.T) {
	for _, at := range []string{"http://a.example/jwks", "/jwks", "file:///etc/passwd", "", "http://127.0.0.1:1/jwks", "https://a:b@a.example/jwks"} {
		iss := newIssuer(t, rsaKey("rsa"))
		iss.answer(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, iss.URL, at)
		}, nil)
		a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now})
		errs := a.Check(t.Context())
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), "jwks_uri is not an https URL") {
			t.Errorf("%q: %v", at, errs)
		}
	}
}

// What a failing issuer is asked first is where its keys are now.
func TestKeysMove(t *testing.T) {
	iss, clock := newIssuer(t, rsaKey("rsa")), newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
	token := "Bearer " + sign(t, rsaKey("rsa"), "", iss.claims())
	if got := code(t, a, token); got != "" {
		t.Fatal(got)
	}
	moved := newIssuer(t, ecKey("new"))
	iss.answer(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, iss.URL, moved.URL+"/jwks")
	}, text(404, ""))
	newer := "Bearer " + sign(t, ecKey("new"), "", iss.claims())
	if got := code(t, a, newer); got != auth.CodeUnavailable {
		t.Errorf("where the keys were: %q", got)
	}
	clock.advance(time.Second)
	if got := code(t, a, newer); got != "" {
		t.Errorf("where they are: %q", got)
	}
}

// Keys from the future have no age that is known: the clock was set back.
func TestClockSetBack(t *testing.T) {
	iss, clock := newIssuer(t, rsaKey("rsa")), newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
	token := "Bearer " + sign(t, rsaKey("rsa"), "", iss.claims(claim{"iat": nil}))
	if got := code(t, a, token); got != "" {
		t.Fatal(got)
	}
	iss.publish()
	clock.advance(-time.Hour)
	if got := code(t, a, token); got != auth.CodeKey {
		t.Errorf("code %q", got)
	}
}

// A key that is published but of no use leaves the others alone; a set without any is an
// answer, and what it leaves out is revoked.
func TestUselessKeys(t *testing.T) {
	iss := newIssuer(t)
	good := string(must(json.Marshal(rsaKey("rsa").jwk())))
	private := string(must(json.Marshal(jose.JSONWebKey{Key: ecPair(), KeyID: "private"})))
	iss.answer(nil, text(200, `{"keys":[{},{"kty":"EC","kid":"broken","crv":"P-256","x":"AA","y":"AA"},
		{"kty":"oct","kid":"secret","k":"c2VjcmV0"},{"kty":"XYZ","kid":"unknown"},1,`+private+`,`+good+`]}`))
	clock := newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
	token := "Bearer " + sign(t, rsaKey("rsa"), "", iss.claims())
	if got := code(t, a, token); got != "" {
		t.Fatal(got)
	}
	if got := code(t, a, "Bearer "+sign(t, ecKey("private"), "", iss.claims())); got != auth.CodeKey {
		t.Errorf("a private key that was published: %q", got)
	}
	iss.answer(nil, text(200, `{"keys":[]}`))
	clock.advance(11 * time.Minute)
	if got := code(t, a, token); got != auth.CodeKey {
		t.Errorf("after all keys were withdrawn: %q", got)
	}
	checkErrors(t, a, iss, 1)
}

// A slow issuer holds up nobody but its own callers, and one of them who leaves does not
// take the answer away from the next.
func TestSlowIssuer(t *testing.T) {
	slow, fast := newIssuer(t, rsaKey("rsa")), newIssuer(t, rsaKey("rsa"))
	asked, release := make(chan struct{}), make(chan struct{})
	slow.answer(nil, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		slow.answer(nil, nil)
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{rsaKey("rsa").jwk()}})
	})
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{slow.config(), fast.config()}, Now: newClock().now})
	slowToken := []string{"Bearer " + sign(t, rsaKey("rsa"), "", slow.claims())}
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := a.Authenticate(ctx, auth.Request{Authorization: slowToken})
		gone <- err
	}()
	<-asked
	if got := code(t, a, "Bearer "+sign(t, rsaKey("rsa"), "", fast.claims())); got != "" {
		t.Errorf("another issuer's token: %q", got)
	}
	leave()
	var e *auth.Error
	if err := <-gone; !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Code != auth.CodeUnavailable || e.Issuer != slow.URL {
		t.Errorf("the caller who left: %v", err)
	}
	close(release)
	if got := code(t, a, slowToken[0]); got != "" {
		t.Errorf("the next caller: %q", got)
	}
	if n := slow.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestTimeout(t *testing.T) {
	iss := newIssuer(t, rsaKey("rsa"))
	iss.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now, Timeout: 20 * time.Millisecond})
	if got := code(t, a, "Bearer "+sign(t, rsaKey("rsa"), "", iss.claims())); got != auth.CodeUnavailable {
		t.Errorf("code %q", got)
	}
}

func TestServer(t *testing.T) {
	iss := newIssuer(t, rsaKey("rsa"))
	iss.answer(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%q,"grant_types_supported":["client_credentials"]}`,
			iss.URL, iss.URL+"/jwks", iss.URL+"/token")
	}, nil)
	o := auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now}
	a := newAuth(t, o)
	for range 2 {
		got, err := a.Server(t.Context(), iss.URL)
		if err != nil || got.Issuer != iss.URL || got.Token != iss.URL+"/token" || len(got.GrantTypes) != 1 || got.Revocation != "" {
			t.Fatalf("Server = %+v, %v", got, err)
		}
	}
	if n := iss.discoveries.Load(); n != 1 {
		t.Errorf("%d discoveries", n)
	}
	iss.answer(cut, cut)
	o.Previous = a
	if got, err := newAuth(t, o).Server(t.Context(), iss.URL); err != nil || got.Token != iss.URL+"/token" {
		t.Errorf("after a reload: %+v, %v", got, err)
	}
	o.Previous = nil
	for _, url := range []string{iss.URL, "https://unknown.example"} {
		var e *auth.Error
		if got, err := newAuth(t, o).Server(t.Context(), url); got != nil || !errors.As(err, &e) || e.Code != auth.CodeUnavailable {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
	}
}

func TestPrevious(t *testing.T) {
	iss, clock := newIssuer(t, rsaKey("rsa")), newClock()
	o := auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now}
	a := newAuth(t, o)
	token := "Bearer " + sign(t, rsaKey("rsa"), "", iss.claims())
	if got := code(t, a, token); got != "" {
		t.Fatal(got)
	}
	iss.answer(cut, cut)
	if got := code(t, newAuth(t, o), token); got != auth.CodeUnavailable {
		t.Errorf("without the previous keys: %q", got)
	}
	o.Previous = a
	if got := code(t, newAuth(t, o), token); got != "" {
		t.Errorf("with the previous keys: %q", got)
	}
	o.Issuers[0].Audiences = []string{"https://moved.example"}
	if got := code(t, newAuth(t, o), token); got != auth.CodeAudience {
		t.Errorf("what was remembered must not go on: %q", got)
	}
}
