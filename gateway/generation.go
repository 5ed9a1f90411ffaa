package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/upstream"
	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/policies"
)

// generation is everything that a reload replaces: one immutable value, which a call holds
// from its first step to its last. What a new bundle leaves as it is stands in its parts, which
// generations may share.
type generation struct {
	*parts
	policies *policies.Engine
	waiting  bool     // for the first bundle: policies refuses everything
	routes   []*route // of the parts, with what the policies can grant

	holders atomic.Int64 // calls under way, and one while it is the current generation
	closed  atomic.Bool
}

// parts are all of a generation but its policies. They are closed with the last generation that has them.
type parts struct {
	auth     *auth.Authenticator
	vault    *vault.Vault
	shadow   *shadow // nil: the configuration names none
	routes   []*route
	trusts   map[clientKey][]string
	bindings map[clientKey]string
	origins  []string // of web pages that may call

	commonQuotas quotas
	ownQuotas    map[clientKey]quotas
	sourceCalls  int // of one source per minute; 0 is no limit
	emergency    time.Duration

	proxies  []netip.Prefix
	limits   fhir.Limits
	body     int64         // of a request, in bytes
	bodyTime time.Duration // for a client to send it
	together time.Duration // that all entries of a batch may take
	window   int
	patience time.Duration // for a client to take one window
	queue    time.Duration // for a call to wait until another ends
	longest  time.Duration // that an EHR may take for a whole call
	tls      *tls.Config
	adminTLS *tls.Config // nil: plain
	admin    configs.Secret
	issuer   string   // the first issuer, whose endpoints the discovery documents name
	files    []string // what the configuration reads, for the watch
	now      func() time.Time

	users atomic.Int64 // generations that have them
}

// route is one EHR below its path.
type route struct {
	name, tenant string
	path         string // "/fhir"
	base         string // the gateway's own FHIR base URL
	binding      string // how tokens have to be bound: "none", "any", "dpop", "mtls"
	ehr          *upstream.EHR
	bases        []string // of the EHR, as it names its own resources
	metadata     []byte   // the CapabilityStatement
	labelPages   bool     // the EHR cannot leave out what has a denied label
	scopes       []string
	jwks         []byte // the gateway's public keys at the EHR's authorization server; nil: it has none there
	jwksPath     string // of them, whole
}

// build makes a generation, or reports every part that fails. policies is of what the configuration says, or fails
// with it. The vault's file of long ids is shared with the generation before; replays outlives all of them.
// changed is told of the EHRs' breakers.
func build(cfg *configs.Config, engine func() (*policies.Engine, error), before *generation, replays auth.Replays, changed breakerChange, now func() time.Time) (_ *generation, err error) {
	g := &parts{
		trusts:   trusts(cfg.Clients),
		bindings: bindings(cfg.Clients),
		proxies:  cfg.TrustedProxies,
		origins:  cfg.CORS.Origins,
		limits:   fhir.Limits{URLBytes: int(cfg.Limits.URLBytes), Entries: cfg.Limits.BatchEntries},
		body:     int64(cfg.Limits.RequestBytes),
		bodyTime: time.Duration(cfg.Limits.ReadBodyTimeout),
		together: time.Duration(cfg.Limits.BatchTime),
		window:   int(cfg.Limits.Window),
		patience: time.Duration(cfg.Limits.WriteTimeout),
		queue:    time.Duration(cfg.Limits.QueueTime),
		admin:    cfg.Admin.Token,
		issuer:   cfg.Issuers[0].URL,
		files:    cfg.Files(),
		now:      now,
	}
	g.commonQuotas, g.ownQuotas = quotasOf(cfg)
	g.sourceCalls = cfg.Limits.SourceCallsPerMinute
	g.emergency = time.Duration(cfg.Limits.BreakGlass)
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	var errs []error
	part := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	var e error
	g.tls, e = listenerTLS(cfg.TLS, now)
	part("tls", e)
	if cfg.Admin.TLS != nil {
		g.adminTLS, e = listenerTLS(*cfg.Admin.TLS, now)
		part("admin.tls", e)
	}
	rules, e := engine()
	part("policy", e)
	g.auth, e = authenticator(cfg, before, replays, now)
	part("issuers", e)
	keys := vault.Options{Keyset: cfg.Vault.Keyset.Bytes(), Dir: cfg.Vault.Dir, Now: now}
	if before != nil {
		g.vault, e = before.vault.Reload(keys)
	} else {
		g.vault, e = vault.Open(keys)
	}
	part("vault", e)
	for i := range cfg.EHRs {
		g.longest = max(g.longest, time.Duration(cfg.EHRs[i].Timeouts.Total))
		r, e := newRoute(cfg.PublicURL, &cfg.EHRs[i], int64(cfg.Limits.ResponseBytes), before.ehr(cfg.EHRs[i].Name), changed, now)
		part("ehrs: "+cfg.EHRs[i].Name, e)
		if e == nil {
			g.routes = append(g.routes, r)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g.under(rules), nil
}

// under is a generation of these parts, with policies. Its one holder is whoever makes it the current one.
func (p *parts) under(engine *policies.Engine) *generation {
	p.users.Add(1)
	g := &generation{parts: p, policies: engine}
	g.holders.Store(1)
	can := newOffers(engine)
	for _, r := range p.routes {
		with := *r
		with.metadata, with.scopes = can.capabilities(r, len(p.origins) > 0, p.now()), can.scopes()
		g.routes = append(g.routes, &with)
	}
	return g
}

func newRoute(public string, c *configs.EHR, maxBody int64, before *upstream.EHR, changed breakerChange, now func() time.Time) (*route, error) {
	ehr, err := newEHR(c, maxBody, before, changed, now)
	if err != nil {
		return nil, err
	}
	r := &route{name: c.Name, tenant: c.Tenant, path: c.Path, base: public + c.Path, bases: ehr.Bases(), binding: c.RequireBinding, ehr: ehr, labelPages: c.InsecureLabelPages}
	if r.jwks, err = ehr.JWKS(); r.jwks != nil {
		r.jwksPath = c.OAuth.JWKSPath
	}
	return r, err
}

// ehr is the EHR of a name; nil where there is none, or no generation.
func (g *generation) ehr(name string) *upstream.EHR {
	if g != nil {
		for _, r := range g.routes {
			if r.name == name {
				return r.ehr
			}
		}
	}
	return nil
}

// authenticator is the one of the configured issuers. The keys that the generation before
// has of them go on, so that a reload while an issuer is down refuses nobody.
func authenticator(cfg *configs.Config, before *generation, replays auth.Replays, now func() time.Time) (*auth.Authenticator, error) {
	var issuers []auth.Issuer
	for _, c := range cfg.Issuers {
		pool, err := roots(c.CA)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.URL, err)
		}
		keys, err := document(c.KeysFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.URL, err)
		}
		metadata, err := document(c.MetadataFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.URL, err)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		issuers = append(issuers, auth.Issuer{
			URL: c.URL, Audiences: c.Audiences, Algorithms: c.Algorithms, ClockSkew: time.Duration(c.ClockSkew),
			Claims:  auth.Claims(c.Claims),
			Tenants: c.Tenants, RequireType: c.RequireType, Keys: keys, Metadata: metadata,
			Introspection: introspection(c.Introspection),
			Client:        &http.Client{Transport: transport},
		})
	}
	o := auth.Options{
		Issuers: issuers, Now: now,
		Replays: replays, ProofAge: time.Duration(cfg.DPoP.MaxAge), DemandNonce: cfg.DPoP.RequireNonce,
		Waiting: max(fewWaiting, cfg.Limits.ConcurrentRequests/waitingShare),
	}
	if before != nil {
		o.Previous = before.auth
	}
	return auth.New(o)
}

