package upstream_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

func TestParseKeysRefuses(t *testing.T) {
	good := ecKey(t, elliptic.P384())
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	with := func(members string) string {
		return strings.Replace(string(jwkOf(t, good, "k")), "{", "{"+members+",", 1)
	}
	for _, c := range []struct {
		name string
		in   string
		want error
	}{
		{"nothing", "", upstream.ErrNotKey},
		{"no PEM", marker, upstream.ErrNotKey},
		{"a certificate", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(marker)})), upstream.ErrNotKey},
		{"broken", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(marker)})), upstream.ErrNotKey},
		{"two in PEM", string(pemOf(t, good)) + string(pemOf(t, good)), upstream.ErrNotKey},
		{"short RSA", string(pemOf(t, rsaKey(t, 1024))), upstream.ErrKeyKind},
		{"P-256", string(pemOf(t, ecKey(t, elliptic.P256()))), upstream.ErrKeyKind},
		{"Ed25519", string(pemOf(t, edwards)), upstream.ErrKeyKind},
		{"a public JWK", string(jwkOf(t, good.Public(), "k")), upstream.ErrNotKey},
		{"a symmetric JWK", `{"kty":"oct","k":"` + marker + `"}`, upstream.ErrNotKey},
		{"no JWK", `{"a":1}`, upstream.ErrNotKey},
		{"an empty set", `{"keys":[]}`, upstream.ErrNotKey},
		{"a set with a public key", `{"keys":[` + string(jwkOf(t, good, "k")) + `,` + string(jwkOf(t, good.Public(), "l")) + `]}`, upstream.ErrNotKey},
		{"another algorithm", with(`"alg":"ES256"`), upstream.ErrKeyUse},
		{"for encryption", with(`"use":"enc"`), upstream.ErrKeyUse},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := upstream.ParseKeys([]byte(c.in))
			if !errors.Is(err, c.want) || keys != nil || strings.Contains(err.Error(), marker) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// A key without a name is called by its thumbprint, the same in every format; no key prints.
func TestKeysAreNamed(t *testing.T) {
	key := ecKey(t, elliptic.P384())
	kid := func(data []byte) string {
		e := ehr(t, "https://ehr.example", func(o *upstream.Options) {
			o.Bearer, o.OAuth = "", &upstream.OAuth{ClientID: "a", Keys: parsed(t, data)}
		})
		published, err := e.JWKS()
		var set struct{ Keys []map[string]string }
		if err != nil || json.Unmarshal(published, &set) != nil || len(set.Keys) != 1 {
			t.Fatalf("%s, %v", published, err)
		}
		return set.Keys[0]["kid"]
	}
	if a, b := kid(pemOf(t, key)), kid(jwkOf(t, key, "")); len(a) != 43 || a != b {
		t.Errorf("kid %q and %q", a, b)
	}
	if got := kid(jwkOf(t, key, "k1")); got != "k1" {
		t.Errorf("kid %q", got)
	}
	k := parsed(t, jwkOf(t, key, marker))[0]
	data, err := json.Marshal(k)
	for _, out := range []string{fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, k), string(data)} {
		if err != nil || strings.Contains(out, marker) || !strings.Contains(out, "[redacted]") {
			t.Errorf("prints %s, %v", out, err)
		}
	}
}

func TestOAuthOptions(t *testing.T) {
	key := parsed(t, jwkOf(t, ecKey(t, elliptic.P384()), "k"))
	for _, c := range []struct {
		name string
		in   upstream.Options
		want string
	}{
		{"nobody", upstream.Options{OAuth: &upstream.OAuth{}}, "OAuth.ClientID must be printable ASCII\nOAuth needs Keys, a ClientSecret or a Certificate"},
		{"two ways", upstream.Options{OAuth: &upstream.OAuth{ClientID: "a", Keys: key, ClientSecret: marker}}, "OAuth has Keys and a ClientSecret; one of them says who asks"},
		{"one name twice", upstream.Options{OAuth: &upstream.OAuth{ClientID: "a", Keys: append(key, key...)}}, "OAuth.Keys[1] has the kid of another"},
		{"plain", upstream.Options{OAuth: &upstream.OAuth{ClientID: "a", Keys: key, TokenURL: "http://login.example/" + marker}}, "OAuth.TokenURL must be an absolute https URL without user and fragment"},
		{"two scopes in one", upstream.Options{OAuth: &upstream.OAuth{ClientID: "a", Keys: key, Scopes: []string{"a b"}, Audience: "a b"}}, "OAuth.Scopes[0] is no scope\nOAuth.Audience and OAuth.Resource must be visible ASCII"},
		{"a bearer too", upstream.Options{Bearer: marker, OAuth: &upstream.OAuth{ClientID: "a", Keys: key}}, "of Bearer, OAuth and InsecureForwardCaller one can say who asks"},
		{"forwarded too", upstream.Options{InsecureForwardCaller: true, OAuth: &upstream.OAuth{ClientID: "a", Keys: key}}, "of Bearer, OAuth and InsecureForwardCaller one can say who asks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.Name, c.in.BaseURL = "main", "https://ehr.example"
			_, err := upstream.New(c.in)
			want := "upstream: " + strings.ReplaceAll(c.want, "\n", "\nupstream: ")
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
