package auth_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

const gatewaySecret = "a secret: +/=&"

// opaqueIssuer is an issuer that can be asked about tokens.
type opaqueIssuer struct {
	*issuer
	mu     sync.Mutex
	tokens map[string]string // the answer about each
	handle http.HandlerFunc  // in place of the real one
	asked  atomic.Int64
	key    *ecdsa.PrivateKey // of the gateway's assertions; nil: it has a secret
	jtis   map[string]bool
}

func newOpaqueIssuer(t testing.TB) *opaqueIssuer {
	o := &opaqueIssuer{issuer: newIssuer(t, ecKey("ec")), tokens: map[string]string{}, jtis: map[string]bool{}}
	mux := o.Config.Handler.(*http.ServeMux)
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		o.mu.Lock()
		handle := o.handle
		o.mu.Unlock()
		if handle != nil {
			handle(w, r)
			return
		}
		if !o.knows(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		o.mu.Lock()
		answer, ok := o.tokens[r.PostFormValue("token")]
		o.mu.Unlock()
		if !ok {
			answer = `{"active":false}`
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(answer))
	})
	o.answer(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"introspection_endpoint":%q}`, o.URL, o.URL+"/jwks", o.URL+"/introspect")
	}, nil)
	return o
}

// knows says whether it is the gateway that asks.
func (o *opaqueIssuer) knows(r *http.Request) bool {
	if r.PostFormValue("token_type_hint") != "access_token" {
		return false
	}
	if o.key == nil {
		id, secret, ok := r.BasicAuth()
		return ok && id == url.QueryEscape("gate way") && secret == url.QueryEscape(gatewaySecret)
	}
	jws, err := jose.ParseSignedCompact(r.PostFormValue("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || jws.Signatures[0].Header.KeyID != "own" {
		return false
	}
	payload, err := jws.Verify(o.key.Public())
	if err != nil {
		return false
	}
	var c map[string]any
	if json.Unmarshal(payload, &c) != nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	id, _ := c["jti"].(string)
	if o.jtis[id] || id == "" {
		return false
	}
	o.jtis[id] = true
	return c["iss"] == "gate way" && c["sub"] == "gate way" && c["aud"] == o.URL && c["exp"].(float64)-c["iat"].(float64) <= 60 &&
		r.PostFormValue("client_id") == "gate way" && r.PostFormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
}

func (o *opaqueIssuer) config() auth.Issuer {
	c := o.issuer.config()
	c.Introspection = &auth.Introspection{ClientID: "gate way", Secret: gatewaySecret, Cache: time.Minute}
	return c
}

// gives has a token mean what its claims say, with changes.
func (o *opaqueIssuer) gives(token string, changes ...map[string]any) string {
	c := o.claims(append([]map[string]any{{"active": true, "token_type": "Bearer"}}, changes...)...)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tokens[token] = string(must(json.Marshal(c)))
	return token
}

func (o *opaqueIssuer) withdraw(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.tokens, token)
}

func (o *opaqueIssuer) breaks(handle http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.handle = handle
}

func TestIntrospection(t *testing.T) {
	iss := newOpaqueIssuer(t)
	clock := newClock()
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now, Replays: &replays{seen: map[[32]byte]time.Time{}}})
	got := caller(t, a, iss.gives("opaque-1", claim{"patient": "p1", "roles": []string{"helpdesk"}}))
	if got.Subject != "agent-7" || got.ClientID != "desk" || got.Issuer != iss.URL || got.Grant.Patient != "p1" || len(got.Grant.Scopes) != 1 || len(got.Roles) != 1 {
		t.Errorf("%+v", got)
	}
	if got := caller(t, a, iss.gives("no-exp", claim{"exp": nil, "iss": nil})); got.Issuer != iss.URL {
		t.Errorf("%+v", got)
	}
	if got := caller(t, a, iss.gives("no-sub", claim{"sub": nil})); got.Subject != "desk" {
		t.Errorf("a client of its own: %+v", got)
	}
	for name, changes := range map[string]claim{
		"token_type-in-another-case": {"token_type": "bearer"},
		"of-Keycloak":                {"token_type": nil, "typ": "Bearer"},
		"of-Hydra":                   {"token_type": nil, "token_use": "access_token"},
		"what.has.dots":              {"sub": "dots"},
	} {
		if got := code(t, a, "Bearer "+iss.gives(name, changes)); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for _, c := range []struct {
		name    string
		changes claim
		want    string
	}{
		{"not active", claim{"active": false}, auth.CodeInactive},
		{"expired", claim{"exp": at(-time.Second)}, auth.CodeExpired},
		{"of the future", claim{"nbf": at(time.Hour)}, auth.CodeEarly},
		{"exp as text", claim{"exp": "tomorrow"}, auth.CodeClaims},
		{"another issuer", claim{"iss": "https://evil.example"}, auth.CodeIssuer},
		{"no audience", claim{"aud": nil}, auth.CodeAudience},
		{"a foreign audience", claim{"aud": "https://other.example"}, auth.CodeAudience},
		{"a refresh token", claim{"token_type": "refresh_token"}, auth.CodeType},
		{"of no type", claim{"token_type": nil}, auth.CodeType},
		{"a refresh token by typ", claim{"typ": "Refresh"}, auth.CodeType},
		{"N_A", claim{"token_type": "N_A"}, auth.CodeType},
		{"a person without a subject", claim{"sub": nil, "username": "jane"}, auth.CodeClaims},
		{"no client", claim{"client_id": nil}, auth.CodeClaims},
		{"scope of the wrong kind", claim{"scope": 7}, auth.CodeClaims},
		{"a patient that is none", claim{"patient": "a/b"}, auth.CodeClaims},
		{"bound in another way", claim{"cnf": claim{"kid": "1"}}, auth.CodeBinding},
		{"DPoP without a key", claim{"token_type": "DPoP"}, auth.CodeBinding},
		{"bound by DPoP", claim{"token_type": "DPoP", "cnf": claim{"jkt": thumb(clientPair())}}, auth.CodeBinding},
		{"bound to a certificate", claim{"cnf": claim{"x5t#S256": thumb(clientPair())}}, auth.CodeCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := iss.gives("bad-"+strings.ReplaceAll(c.name, " ", "-"), c.changes)
			asked := iss.asked.Load()
			for range 2 {
				if got := code(t, a, "Bearer "+token); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			}
			if n := iss.asked.Load() - asked; n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
	bound := iss.gives("bound", claim{"token_type": "DPoP", "cnf": claim{"jkt": thumb(clientPair())}})
	r := auth.Request{Authorization: []string{"DPoP " + bound}, Proof: []string{proof(bound)}, Method: "GET", URL: proofURL}
	if got := codeOf(t, a, r); got != "" {
		t.Errorf("a bound token with its proof: %q", got)
	}
	// What is no opaque token is judged here, whatever the issuer would say.
	asked := iss.asked.Load()
	unsigned := encode(`{"alg":"none"}`) + "." + encode(iss.payload()) + "."
	iss.gives(unsigned)
	if got := code(t, a, "Bearer "+unsigned); got != auth.CodeAlgorithm || iss.asked.Load() != asked {
		t.Errorf("an unsigned JWT: %q, asked %d times", got, iss.asked.Load()-asked)
	}
	if got := code(t, a, "Bearer "+sign(t, ecKey("ec"), "", iss.claims())); got != "" || iss.asked.Load() != asked {
		t.Errorf("a JWT: %q", got)
	}
}

// An answer is believed as long as configured and never beyond the token's exp: a token that
// was withdrawn is refused then.
func TestIntrospectionCache(t *testing.T) {
	for name, cache := range map[string]time.Duration{"a minute": time.Minute, "10 s": 10 * time.Second, "never": 0} {
		t.Run(name, func(t *testing.T) {
			iss, clock := newOpaqueIssuer(t), newClock()
			cfg := iss.config()
			cfg.Introspection.Cache = cache
			a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: clock.now})
			token := "Bearer " + iss.gives("opaque")
			if got := code(t, a, token); got != "" {
				t.Fatal(got)
			}
			iss.withdraw("opaque")
			if cache > 0 {
				clock.advance(cache - 1)
				if got := code(t, a, token); got != "" || iss.asked.Load() != 1 {
					t.Errorf("within the bound: %q, asked %d times", got, iss.asked.Load())
				}
				clock.advance(1)
			}
			if got := code(t, a, token); got != auth.CodeInactive {
				t.Errorf("a withdrawn token: %q", got)
			}
			short := "Bearer " + iss.gives("short", claim{"exp": clock.now().Add(5 * time.Second).Unix()})
			if got := code(t, a, short); got != "" {
				t.Fatal(got)
			}
			clock.advance(5 * time.Second)
			if got := code(t, a, short); got != auth.CodeExpired {
				t.Errorf("beyond its exp: %q", got)
			}
		})
	}
}

// All who come with one token at a time cost one question.
func TestIntrospectionOnce(t *testing.T) {
	iss := newOpaqueIssuer(t)
	begun, release := make(chan struct{}), make(chan struct{})
	iss.breaks(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-release
		w.Write([]byte(iss.tokens["opaque"]))
	})
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now})
	token := iss.gives("opaque")
	ctx := waited{Context: t.Context(), begun: make(chan struct{}, 64)}
	var good atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := a.Authenticate(ctx, auth.Request{Authorization: []string{"Bearer " + token}}); err == nil {
				good.Add(1)
			}
		})
	}
	<-begun
	for range 20 {
		<-ctx.begun
	}
	close(release)
	all.Wait()
	if good.Load() != 20 || iss.asked.Load() != 1 {
		t.Errorf("%d good, asked %d times", good.Load(), iss.asked.Load())
	}
}

// An issuer that fails is left alone; what it answered goes on within its bound, and nothing else.
func TestIntrospectionFails(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"500":           text(500, "SECRET"),
		"401":           text(401, "SECRET"),
		"redirect":      http.RedirectHandler("https://SECRET.example", 302).ServeHTTP,
		"HTML":          text(200, "<html>SECRET"),
		"empty":         text(200, ""),
		"not active":    text(200, `{"SECRET":true}`),
		"active twice":  text(200, `{"active":false,"active":true}`),
		"an array":      text(200, `["SECRET"]`),
		"cut":           cut,
		"without end":   text(200, `{"active":true,"x":"`+strings.Repeat("SECRET", 1<<18)+`"}`),
		"nested deeply": text(200, `{"active":true,"x":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+`}`),
	} {
		t.Run(name, func(t *testing.T) {
			iss, clock := newOpaqueIssuer(t), newClock()
			a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: clock.now})
			known := "Bearer " + iss.gives("known")
			if got := code(t, a, known); got != "" {
				t.Fatal(got)
			}
			iss.breaks(fault)
			refused := func(i int) {
				t.Helper()
				_, err := a.Authenticate(t.Context(), auth.Request{Authorization: []string{fmt.Sprint("Bearer new-", i)}})
				if e, ok := err.(*auth.Error); !ok || e.Code != auth.CodeUnavailable || strings.Contains(e.Error(), "SECRET") || strings.Contains(e.Error(), "new-") {
					t.Fatalf("%v", err)
				}
			}
			for i := range 20 {
				refused(i)
			}
			if n := iss.asked.Load(); n != 4 {
				t.Errorf("asked %d times, want one and three that failed", n)
			}
			if got := code(t, a, known); got != "" {
				t.Errorf("what was answered before: %q", got)
			}
			clock.advance(time.Second)
			for i := range 5 {
				refused(i)
			}
			if n := iss.asked.Load(); n != 5 {
				t.Errorf("asked %d times, want one more after a pause", n)
			}
			clock.advance(59 * time.Second)
			if got := code(t, a, known); got != auth.CodeUnavailable {
				t.Errorf("beyond the bound: %q", got)
			}
			iss.breaks(nil)
			clock.advance(time.Minute)
			if got := code(t, a, known); got != "" {
				t.Errorf("repaired: %q", got)
			}
			if got := code(t, a, "Bearer new-1"); got != auth.CodeInactive {
				t.Errorf("repaired, of an unknown token: %q", got)
			}
		})
	}
}

