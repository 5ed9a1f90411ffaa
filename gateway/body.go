package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// takesBody says which methods may have a body. Of any other, a body is refused before it is
// looked at: some servers ignore such bodies and some read them, and what lies between two
// readings is where requests are smuggled (RFC 9110, section 9.3.1).
func takesBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// read takes the body of an authenticated caller's request, whole, within its bounds of length
// and time. It is taken in no content coding: what it expands to could not be bounded by what
// was sent.
func (c *call) read(r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if len(r.Header["Content-Encoding"]) > 0 {
		return nil, refusal("media-type")
	}
	limit := c.gen.body
	if r.ContentLength > limit {
		return nil, refusal("body-too-large")
	}
	length := r.ContentLength
	if length < 0 {
		length = limit // it does not say
	}
	if err := c.holds(length); err != nil {
		return nil, err
	}
	end := time.Now().Add(c.gen.bodyTime)
	if !c.until.IsZero() && c.until.Before(end) {
		end = c.until
	}
	if err := c.ctl.SetReadDeadline(end); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(&sparing{r.Body, &c.g.memory}, limit+1))
	var spared *Refusal
	switch {
	case errors.As(err, &spared):
		return nil, spared
	case errors.Is(err, os.ErrDeadlineExceeded) && c.late():
		return nil, context.DeadlineExceeded
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refusal("body-slow")
	case err != nil && r.Context().Err() != nil:
		return nil, refusal("client-gone")
	case err != nil:
		return nil, refusal("body-broken")
	case int64(len(body)) > limit:
		return nil, refusal("body-too-large")
	}
	c.unread = false
	c.frees(length - int64(len(body)))
	return body, c.await(c.gen.longest) // the time for the answer begins when the question is there
}

// maxBodies bounds, in bytes, the bodies that all calls hold together, or one of them alone if it may be larger. What is
// made of a body to understand it takes several times as much.
const maxBodies = 64 << 20

// bodiesShare is the part of it that one client may have: who sends bodies slowly holds up nobody else's.
const bodiesShare = 4

// bodiesTogether are maxBodies, or an eighth of the memory that the process may have.
func (c *call) bodiesTogether() int64 {
	_, limit := c.g.memory.usage()
	return max(min(maxBodies, limit/8), c.gen.body)
}

// holds counts so many bytes more as held by this call, where there is room for them.
func (c *call) holds(n int64) error {
	most := c.bodiesTogether()
	if !c.g.seats.hold(c.client(), n, max(most/bodiesShare, c.gen.body)) {
		return tooMany("client-busy", time.Second)
	}
	c.held += n
	if c.g.bodies.Add(n) > most {
		c.frees(n)
		return refusal("overloaded")
	}
	return nil
}

// frees is for what the call holds no longer.
func (c *call) frees(n int64) {
	if n == 0 {
		return
	}
	c.held -= n
	c.g.bodies.Add(-n)
	c.g.seats.hold(c.client(), -n, 0)
}

// client is whose call it is, once that is known.
func (c *call) client() clientKey { return clientKey{c.rec.Actor.Issuer, c.rec.Actor.Client} }
