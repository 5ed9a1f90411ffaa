package upstream_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// clock is a time that a test moves.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.nanos.Load()) }
func (c *clock) pass(d time.Duration) { c.nanos.Add(int64(d)) }

// wall is an EHR behind a token wall, with its authorization server: it takes the tokens that it gave, and no others.
type wall struct {
	*httptest.Server
	t     *testing.T
	clock *clock
	jwks  func() []byte // of the client, as the authorization server sees them

	mu     sync.Mutex
	forms  []url.Values // of the requests for tokens
	basic  []string     // their users and passwords
	used   map[string]bool
	tokens map[string]bool
	asked  []string                                      // the Authorization of every call for data
	answer func(http.ResponseWriter, *http.Request) bool // answers a request for a token instead, where it says so
	life   int
}

func newWall(t *testing.T, c *clock) *wall {
	w := &wall{t: t, clock: c, used: map[string]bool{}, tokens: map[string]bool{}, life: 300}
	w.Server = serve(t, w.serve)
	return w
}

func (w *wall) serve(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch r.URL.Path {
	case "/fhir/.well-known/smart-configuration":
		if r.Header.Get("Authorization") != "" {
			w.t.Error("discovery with credentials")
		}
		out.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(out, `{"token_endpoint":"%s/token"}`, w.URL)
	case "/token":
		if err := r.ParseForm(); err != nil {
			w.t.Error(err)
		}
		w.forms = append(w.forms, r.PostForm)
		user, password, _ := r.BasicAuth()
		w.basic = append(w.basic, user+" "+password)
		if w.answer != nil && w.answer(out, r) {
			return
		}
		if w.jwks != nil {
			if err := w.verify(r.PostForm); err != nil {
				w.t.Error(err)
				http.Error(out, `{"error":"invalid_client"}`, http.StatusUnauthorized)
				return
			}
		}
		token := fmt.Sprintf("token-%d", len(w.forms))
		w.tokens[token] = true
		out.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(out, `{"access_token":%q,"token_type":"bearer","expires_in":%d,"scope":"x","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`, token, w.life)
	default:
		w.asked = append(w.asked, r.Header.Get("Authorization"))
		if !w.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
			http.Error(out, marker, http.StatusUnauthorized)
			return
		}
		jsonBody(resource)(out, r)
	}
}

// verify is what SMART App Launch 2.2, section 5.1.3, has a server look at.
func (w *wall) verify(form url.Values) error {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.jwks(), &set); err != nil {
		return err
	}
	token, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
	if err != nil {
		return err
	}
	keys := set.Key(token.Headers[0].KeyID)
	if len(keys) != 1 || keys[0].Algorithm != token.Headers[0].Algorithm || !keys[0].IsPublic() {
		return fmt.Errorf("%d keys by kid %q", len(keys), token.Headers[0].KeyID)
	}
	var claims jwt.Claims
	if err := token.Claims(keys[0], &claims); err != nil {
		return err
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: "halfdoor", Subject: "halfdoor", AnyAudience: jwt.Audience{w.URL + "/token"}, Time: w.clock.now()}, 0); err != nil {
		return err
	}
	if claims.Expiry.Time().Sub(w.clock.now()) > 5*time.Minute || claims.ID == "" || w.used[claims.ID] {
		return fmt.Errorf("claims %+v", claims)
	}
	w.used[claims.ID] = true
	if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return fmt.Errorf("form %v", form)
	}
	return nil
}

func (w *wall) fetched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.forms)
}

// revoke makes every token worthless.
func (w *wall) revoke() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.tokens)
}

func (w *wall) calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.asked...)
}

// behind is an EHR that gets its tokens from the wall by client_credentials.
func (w *wall) behind(change func(*upstream.Options)) *upstream.EHR {
	w.t.Helper()
	e := ehr(w.t, w.URL+"/fhir", func(o *upstream.Options) {
		o.Bearer, o.Now = "", w.clock.now
		o.OAuth = &upstream.OAuth{ClientID: "halfdoor", ClientSecret: marker, TokenURL: w.URL + "/token"}
		if change != nil {
			change(o)
		}
	})
	return e
}

