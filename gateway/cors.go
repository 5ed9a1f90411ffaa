package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// Cross-origin calls (Fetch standard, section 3.2): a browser lets the pages of configured
// origins call the gateway and read its answers, and any page read the discovery documents. For all else only an exact
// origin is ever named, never a wildcard, and credentials are never allowed: the gateway reads no cookie, so that a foreign
// page can send nothing that it does not hold itself.

var (
	corsMethods = strings.Join([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, ", ")
	corsHeaders = strings.Join([]string{
		"Authorization", "DPoP", "Content-Type", "Prefer", "If-Match", "If-None-Match", "If-None-Exist", "Idempotency-Key",
		"Ticket-Id", "Ticket-Category", "Purpose-Of-Use", breakGlass, "X-Request-Id", "X-Correlation-Id", "Traceparent",
	}, ", ")
	corsExposed = strings.Join([]string{
		"ETag", "Last-Modified", "Location", "Content-Location", "Retry-After", "WWW-Authenticate", "DPoP-Nonce", "Break-Glass-Expires", "X-Request-Id", "X-Correlation-Id",
	}, ", ")
)

// corsMaxAge is for how many seconds a browser may keep the answer to a preflight.
const corsMaxAge = "600"

// allowOrigin marks the answer, whatever it will be, as one that the page may read. Where
// origins are configured, every answer varies by them: a cache must not give one page's to another.
func (c *call) allowOrigin(r *http.Request) {
	if len(c.gen.origins) == 0 {
		return
	}
	h := c.w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header["Origin"]
	if len(origin) != 1 || !slices.Contains(c.gen.origins, origin[0]) {
		return
	}
	c.foreign = true
	h.Set("Access-Control-Allow-Origin", origin[0])
	h.Set("Access-Control-Expose-Headers", corsExposed)
}

// allowAnyone marks the answer to a question about a discovery document as one that any page may read: SMART App Launch 2.2, section
// "Cross-Origin Resource Sharing (CORS) support", has apps in browsers find the servers that will then know their origin. Nothing in
// these documents is about anybody.
func (c *call) allowAnyone(document string) {
	if document == jwksDocument || c.foreign {
		return
	}
	c.anyone = true
	c.w.Header().Set("Access-Control-Allow-Origin", "*")
}

// preflight says whether a browser asks whether it may send a call. It carries no token and is
// told nothing but the gateway's own lists, which are the same for every path.
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// permit answers a preflight. It leaves no record: like the discovery documents it tells nothing
// of anybody, and it needs no token.
func (c *call) permit() error {
	methods := corsMethods
	switch {
	case c.foreign:
	case c.anyone:
		methods = "GET, HEAD"
	default:
		return refusal("origin")
	}
	c.rec.Status = http.StatusNoContent
	h := c.w.Header()
	c.headers(h)
	h.Del("Content-Type") // there is no content
	h.Del("Access-Control-Expose-Headers")
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
