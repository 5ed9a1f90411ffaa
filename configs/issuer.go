package configs

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Issuer is an authorization server whose access tokens are accepted.
type Issuer struct {
	// URL is the issuer's identifier, exactly as the tokens' "iss" has it, trailing slash included. Required, unique.
	// https, or http where the host is loopback. Discovery and keys are fetched below it.
	URL string `yaml:"url"`

	// Audiences are the values of "aud" by which a token is meant for this gateway; one of them must be in the token.
	// At least one is required: without it, any service's token would open the gateway.
	Audiences []string `yaml:"audiences"`

	// Algorithms are the signature algorithms accepted: RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA.
	// Default RS256, PS256, ES256, ES384. Symmetric ones and "none" are refused. The token's own header chooses among
	// these only.
	Algorithms []string `yaml:"algorithms"`

	// ClockSkew is by how much the issuer's clock may differ when "exp", "nbf" and "iat" are judged. A duration, from 0s
	// to 5m; default 30s. A token lives longer by as much.
	ClockSkew Duration `yaml:"clock_skew"`

	// CA is a PEM file of the authorities that may certify the issuer. Default none: the system's. With a file, only its
	// authorities count.
	CA string `yaml:"ca"`

	// Tenants are those whose EHRs the issuer's tokens open. Default none: all. Required where there are several issuers and
	// several tenants, since one hospital's sign-in must not open another's EHR by an oversight.
	Tenants []string `yaml:"tenants"`

	// RequireType refuses tokens whose header does not say that they are access tokens ("typ": "at+jwt", RFC 9068). Default
	// false: without it, what other tokens of an issuer have (nonce, at_hash, an audience that is the client itself) is
	// told from access tokens as well as can be.
	RequireType bool `yaml:"require_type"`

	// Introspection says how the issuer is asked about opaque tokens, which only it can read (RFC 7662). Default none: they
	// are refused. Only one issuer of a tenant may have it: a token must not be shown to another than its own.
	Introspection *Introspection `yaml:"introspection"`

	// KeysFile is a file with the issuer's JSON Web Key Set, for networks from which the issuer cannot be reached. Default
	// none: the keys that it publishes. With a file the issuer is never asked, and a rotation means another file: it is
	// watched, and should hold the old keys and the new ones as long as tokens of both are about.
	KeysFile string `yaml:"keys_file"`

	// MetadataFile is a file with the issuer's discovery document, for .well-known/smart-configuration, which tells clients
	// the endpoints of the first issuer. Default none. Only with keys_file; without it that address answers 503 then.
	MetadataFile string `yaml:"metadata_file"`

	// Claims says where the issuer's tokens hold what policies ask for.
	Claims Claims `yaml:"claims"`
}

// Introspection is how an issuer is asked about opaque tokens. While it cannot be asked, tokens that it answered about go on
// for as long as cache says, and others are refused with 503.
type Introspection struct {
	// URL is the endpoint, https. Default none: the one that the issuer's discovery document names.
	URL string `yaml:"url"`

	// ClientID is who the gateway is to the issuer. Required.
	ClientID string `yaml:"client_id"`

	// ClientSecret is what it authenticates by (client_secret_basic). Default none; it or private_key is required.
	ClientSecret Secret `yaml:"client_secret"`

	// PrivateKey is a private JSON Web Key, with "alg" and "kid", to authenticate by instead (private_key_jwt).
	// Default none.
	PrivateKey Secret `yaml:"private_key"`

	// Cache is how long an answer is believed, and so how long a token that was withdrawn may go on. A duration, from 0s,
	// where each call asks, to 1m; default 1m. No token is believed beyond its "exp".
	Cache Duration `yaml:"cache"`
}

