package demo

import (
	"fmt"
	"slices"
	"strings"
)

// TokenOptions say how a token differs from the one that its client would get.
type TokenOptions struct {
	// Scopes are those in it; all of the client's where nil.
	Scopes []string
	// Algorithm is ES256, also where empty, or RS256.
	Algorithm string
	// Claims are set over the usual ones, or, where nil, removed: for tests that
	// need a token that is expired, foreign or odd, yet truly signed.
	Claims map[string]any
}

// Token mints an access token for a client without asking it for its secret.
func (i *Issuer) Token(clientID string, o TokenOptions) (string, error) {
	c := i.clients[clientID]
	if c == nil {
		return "", fmt.Errorf("no client %q", clientID)
	}
	granted := o.Scopes
	if granted == nil {
		granted = c.Scopes
	}
	subject := c.ID
	if c.Secret == "" {
		subject = c.user()
	}
	return i.accessToken(c, subject, granted, o)
}

// accessToken signs a token of RFC 9068, section 2.
func (i *Issuer) accessToken(c *Client, subject string, granted []string, o TokenOptions) (string, error) {
	id, err := i.secret()
	if err != nil {
		return "", err
	}
	now := i.now()
	claims := map[string]any{
		"iss": i.url, "sub": subject, "aud": i.audience, "client_id": c.ID, "jti": id,
		"iat": now.Unix(), "exp": now.Add(i.ttl).Unix(),
	}
	for name, value := range map[string]string{
		"scope": strings.Join(granted, " "), "ticket": c.Ticket, "ticket_category": c.Category, "purpose_of_use": c.Purpose,
		"fhirUser": c.fhirUser(granted), "patient": c.patient(granted),
	} {
		if value != "" {
			claims[name] = value
		}
	}
	if len(c.Roles) > 0 {
		claims["roles"] = c.Roles
	}
	for name, value := range o.Claims {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	algorithm := o.Algorithm
	if algorithm == "" {
		algorithm = ES256
	}
	return i.keys.sign(algorithm, "at+jwt", claims)
}

// idToken follows OpenID Connect Core 1.0, section 2, with SMART's fhirUser.
func (i *Issuer) idToken(c *Client, g *grant) (string, error) {
	now := i.now()
	claims := map[string]any{"iss": i.url, "sub": c.user(), "aud": c.ID, "iat": now.Unix(), "exp": now.Add(i.ttl).Unix()}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if who := c.fhirUser(g.scopes); who != "" {
		claims["fhirUser"] = who
	}
	return i.keys.sign(ES256, "JWT", claims)
}

func (c *Client) user() string {
	if c.User == "" {
		return "demo-user"
	}
	return c.User
}

func (c *Client) fhirUser(granted []string) string {
	if slices.Contains(granted, "fhirUser") {
		return c.FHIRUser
	}
	return ""
}

// patient is the launch context: SMART App Launch 2.2, "launch/patient".
func (c *Client) patient(granted []string) string {
	if slices.Contains(granted, "launch/patient") {
		return c.Patient
	}
	return ""
}

// allowed is what a client gets of what it asks for; all that it may where it
// asks for nothing. One scope too many refuses the request, and is named.
func (c *Client) allowed(asked string) (granted []string, refused string) {
	granted = scopes(asked)
	if len(granted) == 0 {
		return c.Scopes, ""
	}
	for _, s := range granted {
		if !slices.Contains(c.Scopes, s) {
			return nil, s
		}
	}
	return granted, ""
}
