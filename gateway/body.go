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
	if !c.holds(length) {
		return nil, refusal("overloaded")
	}
	end := time.Now().Add(c.gen.bodyTime)
	if !c.until.IsZero() && c.until.Before(end) {
		end = c.until
	}
	if err := c.ctl.SetReadDeadline(end); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
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
	c.holds(int64(len(body)) - length)
	return body, c.await(c.gen.longest) // the time for the answer begins when the question is there
}

// maxBodies bounds, in bytes, the bodies that all calls hold together, or one of them alone if it may be larger. What is
// made of a body to understand it takes several times as much.
const maxBodies = 64 << 20

// holds counts so many bytes more as held by this call, where there is room for them.
func (c *call) holds(n int64) bool {
	if c.g.bodies.Add(n) > max(maxBodies, c.gen.body) {
		c.g.bodies.Add(-n)
		return false
	}
	c.held += n
	return true
}