// A slow issuer is asked about so many tokens at a time and no more.
func TestIntrospectionIsBounded(t *testing.T) {
	iss := newOpaqueIssuer(t)
	release := make(chan struct{})
	iss.breaks(func(w http.ResponseWriter, r *http.Request) { <-release; text(200, `{"active":false}`)(w, r) })
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now})
	codes := make(chan string, 64)
	for i := range 64 {
		go func() { codes <- code(t, a, fmt.Sprint("Bearer token-", i)) }()
	}
	counted := map[string]int{}
	for range 32 { // those beyond the bound return at once
		counted[<-codes]++
	}
	close(release)
	for range 32 {
		counted[<-codes]++
	}
	if counted[auth.CodeUnavailable] != 32 || counted[auth.CodeInactive] != 32 {
		t.Errorf("%v", counted)
	}
}

func TestIntrospectionByKey(t *testing.T) {
	iss := newOpaqueIssuer(t)
	iss.key = ecPair()
	cfg := iss.config()
	cfg.Introspection.Secret = ""
	cfg.Introspection.Key = must(json.Marshal(jose.JSONWebKey{Key: ecPair(), KeyID: "own", Algorithm: "ES256"}))
	cfg.Introspection.URL = iss.URL + "/introspect"
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: newClock().now})
	for i := range 3 { // each time by an assertion of its own
		if got := code(t, a, "Bearer "+iss.gives(fmt.Sprint("opaque-", i))); got != "" {
			t.Errorf("%q", got)
		}
	}
	if n := iss.discoveries.Load(); n != 0 {
		t.Errorf("%d discoveries", n)
	}
}

