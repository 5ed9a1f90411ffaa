package configs

import (
	"regexp"
	"strings"
)

// OAuth is how the gateway gets access tokens for an EHR: by client_credentials, which with keys is SMART Backend
// Services, or by exchanging the caller's token. A token serves all callers, and is replaced before it ends.
type OAuth struct {
	// ClientID is the gateway's id at the EHR's authorization server. Required.
	ClientID string `yaml:"client_id"`

	// Keys are files of the private keys that sign who asks (private_key_jwt): RSA of at least 2048 bits, for RS384, or EC on
	// P-384, for ES384; PEM, JWK or JWK Set. The first key signs. The public half of every key is published, so a rotation is:
	// add the new key at the end; once the authorization server has seen it, put it first; drop the old one once no
	// assertion of it is about (two minutes). Default none.
	Keys []string `yaml:"keys"`

	// JWKSPath is where below public_url the public keys are published, without a token; its URL is what is registered at
	// the authorization server. Default the EHR's path and "/.well-known/jwks.json". Otherwise it lies outside every EHR's path.
	JWKSPath string `yaml:"jwks_path"`

	// ClientSecret says who asks by HTTP Basic, where there are no keys. Default none. Without keys and secret, the EHR's
	// certificate says it (RFC 8705).
	ClientSecret Secret `yaml:"client_secret"`

	// TokenURL is the authorization server's token endpoint: https, or http as base_url may be. Default: the one that
	// base_url's .well-known/smart-configuration names.
	TokenURL string `yaml:"token_url"`

	// Audience is the "aud" of what keys sign. Default: the token endpoint's URL, as SMART wants it; some servers want their
	// issuer's.
	Audience string `yaml:"audience"`

	// Scopes are asked for: system/Appointment.rs, … Default none: the authorization server gives what it thinks right. The
	// least that the datasets need is best.
	Scopes []string `yaml:"scopes"`

	// Resource names the EHR to an authorization server that serves several (RFC 8707), often base_url. Default none.
	Resource string `yaml:"resource"`

	// ExchangeCallerToken gets a token for each caller by the caller's own (RFC 8693), so that the EHR knows who asks, in
	// place of one for all. Default false. The EHR's authorization server has to take the tokens of issuers, and sees them.
	ExchangeCallerToken bool `yaml:"exchange_caller_token"`

	// CA is a PEM file of the authorities that may certify the authorization server. Default: the EHR's ca.
	CA string `yaml:"ca"`
}

// validateCredentials judges how an EHR is told who asks: in one way, or none.
func (e *EHR) validateCredentials(at string, r *report) {
	r.header(at+".bearer", e.Bearer)
	if (e.Certificate == "") != (e.Key == "") {
		r.add(at+".certificate", "certificate and key need each other")
	}
	if e.InsecureForwardCallerToken && (e.Bearer.IsSet() || e.OAuth != nil) {
		r.add(at+".insecure_forward_caller_token", "of no effect with bearer or oauth; leave it out, or them")
	}
	if e.OAuth == nil {
		return
	}
	if e.Bearer.IsSet() {
		r.add(at+".bearer", "of no effect with oauth; leave it out")
	}
	e.OAuth.validate(at+".oauth", e, r)
}

var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`) // RFC 6749, section 3.3

func (o *OAuth) validate(at string, e *EHR, r *report) {
	if r.required(at+".client_id", o.ClientID) && !printable(o.ClientID) {
		r.add(at+".client_id", "want printable ASCII, at most 256")
	}
	r.list(at+".keys", o.Keys)
	switch {
	case len(o.Keys) > 0 && o.ClientSecret.IsSet():
		r.add(at+".client_secret", "of no effect with keys; leave it out")
	case len(o.Keys) == 0 && !o.ClientSecret.IsSet() && e.Certificate == "":
		r.add(at, "want keys or client_secret here, or certificate and key at the EHR")
	}
	if o.TokenURL != "" {
		u := r.url(at+".token_url", o.TokenURL, true)
		if u != nil && u.Scheme == "http" && !loopback(u.Hostname()) && !e.InsecureHTTP {
			r.add(at+".token_url", "want https: over http, the token crosses the network in the clear")
		}
	}
	if !printable(o.Audience) || strings.Contains(o.Audience, " ") {
		r.add(at+".audience", "want visible ASCII")
	}
	if !printable(o.Resource) || strings.Contains(o.Resource, " ") {
		r.add(at+".resource", "want visible ASCII")
	}
	r.list(at+".scopes", o.Scopes)
	for i, s := range o.Scopes {
		if s != "" && !scopeForm.MatchString(s) {
			r.add(index(at+".scopes", i), "want a scope alone, without spaces, quotes and backslashes")
		}
	}
	if len(o.Keys) == 0 && o.JWKSPath != "" {
		r.add(at+".jwks_path", "of no effect without keys; leave it out")
	}
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return len(text) <= 256
}

// jwksDefault is where keys are published below an EHR's path.
const jwksDefault = "/.well-known/jwks.json"

var jwksForm = regexp.MustCompile(`^(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])+$`) // no dot segments

// validatePublished judges where public keys are published: no EHR's answers and no other keys are there.
func (c *Config) validatePublished(r *report) {
	for i := range c.EHRs {
		o := c.EHRs[i].OAuth
		if o == nil || o.JWKSPath == "" {
			continue
		}
		at := index("ehrs", i) + ".oauth.jwks_path"
		if len(o.JWKSPath) > 256 || !jwksForm.MatchString(o.JWKSPath) {
			r.add(at, `want a path like "/east/jwks.json": letters, digits and "-._~"`)
			continue
		}
		for j, other := range c.EHRs {
			if strings.HasPrefix(o.JWKSPath+"/", other.Path+"/") && (j != i || o.JWKSPath != other.Path+jwksDefault) {
				r.add(at, "below the path of ehrs[%d], %s", j, other.Path)
			}
			if j < i && other.OAuth != nil && other.OAuth.JWKSPath == o.JWKSPath {
				r.add(at, "that of ehrs[%d] too", j)
			}
		}
	}
}
