package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"slices"
	"strings"
)

// OAuth is how the gateway gets access tokens for the server: by client_credentials (RFC 6749, section 4.4), which with
// Keys is SMART Backend Services (SMART App Launch 2.2, section 5), or by exchanging the caller's (RFC 8693).
type OAuth struct {
	// ClientID is the gateway's at the authorization server. Required.
	ClientID string
	// Keys sign assertions of who asks (private_key_jwt, RFC 7523): the first does, all are published.
	Keys []*Key
	// ClientSecret is sent by HTTP Basic (RFC 6749, section 2.3.1) where there are no Keys. Without either, the TLS client
	// certificate says who asks (RFC 8705, section 2).
	ClientSecret Secret
	// TokenURL is the token endpoint. Default: the one that the server's smart-configuration names.
	TokenURL string
	// Audience is the "aud" of an assertion. Default: the token endpoint, as SMART has it.
	Audience string
	// Scopes are asked for. Default none: the authorization server's own choice.
	Scopes []string
	// Resource names the server to the authorization server (RFC 8707). Default none.
	Resource string
	// Exchange gets a token for each caller by the caller's own (RFC 8693), instead of one for all.
	Exchange bool
	// RootCAs certify the authorization server. Nil: Options.RootCAs.
	RootCAs *x509.CertPool
}

// check reports what is wrong, quoting no value.
func (o *OAuth) check(certificate *tls.Certificate, plain bool, problem func(string, ...any)) {
	if o.ClientID == "" || len(o.ClientID) > 256 || !visible(o.ClientID, " ") {
		problem("OAuth.ClientID must be printable ASCII")
	}
	switch {
	case len(o.Keys) > 0 && o.ClientSecret != "":
		problem("OAuth has Keys and a ClientSecret; one of them says who asks")
	case len(o.Keys) == 0 && o.ClientSecret == "" && certificate == nil:
		problem("OAuth needs Keys, a ClientSecret or a Certificate")
	}
	var ids []string
	for i, k := range o.Keys {
		if slices.Contains(ids, k.id) {
			problem("OAuth.Keys[%d] has the kid of another", i)
		}
		ids = append(ids, k.id)
	}
	if o.TokenURL != "" && parseEndpoint(o.TokenURL, plain) == nil {
		problem("OAuth.TokenURL must be an absolute https URL without user and fragment")
	}
	for i, s := range o.Scopes {
		// RFC 6749, section 3.3
		if s == "" || !visible(s, "") || strings.ContainsAny(s, `"\`) {
			problem("OAuth.Scopes[%d] is no scope", i)
		}
	}
	if !visible(o.Audience, "") || !visible(o.Resource, "") {
		problem("OAuth.Audience and OAuth.Resource must be visible ASCII")
	}
}

// parseEndpoint reads the URL of a token endpoint (RFC 6749, section 3.2); nil where secrets may not be sent to it.
func parseEndpoint(text string, plain bool) *url.URL {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxTarget || u.Opaque != "" || u.User != nil || u.Hostname() == "" || strings.Contains(text, "#") {
		return nil
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !plain && !loopback(u.Hostname())) {
		return nil
	}
	return u
}
