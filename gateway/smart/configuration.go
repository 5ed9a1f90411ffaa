package smart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Metadata is what the smart-configuration document says. The endpoints are those of
// the authorization server that issues tokens for the gateway; each is an absolute
// https URL, or http on loopback.
type Metadata struct {
	Issuer        string // the OpenID issuer; published only where single sign-on holds
	JWKS          string // its key set
	Authorization string // required where GrantTypes has authorization_code
	Token         string // required
	Introspection string
	Revocation    string
	Registration  string
	Management    string // where a user sees and withdraws grants

	// GrantTypes are OAuth grant types: authorization_code, client_credentials. Required.
	GrantTypes []string

	// AuthMethods are how a client may authenticate at Token: private_key_jwt,
	// client_secret_basic, client_secret_post, none.
	AuthMethods []string

	// SigningAlgs are the algorithms of private_key_jwt: RS384, ES384.
	SigningAlgs []string

	// ProofAlgs are the algorithms of DPoP proofs (RFC 9449, section 5.1); none where the
	// server binds no tokens.
	ProofAlgs []string

	// Scopes are what can be granted and used: data scopes, which must be well formed,
	// and others (openid, fhirUser, launch/patient, offline_access).
	Scopes []string

	// Capabilities are those that the parts above do not already prove, such as
	// authorize-post or context-ehr-patient.
	Capabilities []string
}

// LaunchScopes are those of a list that SMART App Launch 2.2 names besides the data scopes: of what an authorization server
// says that it supports, they are what an app has to know. Its other scopes are nobody's business here.
func LaunchScopes(list []string) []string {
	known := []string{"openid", "profile", "fhirUser", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access"}
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(known, s) })
}

// document has the members of SMART App Launch 2.2, section "Conformance", in its order.
type document struct {
	Issuer        string   `json:"issuer,omitempty"`
	JWKS          string   `json:"jwks_uri,omitempty"`
	Authorization string   `json:"authorization_endpoint,omitempty"`
	GrantTypes    []string `json:"grant_types_supported"`
	Token         string   `json:"token_endpoint"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	SigningAlgs   []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	ProofAlgs     []string `json:"dpop_signing_alg_values_supported,omitempty"`
	Registration  string   `json:"registration_endpoint,omitempty"`
	Scopes        []string `json:"scopes_supported,omitempty"`
	ResponseTypes []string `json:"response_types_supported,omitempty"`
	Management    string   `json:"management_endpoint,omitempty"`
	Introspection string   `json:"introspection_endpoint,omitempty"`
	Revocation    string   `json:"revocation_endpoint,omitempty"`
	Capabilities  []string `json:"capabilities"`
	Challenges    []string `json:"code_challenge_methods_supported"`
}

// Configuration is the .well-known/smart-configuration document: the same bytes for the
// same Metadata. A capability is named only where it holds; PKCE is S256 and never plain.
// The error lists everything that is wrong.
func Configuration(m Metadata) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	d := document{
		JWKS:          m.JWKS,
		Authorization: m.Authorization,
		GrantTypes:    sorted(m.GrantTypes),
		Token:         m.Token,
		AuthMethods:   sorted(m.AuthMethods),
		SigningAlgs:   sorted(m.SigningAlgs),
		ProofAlgs:     sorted(m.ProofAlgs),
		Registration:  m.Registration,
		Scopes:        sorted(m.Scopes),
		Management:    m.Management,
		Introspection: m.Introspection,
		Revocation:    m.Revocation,
		Capabilities:  sorted(append(m.proven(), m.Capabilities...)),
		Challenges:    []string{"S256"},
	}
	if slices.Contains(m.GrantTypes, "authorization_code") {
		d.ResponseTypes = []string{"code"}
	}
	// The issuer is for single sign-on, and to be left out without it.
	if slices.Contains(d.Capabilities, "sso-openid-connect") {
		d.Issuer = m.Issuer
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("smart-configuration: %w", err)
	}
	return b.Bytes(), nil
}

func (m *Metadata) check() error {
	var errs []error
	for _, u := range []struct {
		member, url string
		required    bool
	}{
		{"issuer", m.Issuer, slices.Contains(m.Capabilities, "sso-openid-connect")},
		{"jwks_uri", m.JWKS, slices.Contains(m.Capabilities, "sso-openid-connect")},
		{"authorization_endpoint", m.Authorization, slices.Contains(m.GrantTypes, "authorization_code")},
		{"token_endpoint", m.Token, true},
		{"introspection_endpoint", m.Introspection, false},
		{"revocation_endpoint", m.Revocation, false},
		{"registration_endpoint", m.Registration, false},
		{"management_endpoint", m.Management, false},
	} {
		if u.url == "" && u.required {
			errs = append(errs, fmt.Errorf("smart-configuration: %s is required", u.member))
		} else if u.url != "" && !absolute(u.url) {
			errs = append(errs, fmt.Errorf("smart-configuration: %s %q is not an absolute https URL", u.member, u.url))
		}
	}
	if len(m.GrantTypes) == 0 {
		errs = append(errs, errors.New("smart-configuration: grant_types_supported is required"))
	}
	for _, s := range m.Scopes {
		level, _, _ := strings.Cut(s, "/")
		if _, ok := ParseScope(s); !ok && (slices.Contains(levels[1:], level) || !plain(s)) {
			errs = append(errs, fmt.Errorf("smart-configuration: %q is not a scope", s))
		}
	}
	for _, s := range slices.Concat(m.GrantTypes, m.AuthMethods, m.SigningAlgs, m.ProofAlgs, m.Capabilities) {
		if !plain(s) {
			errs = append(errs, fmt.Errorf("smart-configuration: %q is not a name", s))
		}
	}
	return errors.Join(errs...)
}

// absolute admits plain HTTP on loopback alone, for development.
func absolute(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.Contains(s, "#") {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// proven are the capabilities that follow from the rest of the document. The two of the
// scope grammar always hold.
func (m *Metadata) proven() []string {
	caps := []string{"permission-v1", "permission-v2"}
	launches := slices.Contains(m.GrantTypes, "authorization_code")
	has := func(list []string, any ...string) bool {
		return slices.ContainsFunc(any, func(s string) bool { return slices.Contains(list, s) })
	}
	level := func(l Level) bool {
		return slices.ContainsFunc(m.Scopes, func(s string) bool { p, _ := ParseScope(s); return p.Level == l })
	}
	for _, c := range []struct {
		name  string
		holds bool
	}{
		{"client-confidential-asymmetric", has(m.AuthMethods, "private_key_jwt")},
		{"client-confidential-symmetric", has(m.AuthMethods, "client_secret_basic", "client_secret_post")},
		{"client-public", has(m.AuthMethods, "none") && launches},
		{"launch-ehr", has(m.Scopes, "launch") && launches},
		{"launch-standalone", has(m.Scopes, "launch/patient", "launch/encounter") && launches},
		{"context-standalone-patient", has(m.Scopes, "launch/patient") && launches},
		{"context-standalone-encounter", has(m.Scopes, "launch/encounter") && launches},
		{"permission-patient", level(Patient)},
		{"permission-user", level(User)},
		{"permission-offline", has(m.Scopes, "offline_access")},
		{"permission-online", has(m.Scopes, "online_access")},
		{"sso-openid-connect", has(m.Scopes, "openid") && has(m.Scopes, "fhirUser") && m.Issuer != "" && m.JWKS != ""},
	} {
		if c.holds {
			caps = append(caps, c.name)
		}
	}
	return caps
}

// sorted is a sorted copy without repetitions.
func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