func TestNewRefusesIntrospection(t *testing.T) {
	public := must(json.Marshal(jose.JSONWebKey{Key: ecPair().Public(), KeyID: "a", Algorithm: "ES256"}))
	private := must(json.Marshal(jose.JSONWebKey{Key: ecPair(), KeyID: "a"}))
	good := auth.Introspection{ClientID: "a", Secret: "hidden", Cache: time.Second}
	of := func(url string, tenants []string, change func(*auth.Introspection)) auth.Issuer {
		n := good
		change(&n)
		return auth.Issuer{URL: url, Audiences: []string{audience}, Introspection: &n, Tenants: tenants}
	}
	same := func(*auth.Introspection) {}
	for name, issuers := range map[string][]auth.Issuer{
		"no client":               {of("https://a.example", nil, func(n *auth.Introspection) { n.ClientID = "" })},
		"no secret":               {of("https://a.example", nil, func(n *auth.Introspection) { n.Secret = "" })},
		"secret and key":          {of("https://a.example", nil, func(n *auth.Introspection) { n.Key = private })},
		"a public key":            {of("https://a.example", nil, func(n *auth.Introspection) { n.Secret, n.Key = "", public })},
		"a key without alg":       {of("https://a.example", nil, func(n *auth.Introspection) { n.Secret, n.Key = "", private })},
		"no key":                  {of("https://a.example", nil, func(n *auth.Introspection) { n.Secret, n.Key = "", []byte("hidden") })},
		"believed for long":       {of("https://a.example", nil, func(n *auth.Introspection) { n.Cache = 2 * time.Minute })},
		"believed for less":       {of("https://a.example", nil, func(n *auth.Introspection) { n.Cache = -1 })},
		"over http":               {of("https://a.example", nil, func(n *auth.Introspection) { n.URL = "http://127.0.0.1/" })},
		"two issuers":             {of("https://a.example", nil, same), of("https://b.example", []string{"b"}, same)},
		"two issuers of a tenant": {of("https://a.example", []string{"a", "b"}, same), of("https://b.example", []string{"b"}, same)},
	} {
		if _, err := auth.New(auth.Options{Issuers: issuers}); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
	two := []auth.Issuer{of("https://a.example", []string{"a"}, same), of("https://b.example", []string{"b"}, same)}
	if _, err := auth.New(auth.Options{Issuers: two}); err != nil {
		t.Error(err)
	}
}

// A token is shown to the issuer of the EHR's tenant, and to no other.
func TestIntrospectionByTenant(t *testing.T) {
	east, west := newOpaqueIssuer(t), newOpaqueIssuer(t)
	e, w := east.config(), west.config()
	e.Tenants, w.Tenants = []string{"east"}, []string{"west"}
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{e, w}, Now: newClock().now})
	token := []string{"Bearer " + east.gives("opaque")}
	for tenant, want := range map[string]string{"east": "", "west": auth.CodeInactive, "north": auth.CodeMalformed} {
		if got := codeOf(t, a, auth.Request{Authorization: token, Tenant: tenant}); got != want {
			t.Errorf("%s: %q, want %q", tenant, got, want)
		}
	}
	if east.asked.Load() != 1 || west.asked.Load() != 1 {
		t.Errorf("asked %d and %d times", east.asked.Load(), west.asked.Load())
	}
}