func reads(t *testing.T, e *upstream.EHR) {
	t.Helper()
	if body, err := fetch(t.Context(), e); err != nil || body != resource {
		t.Fatalf("got %q, %v", body, err)
	}
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pemOf(t *testing.T, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func jwkOf(t *testing.T, k any, kid string) []byte {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKey{Key: k, KeyID: kid})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parsed(t *testing.T, data ...[]byte) (all []*upstream.Key) {
	t.Helper()
	for _, d := range data {
		keys, err := upstream.ParseKeys(d)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, keys...)
	}
	return all
}

// SMART Backend Services, from discovery to data: the authorization server verifies by what the gateway publishes, and one
// token serves all who wait for it.
func TestBackendServices(t *testing.T) {
	old := jwkOf(t, ecKey(t, elliptic.P384()), "old")
	for name, key := range map[string][]byte{
		"RS384 in PEM": pemOf(t, rsaKey(t, 2048)), "ES384 in PEM": pemOf(t, ecKey(t, elliptic.P384())),
		"RS384 in a JWK": jwkOf(t, rsaKey(t, 2048), "new"), "ES384 in a JWK Set": []byte(`{"keys":[` + string(jwkOf(t, ecKey(t, elliptic.P384()), "new")) + `]}`),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWall(t, newClock())
			e := w.behind(func(o *upstream.Options) {
				o.OAuth = &upstream.OAuth{ClientID: "halfdoor", Keys: parsed(t, key, old), Scopes: []string{"system/Patient.rs", "system/Task.rs"}}
			})
			published, err := e.JWKS()
			if err != nil || strings.Contains(string(published), `"d"`) || strings.Count(string(published), `"kid"`) != 2 {
				t.Fatalf("published %s, %v", published, err)
			}
			w.jwks = func() []byte { return published }
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if body, err := fetch(t.Context(), e); err != nil || body != resource {
						t.Errorf("got %q, %v", body, err)
					}
				})
			}
			all.Wait()
			if n := w.fetched(); n != 1 {
				t.Errorf("%d tokens were asked for", n)
			}
			form := w.forms[0]
			if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "system/Patient.rs system/Task.rs" || form.Has("client_secret") || w.basic[0] != " " {
				t.Errorf("asked %v by %q", form, w.basic[0])
			}
		})
	}
}

// A token is replaced while calls go on with it; one that has ended is used by nobody.
func TestTokensAreReplacedAhead(t *testing.T) {
	w := newWall(t, newClock())
	e := w.behind(nil)
	reads(t, e)
	w.clock.pass(3 * time.Minute)
	reads(t, e)
	if n := w.fetched(); n != 1 {
		t.Fatalf("%d tokens within the life of one", n)
	}
	asked := make(chan struct{})
	hold := make(chan struct{})
	w.answer = func(http.ResponseWriter, *http.Request) bool {
		close(asked)
		w.answer = nil
		w.mu.Unlock()
		<-hold
		w.mu.Lock()
		return false
	}
	w.clock.pass(100 * time.Second) // 20 s before its end
	reads(t, e)                     // and does not wait for the other
	<-asked
	reads(t, e)
	close(hold)
	e.Settle()
	w.clock.pass(time.Minute)
	reads(t, e)
	calls := w.calls()
	if got := strings.Join(calls, ", "); got != "Bearer token-1, Bearer token-1, Bearer token-1, Bearer token-1, Bearer token-2" {
		t.Errorf("calls with %s", got)
	}
}

// A token is not used up to its very end: a server that counts whole seconds ends it up to one before, and it has to arrive.
func TestAShortTokenEndsEarly(t *testing.T) {
	for _, c := range []struct {
		life int
		used time.Duration // for which it is shown
	}{{1, 500 * time.Millisecond}, {4, 3 * time.Second}, {30, 27 * time.Second}, {300, 295 * time.Second}} {
		w := newWall(t, newClock())
		w.life = c.life
		e := w.behind(nil)
		reads(t, e)
		w.answer = func(out http.ResponseWriter, _ *http.Request) bool { // no further one
			http.Error(out, "", http.StatusServiceUnavailable)
			return true
		}
		w.clock.pass(c.used - time.Millisecond)
		reads(t, e)
		e.Settle()
		w.clock.pass(time.Millisecond)
		if _, err := fetch(t.Context(), e); !errors.Is(err, upstream.NoToken) {
			t.Errorf("a token of %d s is used after %s: %v", c.life, c.used, err)
		}
	}
}

