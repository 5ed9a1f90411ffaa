package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
	"github.com/halfdoor/halfdoor/gateway/upstream"
	"github.com/halfdoor/halfdoor/gateway/vault"
)

// ServeHTTP answers one call: it is refused, or it is served; either way it is recorded first.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := g.begin(w, r)
	defer g.end(c)
	if err := g.serve(c, r); err != nil {
		g.refuse(c, err)
	}
}

// serve is the path that a request takes, from top to bottom, until it is understood; answer is
// the rest of it. What a step learns goes into the call's record as it is learned, so that a
// refusal at any step names all that was known.
func (g *Gateway) serve(c *call, r *http.Request) error {
	if err := g.log.Err(); err != nil {
		return err // nothing leaves that cannot be recorded
	}
	if g.memory.short() || !g.room.enter(r.Context(), c.gen.queue) {
		return refusal("overloaded")
	}
	defer g.room.leave()
	ctx, cancel := c.waits(r)
	defer cancel()
	if err := c.knock(); err != nil {
		return err
	}
	if c.gen.waiting {
		return refusal("policy-missing")
	}
	if r.ContentLength != 0 && !takesBody(r.Method) {
		return refusal("body-not-taken")
	}

	route, below, err := c.gen.route(r)
	if err != nil {
		return err
	}
	c.towards(route)
	open, ok := route.document(below)
	if ok {
		c.allowAnyone(open)
	}
	if preflight(r) {
		return c.permit()
	}
	if ok {
		return g.describe(c, r, route, open) // metadata and smart-configuration: the gateway's own, no token
	}
	if err := c.on("ehr", route.name); err != nil {
		return err
	}

	// Who is calling? No body has been read.
	caller, err := c.authenticate(ctx, credentials(r, route, below))
	if err != nil {
		c.byTokenOf(err)
		return err
	}
	c.by(caller)
	if err := c.on("client", caller.ClientID); err != nil {
		return err
	}
	if err := c.gen.bound(route, caller); err != nil {
		return err
	}
	if nonce := c.gen.auth.Nonce(); nonce != "" && caller.DPoP {
		c.w.Header().Set("DPoP-Nonce", nonce) // RFC 9449, section 8.2: the next one, in time
	}
	if err := c.often(caller); err != nil {
		return err
	}
	rise, err := c.sit(caller)
	if err != nil {
		return err
	}
	defer rise()
	seal, err := c.gen.vault.Sealer(route.tenant, TokenClient(caller.Issuer, caller.ClientID), route.name)
	if err != nil {
		return err
	}

	defer seal.Release()

	// One interaction, wholly understood, under a ticket and purpose.
	body, unread := c.read(r)
	req, err := fhir.Parse(message(r, below, body), c.gen.limits)
	c.asks(req, err)
	if unread != nil {
		return unread
	}
	if err != nil {
		return err
	}
	if err := c.accepts(r.Header); err != nil {
		return err
	}
	desk, err := c.gen.desk(caller, r.Header)
	if err != nil {
		return err
	}
	c.about(desk)
	if err := errors.Join(c.on("category", desk.category), c.on("interaction", string(req.Interaction))); err != nil {
		return err
	}
	e := errand{caller: caller, desk: desk, route: route, seal: seal}
	if route.ehr.NeedsCaller() {
		e.token = bearer(r.Header)
	}
	switch req.Interaction {
	case fhir.Batch:
		return c.batch(ctx, e, req)
	case fhir.Transaction:
		return c.transaction(ctx, e, req)
	}
	return c.answer(ctx, e, req)
}

// errand is who asks, why, and which EHR. It is the same for every interaction of a call.
type errand struct {
	caller *auth.Caller
	desk   desk
	route  *route
	seal   *vault.Sealer   // of this caller's tokens, for one call
	token  upstream.Secret // the caller's own, where the EHR or its authorization server is shown it; else empty
}

// bearer is the access token of a caller who was authenticated by it. One that is bound to the
// caller's key (RFC 9449) would be worth nothing in the gateway's hands.
func bearer(h http.Header) upstream.Secret {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return upstream.Secret(strings.TrimLeft(token, " "))
}

// answer is the path of one interaction that is understood: floor, policy, admission, the EHR,
// and its answer.
func (c *call) answer(ctx context.Context, e errand, req *fhir.Request) error {
	ask, page, err := c.judge(ctx, e, req)
	if err != nil {
		return err
	}

	// What the dataset hides cannot be asked about; tokens become ids.
	if ask.req.Interaction.Writes() {
		return c.write(ctx, ask)
	}
	query, err := ask.question(ctx, c, page)
	if err != nil {
		return err
	}

	// The EHR is asked with the gateway's own credentials, and its answer leaves window by
	// window, each one durable in the access log before it does.
	resp, err := query.ask(ctx, c)
	if err != nil {
		return err
	}
	return c.disclose(ctx, query, resp)
}

// judge says whether an interaction may be served, and as what.
func (c *call) judge(ctx context.Context, e errand, req *fhir.Request) (*admission, *page, error) {
	if err := performed(req); err != nil {
		return nil, nil, err
	}
	if err := c.on("interaction", string(req.Interaction)); err != nil { // what it is here, and below what it comes to
		return nil, nil, err
	}
	page, req, err := c.turn(e, req) // a page is the search that it continues
	if err != nil {
		return nil, nil, err
	}
	if req, err = c.lookup(req); err != nil { // a $match is the search by the same facts
		return nil, nil, err
	}

	if err := c.offered(req); err != nil {
		return nil, nil, err
	}

	// The floor is code, the policy only narrows it.
	floor, err := smart.Permit(&e.caller.Grant, req)
	if err != nil {
		return nil, nil, err
	}
	dec, err := c.decide(ctx, e, req)
	if err := c.allowed(e, dec, err); err != nil {
		return nil, nil, err
	}
	if err := c.on("workflow", dec.Dataset); err != nil {
		return nil, nil, err
	}
	return &admission{errand: e, gen: c.gen, floor: floor, dec: dec, req: req}, page, nil
}

// question is what the EHR is asked for a read or a search.
func (a *admission) question(ctx context.Context, c *call, p *page) (*query, error) {
	q, err := a.admit(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return q, q.boundCandidates()
}
