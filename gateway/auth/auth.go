package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/halfdoor/halfdoor/gateway/smart"
)

// Issuer is one authorization server whose tokens are accepted.
type Issuer struct {
	// URL is the issuer as the token's iss and its discovery document have it, to the
	// letter: https, or http on loopback.
	URL string

	// Audiences are what the token's aud must name one of: usually the gateway's FHIR
	// base URL. At least one, or any token of the issuer would do.
	Audiences []string

	// Algorithms are those that tokens may be signed with; none means all of RS256,
	// RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA, of which an
	// issuer's keys then decide.
	Algorithms []string

	// ClockSkew is by how much the issuer's clock may differ: a token is accepted that
	// much after its exp and before its nbf and iat. Default 0, at most 5 minutes.
	ClockSkew time.Duration

	// RequireType refuses tokens whose typ is not at+jwt (RFC 9068, section 4), so that
	// nothing has to be guessed of what a token is.
	RequireType bool

	// Claims is where tokens say more than is standardised.
	Claims Claims

	// Tenants are those whose EHRs the issuer's tokens open; none means all.
	Tenants []string

	// Introspection is how the issuer is asked about opaque tokens; nil: they are refused.
	// At most one of the issuers of a tenant may have it: a token must not be shown to an
	// issuer that is not its own.
	Introspection *Introspection

	// Keys is a JSON Web Key Set in place of the published one: the issuer is never asked
	// then. It needs a key that can be used.
	Keys []byte

	// Metadata is the issuer's discovery document, for Server, where Keys are given.
	Metadata []byte

	// Client asks the issuer; nil for one with the system's roots. Its Transport and
	// Timeout are used; redirects are never followed.
	Client *http.Client
}

// Claims are paths into a verified token's payload, in gjson's syntax
// ("realm_access.roles"; a dot in a name is escaped by a backslash). "" is the default.
type Claims struct {
	Roles    string // strings; default "roles"
	Groups   string // strings that count as roles, too; default none
	Ticket   string // the helpdesk ticket's id; default "ticket"
	Category string // its category; default "ticket_category"
	Purpose  string // HL7 v3 PurposeOfUse; default "purpose_of_use"

	Patient   string // SMART launch context; default "patient"
	Encounter string // default "encounter"
	FHIRUser  string // default "fhirUser"
}

// Options is what an Authenticator is made of. A zero duration or number takes its
// default.
type Options struct {
	Issuers []Issuer         // at least one
	Now     func() time.Time // default time.Now

	CacheSize  int // verified tokens remembered; default 4096; negative for none
	TokenBytes int // longest token that is read; default 16384

	Timeout    time.Duration // one fetch of an issuer's keys, discovery included; default 5 s
	KeysFresh  time.Duration // age at which keys are asked for again; default 5 min
	KeysMaxAge time.Duration // age beyond which keys are not used; default 1 h
	UnknownKey time.Duration // between vain questions about unknown keys; default 2 s

	// Waiting is how many calls may wait for one issuer at a time; those beyond are refused as if it were down. Default 256.
	Waiting int

	// Replays remembers DPoP proofs; nil: no token that is bound by DPoP is accepted.
	Replays Replays

	// ProofAge is how long a DPoP proof is good after its iat; default 1 min.
	ProofAge time.Duration

	// DemandNonce refuses DPoP proofs without a nonce of Nonce, so that nobody can make
	// proofs for later.
	DemandNonce bool

	// Previous is an Authenticator whose keys of the same issuers go on, so that a reload
	// while an issuer is down refuses nobody, and whose nonces stay good. Its remembered tokens do not.
	Previous *Authenticator
}

// Replays remembers what may be used once. Use tells whether this is the first use of what
// has the hash, and remembers it until then; owner is whose it is, for a bound on what one
// can have remembered. An error refuses the call.
type Replays interface {
	Use(owner string, hash [sha256.Size]byte, until time.Time) (first bool, err error)
}

const maxSkew = 5 * time.Minute

