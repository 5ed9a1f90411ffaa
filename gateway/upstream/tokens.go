package upstream

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	maxToken      = 16 << 10        // bytes of an access token
	maxConfig     = 1 << 20         // bytes of a smart-configuration
	assertionLife = 2 * time.Minute // SMART App Launch 2.2, section 5.1.2.2: at most five
	endpointLife  = time.Hour       // of what discovery found
	maxCallers    = 10_000          // whose exchanged tokens are held
)

// tokens gets access tokens from an authorization server, and holds them.
type tokens struct {
	ehr    *EHR
	client *http.Client // of the token endpoint
	*wallet
}

// wallet is what is held; it outlives a reload.
type wallet struct {
	own held // the gateway's, where none is exchanged

	mu       sync.Mutex
	endpoint string // as discovered
	found    time.Time
	callers  map[[sha256.Size]byte]*held // by the caller's token
}

func newTokens(e *EHR) *tokens {
	roots := e.o.OAuth.RootCAs
	if roots == nil {
		roots = e.o.RootCAs
	}
	transport := e.o.transport()
	transport.TLSClientConfig.RootCAs, transport.TLSClientConfig.ServerName = roots, ""
	return &tokens{
		ehr: e, wallet: &wallet{own: held{now: e.o.Now}, callers: map[[sha256.Size]byte]*held{}},
		client: &http.Client{Transport: transport, CheckRedirect: noRedirect},
	}
}

// noRedirect: nobody is sent a secret because a server says so.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// holder is what holds the token for a call.
func (t *tokens) holder(caller Secret) *held {
	if !t.ehr.o.OAuth.Exchange {
		return &t.own
	}
	key := sha256.Sum256([]byte(caller))
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.callers[key]
	if h == nil {
		if len(t.callers) >= maxCallers {
			t.forget()
		}
		h = &held{now: t.ehr.o.Now}
		t.callers[key] = h
	}
	return h
}

// forget makes room for another caller: by those whose tokens are over, or by any. Who is forgotten costs one more
// exchange.
func (t *tokens) forget() {
	for key, h := range t.callers {
		if h.over() {
			delete(t.callers, key)
		}
	}
	for key := range t.callers {
		if len(t.callers) < maxCallers {
			return
		}
		delete(t.callers, key)
	}
}

// fetch asks for a token. Nothing of what the server says but the token leaves this function.
func (t *tokens) fetch(caller Secret) (granted, *Error) {
	o := t.ehr.o.OAuth
	ctx, cancel := context.WithTimeout(context.Background(), t.ehr.o.ConnectTimeout+t.ehr.o.HeaderTimeout)
	defer cancel()
	endpoint, failed := t.where(ctx)
	if failed != nil {
		return granted{}, failed
	}
	c := clientcredentials.Config{ClientID: o.ClientID, TokenURL: endpoint, Scopes: o.Scopes, EndpointParams: url.Values{}, AuthStyle: oauth2.AuthStyleInParams}
	switch {
	case len(o.Keys) > 0:
		assertion, err := t.assertion(endpoint)
		if err != nil {
			return granted{}, t.error(NoToken, "an assertion cannot be signed")
		}
		c.EndpointParams.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		c.EndpointParams.Set("client_assertion", assertion)
	case o.ClientSecret != "":
		c.AuthStyle, c.ClientSecret = oauth2.AuthStyleInHeader, string(o.ClientSecret)
	}
	if o.Resource != "" {
		c.EndpointParams.Set("resource", o.Resource)
	}
	if o.Exchange { // RFC 8693, section 2.1
		c.EndpointParams.Set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
		c.EndpointParams.Set("subject_token", string(caller))
		c.EndpointParams.Set("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
		c.EndpointParams.Set("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
	}
	token, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err != nil {
		t.lose()
		return granted{}, t.refused(err)
	}
	g := granted{token: Secret(token.AccessToken), life: life(token.Extra("expires_in"))}
	kind, _ := token.Extra("issued_token_type").(string)
	switch {
	case g.token == "" || len(g.token) > maxToken || !g.token.valid(), g.life <= 0,
		!strings.EqualFold(token.TokenType, "Bearer"), // RFC 6749, section 7.1: a type that is not understood is not used
		o.Exchange && kind != "urn:ietf:params:oauth:token-type:access_token" && kind != "urn:ietf:params:oauth:token-type:jwt":
		return granted{}, t.error(NoToken, "the token endpoint gave nothing that can be used")
	}
	return g, nil
}

// life is for how long a token holds: expires_in in seconds, a number or, as some write it, a text of one.
func life(expires any) time.Duration {
	seconds := 0.0
	switch v := expires.(type) {
	case nil:
		return defaultLife
	case float64:
		seconds = v
	case string:
		seconds, _ = strconv.ParseFloat(v, 64)
	}
	if !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, longestLife.Seconds()) * float64(time.Second))
}

