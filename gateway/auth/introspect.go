package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// Introspection is how an issuer is asked about tokens that only it can read (RFC 7662).
type Introspection struct {
	// URL is the endpoint; "" for the one that the issuer's discovery document names.
	URL string

	// ClientID is who the gateway is to the issuer; Secret (client_secret_basic) or Key, a
	// private JSON Web Key (private_key_jwt), is how it shows that. One of the two.
	ClientID string
	Secret   string
	Key      []byte

	// Cache is how long an answer is believed, and so how long a withdrawn token goes on:
	// from 0, never, to MaxIntrospected. A token is never believed beyond its exp.
	Cache time.Duration
}

// MaxIntrospected is the longest that the answer to an introspection is believed.
const MaxIntrospected = time.Minute

const (
	questions    = 32               // to one issuer at a time
	tolerated    = 3                // failures in a row before the issuer is left alone
	assertionAge = 30 * time.Second // of the gateway's own client assertion
)

// introspector asks one issuer about opaque tokens.
//
// Map. lookup is what every call takes: the remembered answer, or a question of which there
// is one per token at a time, whoever waits for it. ask is the question itself, judge what
// its answer means.
//
// Invariants. No answer is believed for longer than Introspection.Cache, or beyond the
// token's exp. At most so many questions are under way; after some failures in a row none
// is asked until a pause is over, and then one alone. Good answers and bad ones are
// remembered apart, so that a flood of invented tokens forgets no good one.
type introspector struct {
	s         *source
	o         Introspection
	signer    jose.Signer // nil with a secret
	good, bad *memory
	slots     chan struct{}

	mu       sync.Mutex
	running  map[digest]*question
	failures int       // in a row
	next     time.Time // not before this, after too many failures
}

// question is one to the issuer. v and err may be read once done is closed.
type question struct {
	done chan struct{}
	v    verified
	err  *Error
}

func newIntrospector(s *source, o Introspection, size int) (*introspector, error) {
	i := &introspector{
		s: s, o: o, good: newMemory(size), bad: newMemory(size),
		slots: make(chan struct{}, questions), running: map[digest]*question{},
	}
	if o.ClientID == "" || (o.Secret == "") == (o.Key == nil) {
		return nil, errors.New("introspection needs a client id, and a secret or a key")
	}
	if o.Cache < 0 || o.Cache > MaxIntrospected {
		return nil, fmt.Errorf("introspection: an answer may be believed from 0 to %s", MaxIntrospected)
	}
	if o.URL != "" && !s.leadsTo(o.URL) {
		return nil, errors.New("introspection: the endpoint must be an https URL")
	}
	if o.Key == nil {
		return i, nil
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(o.Key) != nil || jwk.IsPublic() || !jwk.Valid() || !asymmetric(jwk.Algorithm) {
		return nil, errors.New("introspection: the key must be a private JSON Web Key with its alg")
	}
	var err error
	opts := &jose.SignerOptions{}
	i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(jwk.Algorithm), Key: jwk}, opts.WithType("JWT"))
	if err != nil {
		return nil, errors.New("introspection: the key does not fit its alg")
	}
	return i, nil
}

// leadsTo reports whether an address may be asked: a trusted issuer over TLS must not lead
// to one without it.
func (s *source) leadsTo(address string) bool {
	return secure(address) && (scheme(s.url) != "https" || scheme(address) == "https")
}

// opaque reports whether a token is none that could be read here.
func opaque(raw string) bool {
	head, _, found := strings.Cut(raw, ".")
	if !found {
		return true
	}
	doc, err := base64.RawURLEncoding.DecodeString(head)
	return err != nil || len(doc) == 0 || doc[0] != '{'
}

// lookup is what the issuer says of a token.
func (i *introspector) lookup(ctx context.Context, raw string, sum digest) (verified, *Error) {
	now := i.s.now()
	if v, ok := i.good.get(sum, now); ok {
		return v, nil
	}
	if v, ok := i.bad.get(sum, now); ok {
		return verified{}, i.s.fail(v.code)
	}
	i.mu.Lock()
	q := i.running[sum]
	if q == nil {
		if err := i.admit(now); err != nil {
			i.mu.Unlock()
			return verified{}, i.s.unavailable(err)
		}
		q = &question{done: make(chan struct{})}
		i.running[sum] = q
		go i.run(q, raw, sum)
	}
	i.mu.Unlock()
	if err := i.s.wait(ctx, q.done); err != nil {
		return verified{}, i.s.unavailable(err)
	}
	if q.err != nil {
		copied := *q.err // those who wait note on it how they asked
		return verified{}, &copied
	}
	return q.v, nil
}

// admit lets a question begin. i.mu is held.
func (i *introspector) admit(now time.Time) error {
	if i.failures >= tolerated {
		if now.Before(i.next) {
			return errors.New("introspection failed, and is left alone")
		}
		i.next = now.Add(i.s.timeout) // one tries, and the others wait for how it fares
	}
	select {
	case i.slots <- struct{}{}:
		return nil
	default:
		return errors.New("introspection: too many questions are under way")
	}
}

