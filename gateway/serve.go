package gateway

import (
	"net/http"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

// ServeHTTP answers one call: it is refused, or it is served; either way it is recorded first.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := g.begin(w, r)
	defer g.end(c)
	if err := g.serve(c, r); err != nil {
		g.refuse(c, err)
	}
}

// serve is the path that a request takes, from top to bottom. What it learns goes into the
// call's record as it is learned, so that a refusal at any step names all that was known.
func (g *Gateway) serve(c *call, r *http.Request) error {
	if err := g.log.Err(); err != nil {
		return err // nothing leaves that cannot be recorded
	}
	if !g.room.enter() {
		return refusal("overloaded")
	}
	defer g.room.leave()
	if r.ContentLength != 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return refusal("body-not-taken") // RFC 9110, section 9.3.1: perhaps another request, for another server
	}

	route, below, err := c.gen.route(r)
	if err != nil {
		return err
	}
	c.towards(route)
	if open, ok := route.document(below); ok {
		return g.describe(c, r, route, open) // metadata and smart-configuration: the gateway's own, no token
	}

	// Who is calling? No body has been read.
	caller, err := c.gen.auth.Authenticate(r.Context(), r.Header["Authorization"])
	if err != nil {
		return err
	}
	c.by(caller)
	seal, err := c.gen.vault.Sealer(route.tenant, TokenClient(caller.Issuer, caller.ClientID), route.name)
	if err != nil {
		return err
	}

	// One interaction, wholly understood, under a ticket and purpose. A page is the search that
	// it continues.
	req, err := fhir.Parse(message(r, below), c.gen.limits)
	c.asks(req, err)
	if err != nil {
		return err
	}
	if err := c.accepts(r.Header); err != nil {
		return err
	}
	page, req, err := c.gen.turn(caller, seal, req, c.begun)
	if err != nil {
		return err
	}
	if page != nil {
		c.asks(req, nil)
	}
	desk, err := c.gen.desk(caller, r.Header)
	if err != nil {
		return err
	}
	c.about(desk)

	// The floor is code, the policy only narrows it.
	floor, err := smart.Permit(&caller.Grant, req)
	if err != nil {
		return err
	}
	dec, err := c.gen.policies.Decide(r.Context(), g.input(c, caller, desk, req))
	c.decided(dec)
	if err != nil {
		return err
	}
	if !dec.Allow {
		return denied(dec)
	}

	// What the dataset hides cannot be asked about; tokens become ids.
	ask := admission{gen: c.gen, route: route, caller: caller, seal: seal, floor: floor, dec: dec, req: req}
	query, err := ask.admit(page)
	if err != nil {
		return err
	}

	// The EHR is asked with the gateway's own credentials, and its answer leaves window by
	// window, each one durable in the access log before it does.
	resp, err := query.ask(r.Context(), c)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.disclose(query, resp)
}
