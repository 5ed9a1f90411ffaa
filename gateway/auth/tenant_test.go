package auth_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// An issuer's tokens open the EHRs of its tenants, and no others, remembered or not.
func TestTenants(t *testing.T) {
	east, both := newIssuer(t, ecKey("ec")), newIssuer(t, ecKey("ec"))
	bound := east.config()
	bound.Tenants = []string{"east"}
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{bound, both.config()}, Now: newClock().now})
	for _, c := range []struct {
		name   string
		issuer *issuer
		tenant string
		want   string
	}{
		{"its own", east, "east", ""},
		{"another", east, "west", auth.CodeTenant},
		{"none", east, "", auth.CodeTenant},
		{"by a prefix", east, "eas", auth.CodeTenant},
		{"its own again", east, "east", ""},
		{"of all", both, "west", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := []string{"Bearer " + sign(t, ecKey("ec"), "", c.issuer.claims())}
			for range 2 {
				got := ""
				_, err := a.Authenticate(t.Context(), auth.Request{Authorization: token, Tenant: c.tenant})
				var e *auth.Error
				if errors.As(err, &e) {
					got = e.Code
				}
				if got != c.want || (err == nil) != (c.want == "") {
					t.Errorf("%v, want %q", err, c.want)
				}
			}
		})
	}
	// One issuer's key is nothing to another's name.
	other := newIssuer(t, rsaKey("ec"))
	if got := code(t, a, "Bearer "+sign(t, rsaKey("ec"), "", both.claims())); got != auth.CodeKey {
		t.Errorf("an RSA key by the id of an EC key, of %s: %q", other.URL, got)
	}
}

func TestRequireType(t *testing.T) {
	iss := newIssuer(t, ecKey("ec"))
	cfg := iss.config()
	cfg.RequireType = true
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: newClock().now})
	for typ, want := range map[string]string{"at+jwt": "", "application/at+jwt": "", "AT+JWT": "", "JWT": auth.CodeType, "": auth.CodeType} {
		if got := code(t, a, "Bearer "+sign(t, ecKey("ec"), typ, iss.claims(claim{"typ": "Bearer"}))); got != want {
			t.Errorf("typ %q: %q, want %q", typ, got, want)
		}
	}
}

// An issuer whose keys are given is never asked, whatever the time and the key.
func TestGivenKeys(t *testing.T) {
	iss, clock := newIssuer(t, ecKey("old")), newClock()
	set := func(keys ...signingKey) []byte {
		var s jose.JSONWebKeySet
		for _, k := range keys {
			s.Keys = append(s.Keys, k.jwk())
		}
		return must(json.Marshal(s))
	}
	iss.answer(cut, cut)
	cfg := iss.config()
	cfg.Keys = set(ecKey("old"))
	cfg.Metadata = []byte(`{"issuer":"` + iss.URL + `","token_endpoint":"` + iss.URL + `/token"}`)
	o := auth.Options{Issuers: []auth.Issuer{cfg}, Now: clock.now}
	a := newAuth(t, o)
	long := claim{"exp": start.Add(48 * time.Hour).Unix()}
	old := "Bearer " + sign(t, ecKey("old"), "", iss.claims(long))
	newer := "Bearer " + sign(t, rsaKey("new"), "", iss.claims(long))
	for range 3 {
		if got := code(t, a, old); got != "" {
			t.Errorf("the given key: %q", got)
		}
		if got := code(t, a, newer); got != auth.CodeKey {
			t.Errorf("another key: %q", got)
		}
		clock.advance(12 * time.Hour)
	}
	checkErrors(t, a, iss, 0)
	if s, err := a.Server(t.Context(), iss.URL); err != nil || s.Token != iss.URL+"/token" {
		t.Errorf("Server = %+v, %v", s, err)
	}
	// A reload brings other keys, and the old ones do not go on.
	o.Previous = a
	o.Issuers[0].Keys, o.Issuers[0].Metadata = set(rsaKey("new")), nil
	b := newAuth(t, o)
	if got := code(t, b, newer) + code(t, b, old); got != auth.CodeKey {
		t.Errorf("after a rotation: %q", got)
	}
	var e *auth.Error
	if s, err := b.Server(t.Context(), iss.URL); !errors.As(err, &e) || e.Code != auth.CodeUnavailable {
		t.Errorf("Server without metadata = %+v, %v", s, err)
	}
	// Nor do given keys go on where the issuer is asked again.
	o.Previous, o.Issuers[0].Keys = b, nil
	if got := code(t, newAuth(t, o), newer); got != auth.CodeUnavailable {
		t.Errorf("keys that were given once: %q", got)
	}
	if n := iss.fetches.Load(); n != 0 {
		t.Errorf("the keys were fetched %d times", n)
	}
	for name, change := range map[string]func(*auth.Issuer){
		"no keys":        func(i *auth.Issuer) { i.Keys = []byte(`{"keys":[]}`) },
		"no JSON":        func(i *auth.Issuer) { i.Keys = []byte(`-----BEGIN`) },
		"only a secret":  func(i *auth.Issuer) { i.Keys = []byte(`{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}`) },
		"other metadata": func(i *auth.Issuer) { i.Keys, i.Metadata = set(rsaKey("a")), []byte(`{"issuer":"https://b.example"}`) },
		"metadata alone": func(i *auth.Issuer) { i.Keys, i.Metadata = nil, []byte(`{}`) },
	} {
		bad := iss.config()
		change(&bad)
		if _, err := auth.New(auth.Options{Issuers: []auth.Issuer{bad}}); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