// Claims are places in a token: names joined by dots ("realm_access.roles"), a dot inside a name written "\.".
// Wildcards, queries and modifiers are refused. What is not there is empty.
type Claims struct {
	// Roles holds the caller's roles: a text, or a list of texts. Default "roles".
	Roles string `yaml:"roles"`

	// Groups holds the caller's groups, a text or a list of texts; they count as roles, too. Default none. Only for an
	// issuer where nobody can make a group by the name of a role.
	Groups string `yaml:"groups"`

	// Ticket holds the helpdesk ticket's id, if the issuer binds tokens to tickets. Default "ticket". A call whose
	// Ticket-Id header then says otherwise is refused, unless trust_headers lets the client state it; without the claim,
	// the header names the ticket.
	Ticket string `yaml:"ticket"`

	// Category holds the ticket's category. Default "ticket_category".
	Category string `yaml:"category"`

	// Purpose holds the purpose of use (HL7 v3 PurposeOfUse). Default "purpose_of_use".
	Purpose string `yaml:"purpose"`

	// Patient holds the patient of the SMART launch context, by the EHR's own id. Default "patient". Some issuers have the
	// launch context deeper ("launch_response.patient"); what stands elsewhere then counts for nothing.
	Patient string `yaml:"patient"`

	// Encounter holds the encounter of the launch context. Default "encounter".
	Encounter string `yaml:"encounter"`

	// FHIRUser holds the person's own resource ("Practitioner/7"). Default "fhirUser".
	FHIRUser string `yaml:"fhir_user"`
}

// Client says what one OAuth client is trusted with beyond its token.
type Client struct {
	// ID is the client's id, as the token has it. Required; unique per issuer.
	ID string `yaml:"id"`

	// Issuer is the url of one of issuers. Default: the only issuer, where there is one; required where there are more,
	// since two issuers may know different clients by one id.
	Issuer string `yaml:"issuer"`

	// TrustHeaders are the statements believed from this client by header, also against its token: "ticket" (Ticket-Id),
	// "category" (Ticket-Category) and "purpose" (Purpose-Of-Use). Default none: category and purpose then come from the
	// token's claims alone, and a ticket by header only where the token names none. Whoever holds this client's tokens can
	// then state them.
	TrustHeaders []string `yaml:"trust_headers"`

	// RequireBinding is how this client's tokens have to be bound to it, besides what the EHR demands: "dpop", "mtls",
	// "any" or "none". Default "none".
	RequireBinding string `yaml:"require_binding"`

	// PatientsPerHour is this client's own limit in place of limits.patients_per_hour, for each of its subjects. From 0,
	// no limit, to 1000000. Default: that of limits.
	PatientsPerHour *int `yaml:"patients_per_hour"`

	// CallsPerMinute is this client's own limit in place of limits.calls_per_minute. From 0, no limit, to 1000000.
	// Default: that of limits.
	CallsPerMinute *int `yaml:"calls_per_minute"`

	// Concurrency is this client's own limit in place of limits.client_concurrency. From 0, no limit, to 1000000.
	Concurrency *int `yaml:"concurrency"`
}

// Signatures made with a private key alone. With a symmetric algorithm, whoever can verify a token can make one.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// validateIssuers judges the authorization servers.
func (c *Config) validateIssuers(r *report) {
	if len(c.Issuers) == 0 {
		r.add("issuers", "at least one is required")
	}
	for i := range c.Issuers {
		s, at := &c.Issuers[i], index("issuers", i)
		if r.required(at+".url", s.URL) {
			if u := r.url(at+".url", s.URL, true); u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
				r.add(at+".url", "want https: who can change the issuer's keys on the way can make any token")
			}
		}
		for j, other := range c.Issuers[:i] {
			if s.URL == other.URL {
				r.add(at+".url", "the url of issuers[%d] too", j)
			}
		}
		if len(s.Audiences) == 0 {
			r.add(at+".audiences", "at least one is required")
		}
		r.list(at+".audiences", s.Audiences)
		if len(s.Algorithms) == 0 {
			r.add(at+".algorithms", "at least one is required")
		}
		r.list(at+".algorithms", s.Algorithms)
		for j, a := range s.Algorithms {
			if !slices.Contains(algorithms, a) {
				r.add(index(at+".algorithms", j), "want one of %s, not %q", strings.Join(algorithms, " "), a)
			}
		}
		r.between(at+".clock_skew", s.ClockSkew, 0, 5*time.Minute)
		c.validateTenants(at, s, r)
		if s.MetadataFile != "" && s.KeysFile == "" {
			r.add(at+".metadata_file", "of no effect without keys_file; leave it out")
		}
		c.validateIntrospection(i, r)
		r.claim(at+".claims.roles", s.Claims.Roles)
		if s.Claims.Groups != "" {
			r.claim(at+".claims.groups", s.Claims.Groups)
		}
		r.claim(at+".claims.patient", s.Claims.Patient)
		r.claim(at+".claims.encounter", s.Claims.Encounter)
		r.claim(at+".claims.fhir_user", s.Claims.FHIRUser)
		r.claim(at+".claims.ticket", s.Claims.Ticket)
		r.claim(at+".claims.category", s.Claims.Category)
		r.claim(at+".claims.purpose", s.Claims.Purpose)
	}
}