// assertion says who asks (SMART App Launch 2.2, section 5.1.2.2).
func (t *tokens) assertion(endpoint string) (string, error) {
	o := t.ehr.o.OAuth
	key := o.Keys[0]
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.algorithm, Key: jose.JSONWebKey{Key: key.private, KeyID: key.id}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	audience := o.Audience
	if audience == "" {
		audience = endpoint
	}
	now := t.ehr.o.Now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: o.ClientID, Subject: o.ClientID, Audience: jwt.Audience{audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
}

// refused says whose fault it is that there is no token, by status and error code alone (RFC 6749, section 5.2).
func (t *tokens) refused(err error) *Error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response == nil {
		return t.error(NoToken, "the token endpoint cannot be reached, or gives no token")
	}
	status := answer.Response.StatusCode
	e := t.error(NoToken, "the token endpoint failed")
	e.Status = status
	switch ours := status == http.StatusUnauthorized || answer.ErrorCode == "invalid_client" || answer.ErrorCode == "unauthorized_client"; {
	case status == http.StatusTooManyRequests || status >= 500, status >= 300 && status < 400:
	case t.ehr.o.OAuth.Exchange && !ours && (answer.ErrorCode == "invalid_request" || answer.ErrorCode == "invalid_grant" || answer.ErrorCode == "invalid_target"):
		// RFC 8693, section 2.2.2: the subject's token is not taken.
		e.Kind, e.Reason = CallerRefused, "the token endpoint does not take the caller's token"
	case status >= 400 || answer.ErrorCode != "":
		e.Kind, e.Reason = TokenRefused, "the token endpoint does not take the gateway's own credentials"
	}
	return e
}

// where is the token endpoint: as configured, or as the server's smart-configuration says (SMART App Launch 2.2, section
// 2.2). The document is asked for without credentials.
func (t *tokens) where(ctx context.Context) (string, *Error) {
	if t.ehr.o.OAuth.TokenURL != "" {
		return t.ehr.o.OAuth.TokenURL, nil
	}
	t.mu.Lock()
	endpoint, fresh := t.endpoint, t.ehr.o.Now().Before(t.found.Add(endpointLife))
	t.mu.Unlock()
	if endpoint != "" && fresh {
		return endpoint, nil
	}
	endpoint, err := t.discover(ctx)
	if err != nil {
		return "", t.error(NoToken, "the smart-configuration names no token endpoint that can be used")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endpoint, t.found = endpoint, t.ehr.o.Now()
	return endpoint, nil
}

var errDiscovery = errors.New("no discovery")

func (t *tokens) discover(ctx context.Context) (string, error) {
	var errs []error
	first := int(t.ehr.at.current.Load())
	for n := range len(t.ehr.at.all) {
		endpoint, err := t.discoverAt(ctx, t.ehr.at.all[(first+n)%len(t.ehr.at.all)])
		if err == nil {
			return endpoint, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func (t *tokens) discoverAt(ctx context.Context, a *address) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base.JoinPath(".well-known", "smart-configuration").String(), nil)
	if err != nil {
		return "", err
	}
	req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {t.ehr.o.Product}}
	resp, err := (&http.Client{Transport: t.ehr.transport, CheckRedirect: noRedirect}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || kind != "application/json" && kind != "application/fhir+json" {
		return "", errDiscovery
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxConfig+1))
	if err != nil || len(raw) > maxConfig {
		return "", errDiscovery
	}
	var document struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	if json.Unmarshal(raw, &document) != nil || parseEndpoint(document.TokenEndpoint, t.ehr.o.InsecureHTTP) == nil {
		return "", errDiscovery
	}
	return document.TokenEndpoint, nil
}

// lose has the endpoint discovered again: it may have moved.
func (t *tokens) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endpoint = ""
}

func (t *tokens) error(kind Kind, reason string) *Error {
	return &Error{Kind: kind, EHR: t.ehr.o.Name, Reason: reason}
}

func (t *tokens) close() { t.client.CloseIdleConnections() }

// present is the certificate that the gateway shows where it is asked for one.
func (o *Options) present(c *tls.Config) {
	if o.Certificate != nil {
		c.Certificates = []tls.Certificate{*o.Certificate}
	}
}
