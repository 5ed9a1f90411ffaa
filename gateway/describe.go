package gateway

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

// The documents that need no token and tell nothing of the EHR: what the gateway can do, where
// to get a token for it, and by which keys an EHR's authorization server verifies the gateway's
// signatures. They disclose nothing of anybody, and have no record.

const (
	jwksDocument = "jwks" // below no base: it is where the configuration says
	metadataPath = "/metadata"
	smartPath    = "/.well-known/smart-configuration"
)

// document says whether a path below the base is one of them.
func (r *route) document(below string) (string, bool) {
	return below, below == metadataPath || below == smartPath || below == jwksDocument
}

func (g *Gateway) describe(c *call, r *http.Request, rt *route, document string) error {
	switch document {
	case smartPath:
		return g.describeSMART(c, r, rt)
	case jwksDocument:
		return g.describeKeys(c, r, rt)
	}
	req, err := fhir.Parse(message(r, document, nil), c.gen.limits)
	c.asks(req, err)
	if err != nil {
		return err
	}
	c.send(rt.metadata, "application/fhir+json; charset=utf-8")
	return nil
}

// describeKeys answers with the gateway's public keys (RFC 7517, section 8.5).
func (g *Gateway) describeKeys(c *call, r *http.Request, rt *route) error {
	if err := reads(r); err != nil {
		return err
	}
	c.send(rt.jwks, "application/jwk-set+json")
	return nil
}

// reads refuses every method that would do more than read a document.
func reads(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	no := refusal("method-not-allowed")
	no.allow = "GET, HEAD"
	return no
}

// describeSMART answers in JSON whatever Accept says (SMART App Launch 2.2, section 2.2.1).
func (g *Gateway) describeSMART(c *call, r *http.Request, rt *route) error {
	if err := reads(r); err != nil {
		return err
	}
	server, err := c.gen.auth.Server(r.Context(), c.gen.issuer)
	if err != nil {
		return err
	}
	body, err := smart.Configuration(smart.Metadata{
		Issuer: server.Issuer, JWKS: server.Keys,
		Authorization: server.Authorization, Token: server.Token,
		Introspection: server.Introspection, Revocation: server.Revocation,
		GrantTypes: server.GrantTypes, AuthMethods: server.AuthMethods, SigningAlgs: server.SigningAlgs,
		ProofAlgs: common(server.ProofAlgs, auth.ProofAlgorithms()), // what both understand
		Scopes:    slices.Concat(rt.scopes, smart.LaunchScopes(server.Scopes)),
	})
	if err != nil {
		return err
	}
	c.send(body, "application/json; charset=utf-8")
	return nil
}

// common are the members of one list that are in another, too.
func common(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(other, s) })
}

// send answers with a document of the gateway's own.
func (c *call) send(body []byte, contentType string) {
	c.rec.Status = http.StatusOK
	h := c.w.Header()
	c.headers(h)
	h.Set("Content-Type", contentType)
	if c.head {
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = c.w.Write(body) // there is nobody left to tell
}

// message is what the FHIR parser reads of a request.
func message(r *http.Request, below string, body []byte) fhir.Message {
	return fhir.Message{Method: r.Method, Path: below, Query: r.URL.RawQuery, Header: r.Header, Body: body}
}
