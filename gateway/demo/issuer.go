package demo

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Paths of the authorization server below its URL.
const (
	TokenPath     = "/token"
	AuthorizePath = "/authorize"
	KeysPath      = "/keys"
)

const (
	codeLife    = time.Minute      // RFC 6749, section 4.1.2: ten minutes at most
	consentLife = 10 * time.Minute // how long a consent page may stay open
)

// IssuerOptions say who an authorization server is and whom it serves.
type IssuerOptions struct {
	// URL is the issuer: an https origin without a path. Required.
	URL string
	// Audience is for whom its access tokens are: the FHIR base URL. Required.
	Audience string
	// Clients are those that it knows.
	Clients []Client
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// Rand gives codes and token ids and may be read concurrently; crypto/rand where
	// nil. Keys are always from crypto/rand.
	Rand io.Reader
	// TTL is how long an access token lives; an hour where zero.
	TTL time.Duration
}

// Issuer is an authorization server, an http.Handler for the root of its URL.
type Issuer struct {
	handler       http.Handler
	url, audience string
	clients       map[string]*Client
	now           func() time.Time
	random        io.Reader
	ttl           time.Duration
	keys          keyring
	consents      *once[consent]
	codes         *once[grant]
}

// NewIssuer makes an authorization server with new keys.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	i := &Issuer{url: o.URL, audience: o.Audience, clients: map[string]*Client{}, now: o.Now, random: o.Rand, ttl: o.TTL,
		consents: newOnce[consent](), codes: newOnce[grant]()}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != o.URL {
		return nil, fmt.Errorf("issuer URL %q is not an https origin", o.URL)
	}
	if o.Audience == "" {
		return nil, errors.New("an issuer needs an audience")
	}
	if i.now == nil {
		i.now = time.Now
	}
	if i.random == nil {
		i.random = rand.Reader
	}
	if i.ttl <= 0 {
		i.ttl = time.Hour
	}
	for _, c := range o.Clients {
		if err := c.check(); err != nil {
			return nil, err
		}
		if i.clients[c.ID] != nil {
			return nil, fmt.Errorf("two clients %q", c.ID)
		}
		i.clients[c.ID] = &c
	}
	if err := i.Rotate(); err != nil {
		return nil, err
	}
	i.handler = i.routes()
	return i, nil
}

// URL is the issuer's identifier and origin.
func (i *Issuer) URL() string { return i.url }

// ServeHTTP answers one request.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.handler.ServeHTTP(w, r) }

func (i *Issuer) routes() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		mux.Handle("GET "+path, anyOrigin(i.discovery))
		mux.Handle("OPTIONS "+path, anyOrigin(preflight))
	}
	mux.Handle("GET "+KeysPath, anyOrigin(i.publicKeys))
	mux.Handle("POST "+TokenPath, anyOrigin(i.token))
	mux.Handle("OPTIONS "+TokenPath, anyOrigin(preflight))
	mux.HandleFunc("GET "+AuthorizePath, i.ask)
	mux.HandleFunc("POST "+AuthorizePath, i.decide)
	return mux
}

// anyOrigin lets apps in browsers read an answer. None of these looks at a cookie,
// so there is nothing that another site could borrow.
func anyOrigin(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		h(w, r)
	})
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	w.WriteHeader(http.StatusNoContent)
}

// secret makes a text of 256 random bits.
func (i *Issuer) secret() (string, error) { return randomText(i.random) }

func randomText(random io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("draw a secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// scopes parts a scope parameter (RFC 6749, section 3.3), each once.
func scopes(s string) []string {
	var all []string
	seen := map[string]bool{}
	for _, scope := range strings.Fields(s) {
		if !seen[scope] {
			seen[scope] = true
			all = append(all, scope)
		}
	}
	return all
}
