package demo_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

const (
	audience = "https://gateway.test/fhir"
	callback = "http://127.0.0.1:1/callback"
)

// A clock that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// A stand is an issuer behind TLS with its clients.
type stand struct {
	issuer  *demo.Issuer
	clock   *clock
	http    *http.Client // does not follow redirects
	ctx     context.Context
	clients map[string]demo.Client
}

func newStand(t *testing.T) *stand {
	t.Helper()
	clients, err := demo.DeskClients(rand.Reader, demo.AppOptions{RedirectURIs: []string{callback, callback + "?app=1"}, Patient: "p-1", FHIRUser: "Practitioner/prac-0100"})
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{clock: &clock{t: time.Now()}, clients: map[string]demo.Client{}}
	for _, c := range clients {
		s.clients[c.ID] = c
	}
	server := httptest.NewUnstartedServer(nil)
	s.issuer, err = demo.NewIssuer(demo.IssuerOptions{URL: "https://" + server.Listener.Addr().String(), Audience: audience, Clients: clients, Now: s.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s.issuer
	server.StartTLS()
	t.Cleanup(server.Close)
	s.http = server.Client()
	s.http.Jar, _ = cookiejar.New(nil)
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.ctx = oidc.ClientContext(t.Context(), s.http)
	return s
}

func (s *stand) provider(t *testing.T) *oidc.Provider {
	t.Helper()
	p, err := oidc.NewProvider(s.ctx, s.issuer.URL())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// verify checks a token as a resource server does and returns its claims.
func (s *stand) verify(t *testing.T, token, audience string) map[string]any {
	t.Helper()
	verified, err := s.provider(t).Verifier(&oidc.Config{ClientID: audience, Now: s.clock.now}).Verify(s.ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := verified.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestDeskTokens(t *testing.T) {
	s := newStand(t)
	for id, category := range map[string]string{"demo-access": "access", "demo-scheduling": "scheduling", "demo-billing": "billing", "demo-emergency": "emergency", "demo-nobody": ""} {
		for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
			config := clientcredentials.Config{ClientID: id, ClientSecret: string(s.clients[id].Secret), TokenURL: s.issuer.URL() + demo.TokenPath, AuthStyle: style}
			token, err := config.Token(s.ctx)
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			claims := s.verify(t, token.AccessToken, audience)
			if claims["sub"] != id || claims["client_id"] != id || claims["jti"] == "" || claims["patient"] != nil || claims["fhirUser"] != nil {
				t.Errorf("%s: %v", id, claims)
			}
			if category == "" {
				if claims["scope"] != nil || claims["roles"] != nil || claims["ticket"] != nil {
					t.Errorf("%s may something: %v", id, claims)
				}
				continue
			}
			if claims["ticket_category"] != category || fmt.Sprint(claims["roles"]) != "[helpdesk-"+category+"]" || claims["ticket"] == "" || claims["purpose_of_use"] == nil ||
				!strings.Contains(claims["scope"].(string), "system/Appointment.rs") || strings.Contains(claims["scope"].(string), "Observation") {
				t.Errorf("%s: %v", id, claims)
			}
		}
	}
}

func TestScopesCanBeNarrowed(t *testing.T) {
	s := newStand(t)
	config := clientcredentials.Config{ClientID: "demo-access", ClientSecret: string(s.clients["demo-access"].Secret), TokenURL: s.issuer.URL() + demo.TokenPath, Scopes: []string{"system/Patient.rs"}}
	token, err := config.Token(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.verify(t, token.AccessToken, audience)["scope"]; got != "system/Patient.rs" {
		t.Errorf("scope %v", got)
	}
	config.Scopes = []string{"system/Patient.rs", "system/*.cruds"}
	var refused *oauth2.RetrieveError
	if _, err := config.Token(s.ctx); !errors.As(err, &refused) || refused.ErrorCode != "invalid_scope" {
		t.Errorf("too much: %v", err)
	}
}

func TestMintedTokens(t *testing.T) {
	s := newStand(t)
	mint := func(id string, o demo.TokenOptions) string {
		t.Helper()
		token, err := s.issuer.Token(id, o)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first, second := mint("demo-billing", demo.TokenOptions{}), mint("demo-billing", demo.TokenOptions{Algorithm: demo.RS256})
	if a, b := s.verify(t, first, audience), s.verify(t, second, audience); a["jti"] == b["jti"] || a["sub"] != b["sub"] {
		t.Errorf("%v\n%v", a, b)
	}
	header := regexp.MustCompile(`^eyJ[^.]+`).FindString(first)
	if decoded, err := base64Decode(header); err != nil || !strings.Contains(decoded, `"typ":"at+jwt"`) || !strings.Contains(decoded, `"alg":"ES256"`) {
		t.Errorf("header %s %v", decoded, err)
	}
	if c := s.verify(t, mint("demo-app", demo.TokenOptions{}), audience); c["patient"] != "p-1" || c["fhirUser"] != "Practitioner/prac-0100" || c["sub"] != "demo-user" {
		t.Errorf("app: %v", c)
	}
	odd := mint("demo-access", demo.TokenOptions{Scopes: []string{}, Claims: map[string]any{"exp": 1, "ticket": nil, "aud": []string{"a", "b"}}})
	if _, err := s.provider(t).Verifier(&oidc.Config{ClientID: "b", Now: s.clock.now}).Verify(s.ctx, odd); !errors.As(err, new(*oidc.TokenExpiredError)) {
		t.Errorf("expired: %v", err)
	}
	if _, err := s.issuer.Token("nobody-known", demo.TokenOptions{}); err == nil {
		t.Error("a token for nobody")
	}
	if _, err := s.issuer.Token("demo-access", demo.TokenOptions{Algorithm: "none"}); err == nil {
		t.Error("a token signed with none")
	}
}

func TestRotation(t *testing.T) {
	s := newStand(t)
	before, _ := s.issuer.Token("demo-access", demo.TokenOptions{})
	if err := s.issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	after, _ := s.issuer.Token("demo-access", demo.TokenOptions{})
	s.verify(t, before, audience)
	s.verify(t, after, audience)
	s.issuer.Retire()
	s.verify(t, after, audience)
	if _, err := s.provider(t).Verifier(&oidc.Config{ClientID: audience}).Verify(s.ctx, before); err == nil {
		t.Error("a retired key still verifies")
	}
}

func TestDiscovery(t *testing.T) {
	s := newStand(t)
	var bodies []string
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		resp, err := s.http.Get(s.issuer.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || resp.StatusCode != 200 || doc["issuer"] != s.issuer.URL() {
			t.Errorf("%s: %d %v", path, resp.StatusCode, doc)
		}
		resp.Body.Close()
		if fmt.Sprint(doc["code_challenge_methods_supported"]) != "[S256]" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %v", path, doc)
		}
		bodies = append(bodies, fmt.Sprint(doc))
	}
	if bodies[0] != bodies[1] {
		t.Error("the two documents differ")
	}
	if _, err := s.issuer.Token("demo-access", demo.TokenOptions{Algorithm: demo.RS256}); err != nil {
		t.Fatal(err) // with it comes a key of its algorithm
	}
	resp, err := s.http.Get(s.issuer.URL() + demo.KeysPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var set struct{ Keys []map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%v %v", set, err)
	}
	for _, k := range set.Keys {
		if k["d"] != nil || k["p"] != nil || k["kid"] == "" || k["use"] != "sig" {
			t.Errorf("key %v", k)
		}
	}
}

func TestIssuerOptions(t *testing.T) {
	good := demo.Client{ID: "a", Secret: "s"}
	for _, tt := range []struct {
		name string
		o    demo.IssuerOptions
	}{
		{"http", demo.IssuerOptions{URL: "http://issuer.test", Audience: audience}},
		{"a path", demo.IssuerOptions{URL: "https://issuer.test/a", Audience: audience}},
		{"a slash", demo.IssuerOptions{URL: "https://issuer.test/", Audience: audience}},
		{"no audience", demo.IssuerOptions{URL: "https://issuer.test"}},
		{"twice", demo.IssuerOptions{URL: "https://issuer.test", Audience: audience, Clients: []demo.Client{good, good}}},
		{"no id", demo.IssuerOptions{URL: "https://issuer.test", Audience: audience, Clients: []demo.Client{{Secret: "s"}}}},
		{"nothing to show", demo.IssuerOptions{URL: "https://issuer.test", Audience: audience, Clients: []demo.Client{{ID: "a"}}}},
		{"http redirect", demo.IssuerOptions{URL: "https://issuer.test", Audience: audience, Clients: []demo.Client{{ID: "a", RedirectURIs: []string{"http://app.test/cb"}}}}},
		{"script redirect", demo.IssuerOptions{URL: "https://issuer.test", Audience: audience, Clients: []demo.Client{{ID: "a", RedirectURIs: []string{"javascript:alert(1)"}}}}},
		{"no patient", demo.IssuerOptions{URL: "https://issuer.test", Audience: audience, Clients: []demo.Client{{ID: "a", Secret: "s", Scopes: []string{"launch/patient"}}}}},
	} {
		if _, err := demo.NewIssuer(tt.o); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	if _, err := demo.DeskClients(iotest.ErrReader(errors.New("dry")), demo.AppOptions{}); err == nil {
		t.Error("secrets without randomness")
	}
	i, err := demo.NewIssuer(demo.IssuerOptions{URL: "https://issuer.test", Audience: audience, Clients: []demo.Client{good}, Rand: iotest.ErrReader(errors.New("dry"))})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, demo.TokenPath, strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "client_id": {"a"}, "client_secret": {"s"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if i.ServeHTTP(w, r); w.Code != 500 || !strings.Contains(w.Body.String(), "server_error") || strings.Contains(w.Body.String(), "dry") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := demo.Client{ID: "a", Secret: "hush-hush"}
	doc, err := json.Marshal(c)
	if all := fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, c, c.Secret, c.Secret, c.Secret, c.Secret) + string(doc); err != nil || strings.Contains(all, "hush") || strings.Contains(all, "68757368") {
		t.Errorf("%s %v", all, err)
	}
}