// waitingShare is the part of the room in which calls may wait for one issuer, as they are nobody's yet, and fewWaiting is
// how many may in any: they are let in together when the gateway has just begun.
const (
	waitingShare = 4
	fewWaiting   = 16
)

// introspection is how an issuer is asked about opaque tokens; nil for not at all.
func introspection(c *configs.Introspection) *auth.Introspection {
	if c == nil {
		return nil
	}
	o := &auth.Introspection{URL: c.URL, ClientID: c.ClientID, Secret: c.ClientSecret.Value(), Cache: time.Duration(c.Cache)}
	if c.PrivateKey.IsSet() {
		o.Key = c.PrivateKey.Bytes()
	}
	return o
}

// document is what a file of an issuer holds; nil without a file.
func document(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	return os.ReadFile(file)
}

func listenerTLS(c configs.TLS, now func() time.Time) (*tls.Config, error) {
	pair, err := certs.LoadKeyPair(c.Certificate, c.Key, now)
	if err != nil {
		return nil, err
	}
	o := certs.Options{KeyPair: pair, MinVersion: c.MinVersion, ClientAuth: c.ClientAuth}
	if c.ClientCA != "" {
		if o.Clients, err = certs.LoadClientPool(c.ClientCA); err != nil {
			return nil, err
		}
	}
	return certs.ServerConfig(o)
}

// roots is the pool of a CA file; nil, the system's, without one.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	return certs.Pool(file)
}

func trusts(clients []configs.Client) map[clientKey][]string {
	m := map[clientKey][]string{}
	for _, c := range clients {
		m[clientKey{c.Issuer, c.ID}] = c.TrustHeaders
	}
	return m
}

// route finds the EHR of a request's path, and what of the path lies below its base. The
// path is the escaped one: nothing is decoded before the FHIR parser does, once.
func (g *generation) route(r *http.Request) (*route, string, error) {
	path := r.URL.EscapedPath()
	if r.URL.Host != "" && r.Method != http.MethodConnect {
		return nil, "", refusal("malformed-request") // absolute-form is for forward proxies (RFC 9112, section 3.2.2)
	}
	for _, rt := range g.routes {
		if rt.jwks != nil && path == rt.jwksPath {
			return rt, jwksDocument, nil
		}
		below, ok := strings.CutPrefix(path, rt.path)
		if ok && (below == "" || below[0] == '/') {
			return rt, below, nil
		}
	}
	return nil, "", refusal("no-such-path")
}

// hold takes the current generation for one call, so that it stays open until release.
func (g *Gateway) hold() *generation {
	for {
		gen := g.current.Load()
		gen.holders.Add(1)
		if g.current.Load() == gen {
			return gen
		}
		gen.release() // replaced in between, and perhaps closed already
	}
}

func (g *generation) release() {
	if g.holders.Add(-1) == 0 {
		g.shut()
	}
}

func (g *generation) shut() {
	if !g.closed.Swap(true) && g.users.Add(-1) == 0 {
		g.parts.close()
	}
}

func (p *parts) close() {
	for _, r := range p.routes {
		r.ehr.Close()
	}
	p.shadow.close()
	if p.auth != nil {
		p.auth.Close()
	}
	if p.vault != nil {
		_ = p.vault.Close() // its file was synced at each write
	}
}

// TokenClient is whom the vault's tokens are made for: a client of one issuer.
func TokenClient(issuer, client string) string { return issuer + " " + client }