func (i *introspector) run(q *question, raw string, sum digest) {
	ctx, cancel := context.WithTimeout(context.Background(), i.s.timeout)
	defer cancel()
	asked := i.s.now()
	doc, err := i.ask(ctx, raw)
	failed := err != nil
	if failed {
		q.err = i.s.unavailable(fmt.Errorf("introspection: %w", err))
	} else if q.v, q.err = i.judge(doc, asked); q.err != nil {
		failed = q.err.Code == CodeUnavailable
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	defer close(q.done)
	<-i.slots
	delete(i.running, sum)
	if failed {
		i.failures++
		i.next = i.s.now().Add(min(lastBackoff, firstBackoff<<min(max(i.failures-tolerated, 0), 10)))
		return
	}
	i.failures = 0
	if q.err != nil {
		i.bad.add(sum, verified{code: q.err.Code, until: asked.Add(i.o.Cache)})
		return
	}
	i.good.add(sum, q.v)
}

// ask is RFC 7662, section 2.1.
func (i *introspector) ask(ctx context.Context, raw string) ([]byte, error) {
	address := i.o.URL
	if address == "" {
		server, err := i.s.discovered(ctx)
		if err != nil {
			return nil, err
		}
		if address = server.Introspection; !i.s.leadsTo(address) {
			return nil, errors.New("the issuer names no introspection endpoint over https")
		}
	}
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	if i.signer != nil {
		assertion, err := i.assertion()
		if err != nil {
			return nil, err
		}
		form.Set("client_id", i.o.ClientID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if i.signer == nil {
		req.SetBasicAuth(url.QueryEscape(i.o.ClientID), url.QueryEscape(i.o.Secret)) // RFC 6749, section 2.3.1
	}
	resp, err := i.s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// assertion is who the gateway is (RFC 7523, section 3), for one question.
func (i *introspector) assertion() (string, error) {
	now := i.s.now()
	payload, err := json.Marshal(map[string]any{
		"iss": i.o.ClientID, "sub": i.o.ClientID, "aud": i.s.url, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionAge).Unix(),
	})
	if err != nil {
		return "", err
	}
	jws, err := i.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// introspected is RFC 7662, section 2.2, with what a token of the issuer would say.
type introspected struct {
	claims
	Active    *bool  `json:"active"`
	TokenType string `json:"token_type"`
	Username  string `json:"username"`
}

// judge is what an answer means. What is no answer at all is CodeUnavailable.
func (i *introspector) judge(doc []byte, now time.Time) (verified, *Error) {
	s := i.s
	var t introspected
	switch code := object(doc, &t, CodeClaims); {
	case code == CodeClaims:
		return verified{}, s.fail(code)
	case code != "" || t.Active == nil:
		return verified{}, s.unavailable(errors.New("introspection: the answer is not what RFC 7662 says"))
	case !*t.Active:
		return verified{}, s.fail(CodeInactive)
	}
	if t.Expiry == nil { // optional; the answer is not believed for longer, anyway
		until := float64(now.Add(MaxIntrospected).Unix())
		t.Expiry = &until
	}
	if t.Subject == "" && t.Username == "" {
		t.Subject = t.ClientID // RFC 9068, section 2.2: without a person, the client itself
	}
	if e := t.timely(now, s.cfg.ClockSkew); e != nil {
		return verified{}, s.fail(e.Code)
	}
	bound, known := confirm(t.Confirm)
	switch {
	case t.Issuer != "" && t.Issuer != s.url:
		return verified{}, s.fail(CodeIssuer)
	case !t.access():
		return verified{}, s.fail(CodeType)
	case !t.meant(s.cfg.Audiences):
		return verified{}, s.fail(CodeAudience)
	case !known, strings.EqualFold(t.TokenType, SchemeDPoP) && bound.key == "": // RFC 9449, section 6.2
		return verified{}, s.fail(CodeBinding)
	}
	t.Issuer = s.url
	caller, refused := t.caller(doc, s.cfg.Claims)
	if refused != nil {
		return verified{}, s.fail(refused.Code)
	}
	caller.DPoP, caller.MTLS = bound.key != "", bound.certificate != ""
	until := caller.Expires.Add(s.cfg.ClockSkew)
	if limit := now.Add(i.o.Cache); limit.Before(until) {
		until = limit
	}
	return verified{caller: caller, source: s, confirm: bound, until: until}, nil
}

// access reports whether the answer is about an access token. An issuer may answer about
// refresh tokens as well, so it has to say so.
func (t *introspected) access() bool {
	switch strings.ToLower(t.TokenType) {
	case "bearer", "dpop":
		return t.accessToken("at+jwt")
	case "":
		return (strings.EqualFold(t.Typ, "bearer") || t.TokenUse != "") && t.accessToken("")
	}
	return false
}
