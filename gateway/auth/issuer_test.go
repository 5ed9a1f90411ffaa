package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

const audience = "https://gateway.example/fhir"

// start is when every test begins.
var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(start.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// signingKey is a key pair that an issuer has.
type signingKey struct {
	id, alg, use string
	private      crypto.Signer
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The pairs take long to make, and are shared by all tests.
var (
	rsaPair   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	weakRSA   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	ecPair    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384Pair = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	edPair    = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, 32)) })
)

func rsaKey(id string) signingKey {
	return signingKey{id: id, alg: "RS256", use: "sig", private: rsaPair()}
}
func ecKey(id string) signingKey {
	return signingKey{id: id, alg: "ES256", use: "sig", private: ecPair()}
}

func (k signingKey) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: k.alg, Use: k.use}
}

// issuer is an authorization server in this process: discovery and keys over TLS.
type issuer struct {
	*httptest.Server
	mu          sync.Mutex
	keys        []signingKey
	discovery   http.HandlerFunc // in place of the real one
	jwks        http.HandlerFunc
	discoveries atomic.Int64
	fetches     atomic.Int64
}

func newIssuer(t testing.TB, keys ...signingKey) *issuer {
	i := &issuer{keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		i.discoveries.Add(1)
		i.mu.Lock()
		other := i.discovery
		i.mu.Unlock()
		if other != nil {
			other(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/jwks")
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		i.mu.Lock()
		other := i.jwks
		set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
		for _, k := range i.keys {
			set.Keys = append(set.Keys, k.jwk())
		}
		i.mu.Unlock()
		if other != nil {
			other(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(set)
	})
	i.Server = httptest.NewTLSServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...signingKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// answer replaces the discovery document and the key set; nil is the real one.
func (i *issuer) answer(discovery, jwks http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.discovery, i.jwks = discovery, jwks
}

func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

func (i *issuer) config() auth.Issuer {
	return auth.Issuer{URL: i.URL, Audiences: []string{audience}, Client: i.Client()}
}

// claims are those of a good token, with changes; a nil value takes a claim out.
func (i *issuer) claims(changes ...map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "sub": "agent-7", "aud": audience, "client_id": "desk",
		"iat": start.Unix(), "exp": start.Add(time.Hour).Unix(), "jti": "t1",
		"scope": "user/Patient.rs openid",
	}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes a token as a real issuer does.
func sign(t testing.TB, k signingKey, typ string, claims map[string]any) string {
	t.Helper()
	o := &jose.SignerOptions{}
	if typ != "" {
		o.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(k.alg),
		Key:       jose.JSONWebKey{Key: k.private, KeyID: k.id},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(must(json.Marshal(claims)))
	if err != nil {
		t.Fatal(err)
	}
	return must(jws.CompactSerialize())
}

// forge signs any header and payload by the test's RSA key with RS256, whatever the
// header says, so that only what a test is about is wrong.
func forge(header, payload string) string { return forgeSegments(encode(header), encode(payload)) }

func forgeSegments(header, payload string) string {
	input := header + "." + payload
	sum := sha256.Sum256([]byte(input))
	return input + "." + encode(string(must(rsa.SignPKCS1v15(nil, rsaPair(), crypto.SHA256, sum[:]))))
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func (i *issuer) payload(changes ...map[string]any) string {
	return string(must(json.Marshal(i.claims(changes...))))
}

type claim = map[string]any