// A token outlives a server that fails to replace it, to its end and not beyond; the server is not asked by every call.
func TestATokenServerThatFails(t *testing.T) {
	w := newWall(t, newClock())
	e := w.behind(nil)
	reads(t, e)
	down := func(out http.ResponseWriter, _ *http.Request) bool {
		http.Error(out, marker, http.StatusServiceUnavailable)
		return true
	}
	w.answer = down
	w.clock.pass(280 * time.Second)
	for range 10 {
		reads(t, e)
		e.Settle()
	}
	if n := w.fetched(); n != 2 {
		t.Errorf("%d requests for tokens, want 1 and 1 that failed", n)
	}
	w.clock.pass(16 * time.Second)
	for range 10 {
		_, err := fetch(t.Context(), e)
		fails(t, err, upstream.NoToken, "the token endpoint failed")
	}
	if n := w.fetched(); n != 3 {
		t.Errorf("%d requests for tokens, want one more", n)
	}
	w.mu.Lock()
	w.answer = nil
	w.mu.Unlock()
	w.clock.pass(2 * time.Second)
	reads(t, e)
}

// What a token endpoint can answer, and what becomes of it: nothing of its text is told.
func TestTokenAnswers(t *testing.T) {
	const refused, nothing = "the token endpoint does not take the gateway's own credentials", "the token endpoint gave nothing that can be used"
	const unreached, failed, caller = "the token endpoint cannot be reached, or gives no token", "the token endpoint failed", "the token endpoint does not take the caller's token"
	const exchanged = `"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"`
	for _, c := range []struct {
		name     string
		status   int
		body     string
		exchange bool
		kind     upstream.Kind
		reason   string
	}{
		{"invalid client", 401, `{"error":"invalid_client","error_description":"` + marker + `"}`, false, upstream.TokenRefused, refused},
		{"invalid scope", 400, `{"error":"invalid_scope"}`, false, upstream.TokenRefused, refused},
		{"an error in a 200", 200, `{"error":"unauthorized_client"}`, false, upstream.TokenRefused, refused},
		{"forbidden in HTML", 403, "<html>" + marker, false, upstream.TokenRefused, refused},
		{"too many", 429, marker, false, upstream.NoToken, failed},
		{"broken", 500, marker, false, upstream.NoToken, failed},
		{"elsewhere", 302, "", false, upstream.NoToken, failed},
		{"no JSON", 200, marker, false, upstream.NoToken, unreached},
		{"no token", 200, `{"token_type":"bearer"}`, false, upstream.NoToken, unreached},
		{"no text", 200, `{"access_token":7,"token_type":"bearer"}`, false, upstream.NoToken, unreached},
		{"another type", 200, `{"access_token":"a","token_type":"DPoP","expires_in":60}`, false, upstream.NoToken, nothing},
		{"no type", 200, `{"access_token":"a b","expires_in":60}`, false, upstream.NoToken, nothing},
		{"two headers in one", 200, `{"access_token":"a\r\nX: y","token_type":"bearer","expires_in":60}`, false, upstream.NoToken, nothing},
		{"over already", 200, `{"access_token":"a","token_type":"bearer","expires_in":0}`, false, upstream.NoToken, nothing},
		{"over before", 200, `{"access_token":"a","token_type":"bearer","expires_in":-5}`, false, upstream.NoToken, nothing},
		{"too long", 200, `{"access_token":"` + strings.Repeat("a", 20<<10) + `","token_type":"bearer"}`, false, upstream.NoToken, nothing},
		{"a caller who is not taken", 400, `{"error":"invalid_request"}`, true, upstream.CallerRefused, caller},
		{"a caller whose token is bad", 400, `{"error":"invalid_grant"}`, true, upstream.CallerRefused, caller},
		{"a client who may not exchange", 400, `{"error":"unauthorized_client"}`, true, upstream.TokenRefused, refused},
		{"something else for a caller", 200, `{"access_token":"a","token_type":"bearer","issued_token_type":"urn:ietf:params:oauth:token-type:id_token"}`, true, upstream.NoToken, nothing},
		{"a token of no kind", 200, `{"access_token":"a","token_type":"N_A",` + exchanged + `}`, true, upstream.NoToken, nothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWall(t, newClock())
			w.answer = func(out http.ResponseWriter, _ *http.Request) bool {
				out.Header().Set("Content-Type", "application/json")
				out.Header().Set("Location", "/elsewhere")
				out.WriteHeader(c.status)
				_, _ = io.WriteString(out, c.body)
				return true
			}
			e := w.behind(func(o *upstream.Options) { o.OAuth.Exchange = c.exchange })
			for range 2 { // the second is told by what is remembered
				_, err := e.Do(t.Context(), upstream.Call{Method: "GET", Path: "Patient/1", Caller: "caller-1"})
				fails(t, err, c.kind, c.reason)
			}
			if w.fetched() != 1 || len(w.calls()) != 0 {
				t.Errorf("%d requests for tokens, calls %q", w.fetched(), w.calls())
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		w := newWall(t, newClock())
		e := w.behind(func(o *upstream.Options) { o.OAuth.TokenURL = "http://127.0.0.1:1/" + marker })
		_, err := fetch(t.Context(), e)
		fails(t, err, upstream.NoToken, unreached)
	})
}

func TestTokenDiscovery(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"missing": http.NotFound,
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `{"token_endpoint":"https://login.example/token"}`)
		},
		"elsewhere":      func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/"+marker, http.StatusFound) },
		"no endpoint":    jsonBody(`{}`),
		"plain http":     jsonBody(`{"token_endpoint":"http://login.example/` + marker + `"}`),
		"a user":         jsonBody(`{"token_endpoint":"https://` + marker + `@login.example/token"}`),
		"relative":       jsonBody(`{"token_endpoint":"/token"}`),
		"a file":         jsonBody(`{"token_endpoint":"file:///etc/passwd"}`),
		"not JSON":       jsonBody(marker),
		"without an end": jsonBody(`{"x":"` + strings.Repeat("x", 2<<20) + `","token_endpoint":"https://login.example/token"}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answer)
			e := ehr(t, s.URL, func(o *upstream.Options) {
				o.Bearer, o.OAuth = "", &upstream.OAuth{ClientID: "halfdoor", ClientSecret: marker}
			})
			_, err := fetch(t.Context(), e)
			fails(t, err, upstream.NoToken, "the smart-configuration names no token endpoint that can be used")
		})
	}
}

// A token that the EHR no longer takes is replaced once, and a read asked for again; a write is not.
func TestARevokedToken(t *testing.T) {
	w := newWall(t, newClock())
	e := w.behind(nil)
	reads(t, e)
	w.clock.pass(time.Minute)
	w.revoke()
	reads(t, e)
	if calls := w.calls(); w.fetched() != 2 || len(calls) != 3 || calls[2] != "Bearer token-2" {
		t.Fatalf("%d tokens, calls %q", w.fetched(), calls)
	}
	w.clock.pass(time.Minute)
	w.revoke()
	write := upstream.Call{Method: "POST", Path: "Task", Body: []byte(resource)}
	_, err := e.Do(t.Context(), write)
	fails(t, err, upstream.Refused, "the gateway's own credentials are not taken")
	if len(w.calls()) != 4 {
		t.Errorf("a write was sent again: %q", w.calls())
	}
	if resp, err := e.Do(t.Context(), write); err != nil { // with a new token, since the old one was dropped
		t.Error(err)
	} else {
		_ = resp.Body.Close()
	}
	// An EHR that takes no token at all costs one more, and not one for each call.
	before := w.fetched()
	for range 5 {
		w.revoke()
		_, err := fetch(t.Context(), e)
		fails(t, err, upstream.Refused, "the gateway's own credentials are not taken")
	}
	if n := w.fetched() - before; n != 0 {
		t.Errorf("%d more tokens, of which each was young", n)
	}
}

// The caller who began a fetch may go; those who wait with it get the token.
func TestAFetchOutlivesItsCaller(t *testing.T) {
	w := newWall(t, newClock())
	asked, hold := make(chan struct{}), make(chan struct{})
	w.answer = func(http.ResponseWriter, *http.Request) bool {
		close(asked)
		w.mu.Unlock()
		<-hold
		w.mu.Lock()
		return false
	}
	e := w.behind(nil)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := fetch(ctx, e)
		gone <- err
	}()
	<-asked
	cancel()
	fails(t, <-gone, upstream.Canceled, "the caller went away")
	close(hold)
	reads(t, e)
	if n := w.fetched(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestClientSecret(t *testing.T) {
	w := newWall(t, newClock())
	e := w.behind(func(o *upstream.Options) {
		o.OAuth.ClientID, o.OAuth.ClientSecret, o.OAuth.Resource = "half door", "p:ss w%rd", "https://ehr.example/fhir"
	})
	reads(t, e)
	// RFC 6749, section 2.3.1: both are encoded before they are joined.
	if form := w.forms[0]; w.basic[0] != "half+door p%3Ass+w%25rd" || form.Has("client_secret") || form.Get("resource") != "https://ehr.example/fhir" {
		t.Errorf("asked %v by %q", form, w.basic[0])
	}
	if published, err := e.JWKS(); published != nil || err != nil {
		t.Errorf("published %s, %v", published, err)
	}
}

// Each caller has a token of their own, got by their own and by no one else's.
func TestTokenExchange(t *testing.T) {
	w := newWall(t, newClock())
	e := w.behind(func(o *upstream.Options) { o.OAuth.Exchange = true })
	ask := func(caller upstream.Secret) error {
		resp, err := e.Do(t.Context(), upstream.Call{Method: "GET", Path: "Patient/1", Caller: caller})
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	for _, caller := range []upstream.Secret{"caller-1", "caller-2", "caller-1", "caller-2"} {
		if err := ask(caller); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(w.calls(), ", "); got != "Bearer token-1, Bearer token-2, Bearer token-1, Bearer token-2" {
		t.Errorf("calls with %s", got)
	}
	want := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"caller-2"},
		"subject_token_type":   {"urn:ietf:params:oauth:token-type:access_token"},
		"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	if got := w.forms[1]; got.Encode() != want.Encode() {
		t.Errorf("asked %v, want %v", got, want)
	}
	fails(t, ask(""), upstream.CallerRefused, "the caller has no token that could be used")
	if n := e.Callers(12_000); n > 10_000 {
		t.Errorf("%d callers' tokens are held", n)
	}
}

func TestACallersTokenForwarded(t *testing.T) {
	var got string
	status := http.StatusOK
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, resource)
	})
	e := ehr(t, s.URL, func(o *upstream.Options) { o.Bearer, o.InsecureForwardCaller = "", true })
	call := patient
	call.Caller = marker
	resp, err := e.Do(t.Context(), call)
	if err != nil || got != "Bearer "+marker {
		t.Fatalf("sent %q, %v", got, err)
	}
	_ = resp.Body.Close()
	for _, status = range []int{http.StatusUnauthorized, http.StatusForbidden} {
		_, err = e.Do(t.Context(), call)
		fails(t, err, upstream.CallerRefused, "the EHR does not let the caller ask")
	}
	_, err = e.Do(t.Context(), patient)
	fails(t, err, upstream.CallerRefused, "the caller has no token that could be used")
	// Where it is not asked for, it goes nowhere.
	status = http.StatusOK
	other := ehr(t, s.URL, func(o *upstream.Options) { o.Bearer = "own" })
	if resp, err = other.Do(t.Context(), call); err != nil || got != "Bearer own" {
		t.Fatalf("sent %q, %v", got, err)
	}
	_ = resp.Body.Close()
}