// Caller is who a verified token speaks for. It is shared by all calls that bring the
// token: nothing in it may be changed.
type Caller struct {
	Subject  string
	Issuer   string
	ClientID string // client_id, else azp
	TokenID  string // jti; "" where the token has none
	Roles    []string
	Grant    smart.Grant

	TicketID       string // by claim; "" where the token has none
	TicketCategory string
	Purpose        string

	Expires time.Time // exp, without skew

	// How the token is bound to its sender, which each call has proven: by a key that signs
	// (RFC 9449), by a client certificate (RFC 8705), by both, or by neither.
	DPoP, MTLS bool
}

// Authenticator verifies tokens. It is for concurrent use.
type Authenticator struct {
	sources    map[string]*source
	order      []*source
	now        func() time.Time
	tokenBytes int
	memory     *memory

	replays     Replays
	proofAge    time.Duration
	demandNonce bool
	nonces      *nonces
}

// New checks the options and reports all that is wrong with them. It asks no issuer.
func New(o Options) (*Authenticator, error) {
	o.Now = orElse(o.Now == nil, time.Now, o.Now)
	o.CacheSize = orElse(o.CacheSize == 0, 4096, max(o.CacheSize, 0))
	o.TokenBytes = orElse(o.TokenBytes == 0, 16<<10, o.TokenBytes)
	o.Timeout = orElse(o.Timeout == 0, 5*time.Second, o.Timeout)
	o.KeysFresh = orElse(o.KeysFresh == 0, 5*time.Minute, o.KeysFresh)
	o.KeysMaxAge = orElse(o.KeysMaxAge == 0, time.Hour, o.KeysMaxAge)
	o.UnknownKey = orElse(o.UnknownKey == 0, 2*time.Second, o.UnknownKey)
	o.ProofAge = orElse(o.ProofAge == 0, time.Minute, o.ProofAge)
	o.Waiting = orElse(o.Waiting == 0, 256, o.Waiting)
	var errs []error
	if o.ProofAge < 0 || o.TokenBytes < 0 || o.Timeout < 0 || o.KeysFresh < 0 || o.UnknownKey < 0 || o.Waiting < 0 {
		errs = append(errs, errors.New("auth: limits must not be negative"))
	}
	if o.KeysMaxAge < o.KeysFresh {
		errs = append(errs, errors.New("auth: keys must not go out of use before they are asked for again"))
	}
	if len(o.Issuers) == 0 {
		errs = append(errs, errors.New("auth: no issuers"))
	}
	a := &Authenticator{
		sources: make(map[string]*source), now: o.Now, tokenBytes: o.TokenBytes, memory: newMemory(o.CacheSize),
		replays: o.Replays, proofAge: o.ProofAge, demandNonce: o.DemandNonce,
	}
	if o.Previous != nil {
		a.nonces = o.Previous.nonces // what was handed out stays good
	} else {
		a.nonces = newNonces()
	}
	for _, iss := range o.Issuers {
		if err := iss.check(); err != nil {
			errs = append(errs, fmt.Errorf("auth: issuer %q: %w", iss.URL, err))
		}
		if a.sources[iss.URL] != nil {
			errs = append(errs, fmt.Errorf("auth: issuer %q: named twice", iss.URL))
		}
		iss.Claims.complete()
		if len(iss.Algorithms) == 0 {
			iss.Algorithms = algorithms()
		}
		s := &source{
			url: iss.URL, cfg: iss, client: boundedClient(iss.Client), now: o.Now,
			refresh: o.KeysFresh, maxAge: o.KeysMaxAge, interval: o.UnknownKey, timeout: o.Timeout,
			patience: patience{most: int64(o.Waiting)},
		}
		switch {
		case iss.Keys != nil:
			if err := s.pin(iss.Keys, iss.Metadata); err != nil {
				errs = append(errs, fmt.Errorf("auth: issuer %q: %w", iss.URL, err))
			}
		case iss.Metadata != nil:
			errs = append(errs, fmt.Errorf("auth: issuer %q: metadata without keys", iss.URL))
		case o.Previous != nil && o.Previous.sources[iss.URL] != nil && !o.Previous.sources[iss.URL].pinned:
			s.set.Store(o.Previous.sources[iss.URL].set.Load())
			s.server.Store(o.Previous.sources[iss.URL].server.Load())
		}
		if iss.Introspection != nil {
			var err error
			if s.opaque, err = newIntrospector(s, *iss.Introspection, o.CacheSize); err != nil {
				errs = append(errs, fmt.Errorf("auth: issuer %q: %w", iss.URL, err))
			}
			for _, other := range a.order {
				if other.opaque != nil && s.shares(other) {
					errs = append(errs, fmt.Errorf("auth: issuer %q: introspection by another issuer of a tenant, too", iss.URL))
				}
			}
		}
		a.sources[iss.URL], a.order = s, append(a.order, s)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

func orElse[T any](missing bool, standard, given T) T {
	if missing {
		return standard
	}
	return given
}

func (i *Issuer) check() error {
	var errs []error
	u, err := url.Parse(i.URL)
	if err != nil || !secure(i.URL) || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(i.URL, "?#") {
		errs = append(errs, errors.New("must be an https URL without query or fragment"))
	}
	if len(i.Audiences) == 0 || slices.Contains(i.Audiences, "") {
		errs = append(errs, errors.New("needs an audience"))
	}
	for _, alg := range i.Algorithms {
		if !asymmetric(alg) {
			errs = append(errs, fmt.Errorf("%q is not an asymmetric signature algorithm", alg))
		}
	}
	if i.ClockSkew < 0 || i.ClockSkew > maxSkew {
		errs = append(errs, fmt.Errorf("clock skew must be between 0 and %s", maxSkew))
	}
	return errors.Join(errs...)
}

func (c *Claims) complete() {
	c.Roles = orElse(c.Roles == "", "roles", c.Roles)
	c.Ticket = orElse(c.Ticket == "", "ticket", c.Ticket)
	c.Category = orElse(c.Category == "", "ticket_category", c.Category)
	c.Purpose = orElse(c.Purpose == "", "purpose_of_use", c.Purpose)
	c.Patient = orElse(c.Patient == "", "patient", c.Patient)
	c.Encounter = orElse(c.Encounter == "", "encounter", c.Encounter)
	c.FHIRUser = orElse(c.FHIRUser == "", "fhirUser", c.FHIRUser)
}

// Check asks every issuer that was not asked lately, all at once, and returns an error
// for each that cannot be asked or publishes no key; none where all is well. An error
// does not mean that calls are refused: last good keys may still go on.
func (a *Authenticator) Check(ctx context.Context) []error {
	errs := make([]error, len(a.order))
	var wg sync.WaitGroup
	for i, s := range a.order {
		wg.Go(func() { errs[i] = s.check(ctx) })
	}
	wg.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// Server is what a configured issuer said of itself when it was last asked; it is asked
// now if it never was. The error is an *[Error] of CodeUnavailable.
func (a *Authenticator) Server(ctx context.Context, issuer string) (*Server, error) {
	s := a.sources[issuer]
	if s == nil {
		return nil, &Error{Code: CodeUnavailable, err: errors.New("not a configured issuer")}
	}
	return s.discovered(ctx)
}

func (s *source) discovered(ctx context.Context) (*Server, error) {
	if server := s.server.Load(); server != nil {
		return server, nil
	}
	if _, err := s.current(ctx); err != nil && s.server.Load() == nil {
		return nil, err
	}
	server := s.server.Load()
	if server == nil {
		return nil, s.unavailable(errors.New("it has not been discovered"))
	}
	return server, nil
}

// Close lets idle connections to issuers go. Nothing runs in the background but a fetch
// that a call has begun, which ends within Options.Timeout; calls under way go on.
func (a *Authenticator) Close() {
	for _, s := range a.order {
		s.client.CloseIdleConnections()
	}
}

// config is how go-oidc is to verify: signature and issuer. Audience and times are
// checked by the claims themselves, for an issuer can have several audiences, and
// go-oidc's leeway for nbf is fixed.
func (s *source) config() *oidc.Config {
	return &oidc.Config{SupportedSigningAlgs: s.cfg.Algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true, Now: s.now}
}