// validateTenants judges whose EHRs an issuer's tokens open.
func (c *Config) validateTenants(at string, s *Issuer, r *report) {
	tenants := map[string]bool{}
	for _, e := range c.EHRs {
		tenants[e.Tenant] = true
	}
	if len(s.Tenants) == 0 && len(c.Issuers) > 1 && len(tenants) > 1 {
		r.add(at+".tenants", "required where there are several issuers and several tenants")
	}
	r.list(at+".tenants", s.Tenants)
	for i, tenant := range s.Tenants {
		if tenant != "" && !tenants[tenant] {
			r.add(index(at+".tenants", i), "not the tenant of any of ehrs")
		}
	}
}

// validateIntrospection judges how an issuer is asked about opaque tokens.
func (c *Config) validateIntrospection(i int, r *report) {
	s := &c.Issuers[i]
	n, at := s.Introspection, index("issuers", i)+".introspection"
	if n == nil {
		return
	}
	r.required(at+".client_id", n.ClientID)
	if n.ClientSecret.IsSet() == n.PrivateKey.IsSet() {
		r.add(at+".client_secret", "want client_secret or private_key, and not both")
	}
	if n.URL != "" {
		if u := r.url(at+".url", n.URL, true); u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
			r.add(at+".url", "want https: tokens are sent there")
		}
	} else if s.KeysFile != "" && s.MetadataFile == "" {
		r.add(at+".url", "required with keys_file, without metadata_file")
	}
	r.between(at+".cache", n.Cache, 0, time.Minute)
	for j, other := range c.Issuers[:i] {
		if other.Introspection != nil && sharesTenant(s.Tenants, other.Tenants) {
			r.add(at, "issuers[%d], of a tenant of this one, has it too", j)
		}
	}
}

// sharesTenant tells whether two issuers are of one tenant; without a list, an issuer is of all.
func sharesTenant(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(t string) bool { return slices.Contains(b, t) })
}

// claimForm is names joined by dots, with none of the characters by which gjson would read more than one place.
var claimForm = regexp.MustCompile(`^([^.\\*?|@#!{}()\[\]"\pC\pZ]|\\\.)+(\.([^.\\*?|@#!{}()\[\]"\pC\pZ]|\\\.)+)*$`)

func (r *report) claim(path, value string) {
	if len(value) > 256 || !claimForm.MatchString(value) {
		r.add(path, `want names joined by dots, a dot inside a name as "\."`)
	}
}

// validateBinding judges a demand on how tokens are bound.
func (c *Config) validateBinding(path, demand string, r *report) {
	if demand == "" {
		return
	}
	r.oneOf(path, demand, "none", "any", "dpop", "mtls")
	if demand == "mtls" && c.TLS.ClientAuth == "none" {
		r.add(path, "needs tls.client_auth: request or require")
	}
}

// validateClients judges what clients are trusted with.
func (c *Config) validateClients(r *report) {
	for i := range c.Clients {
		l, at := &c.Clients[i], index("clients", i)
		r.required(at+".id", l.ID)
		switch {
		case l.Issuer == "":
			r.add(at+".issuer", "required where there are several issuers")
		case !slices.ContainsFunc(c.Issuers, func(s Issuer) bool { return s.URL == l.Issuer }):
			r.add(at+".issuer", "not the url of any of issuers")
		}
		for j, other := range c.Clients[:i] {
			if l.ID != "" && l.ID == other.ID && l.Issuer == other.Issuer {
				r.add(at+".id", "the id of clients[%d] too, of the same issuer", j)
			}
		}
		r.list(at+".trust_headers", l.TrustHeaders)
		for j, h := range l.TrustHeaders {
			r.oneOf(index(at+".trust_headers", j), h, "ticket", "category", "purpose")
		}
		c.validateBinding(at+".require_binding", l.RequireBinding, r)
		if l.PatientsPerHour != nil {
			r.count(at+".patients_per_hour", *l.PatientsPerHour, 0, 1_000_000)
		}
		if l.CallsPerMinute != nil {
			r.count(at+".calls_per_minute", *l.CallsPerMinute, 0, 1_000_000)
		}
		if l.Concurrency != nil {
			r.count(at+".concurrency", *l.Concurrency, 0, 1_000_000)
		}
	}
}
