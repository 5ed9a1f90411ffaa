package upstream

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

const (
	maxTarget      = 16 << 10 // bytes of path and query
	maxCorrelation = 128      // bytes of a correlation header
)

// outgoing is a call that may be sent, to whichever address, with nothing in it but what is checked or ours.
type outgoing struct {
	call          *Call
	at            *addresses
	header        http.Header
	path, rawPath string // below a base, with the slash before it; rawPath is empty where it is the same
}

// outgoing checks a call.
func (e *EHR) outgoing(c *Call) (*outgoing, error) {
	invalid := func(reason string) error { return &Error{Kind: Invalid, EHR: e.o.Name, Reason: reason} }
	posts, puts, deletes := c.Method == http.MethodPost, c.Method == http.MethodPut, c.Method == http.MethodDelete
	switch {
	case c.writes() && !posts && !puts && !deletes:
		return nil, invalid("method is not GET, HEAD, POST, PUT or DELETE")
	case (posts || puts) != (len(c.Body) > 0):
		return nil, invalid("POST and PUT have a body, and nothing else has")
	case c.IfMatch != "" && (!puts && !deletes || entityTag(c.IfMatch) == ""):
		return nil, invalid("If-Match is not an entity tag of a PUT or DELETE")
	case c.IfNoneExist != "" && (!posts || len(c.IfNoneExist) > maxTarget || !validQuery(c.IfNoneExist)):
		return nil, invalid("If-None-Exist is not the query of a POST")
	case c.Return != "" && (!posts && !puts || c.Return != "minimal" && c.Return != "representation" && c.Return != "OperationOutcome"):
		return nil, invalid("Return is not a preference of a POST or PUT")
	}
	if len(c.Path)+len(c.Query) > maxTarget {
		return nil, invalid("path and query are too long")
	}
	out := &outgoing{call: c}
	if c.Path != "" {
		// A list may be named with a slash after it; some servers write links to their pages so. All that is in a
		// compartment has a star for its type (FHIR R4, section 3.1.0.10.2).
		plain, all := strings.CutSuffix(strings.TrimSuffix(c.Path, "/"), "/*")
		if !validPath(plain) {
			return nil, invalid("path is not a plain path below the base URL")
		}
		out.path = "/" + c.Path
		if all {
			out.rawPath = out.path // net/url would escape the star
		}
	}
	if !validQuery(c.Query) {
		return nil, invalid("query is not of a URL's grammar")
	}
	header := maps.Clone(e.always)
	ids := []string{c.Correlation.Request, c.Correlation.Correlation, c.Correlation.Traceparent}
	for i, name := range [...]string{"X-Request-Id", "X-Correlation-Id", "Traceparent"} {
		if ids[i] == "" {
			continue
		}
		if len(ids[i]) > maxCorrelation || !visible(ids[i], "") {
			return nil, invalid("correlation header is not visible ASCII of a sensible length")
		}
		header[name] = ids[i : i+1 : i+1]
	}
	out.header = header
	if c.IfMatch != "" {
		header.Set("If-Match", c.IfMatch)
	}
	if c.IfNoneExist != "" {
		header.Set("If-None-Exist", c.IfNoneExist)
	}
	if c.Return != "" {
		header.Set("Prefer", "return="+c.Return)
	}
	if len(c.Body) > 0 {
		header.Set("Content-Type", "application/fhir+json")
	}
	return out, nil
}

// show puts an access token into the header. What went out with another one may still be being written.
func (o *outgoing) show(token Secret) {
	if token == "" {
		return
	}
	value, before := "Bearer "+string(token), o.header.Get("Authorization")
	if before == value {
		return
	}
	if before != "" {
		o.header = o.header.Clone()
	}
	o.header.Set("Authorization", value)
}

// to is the HTTP request of a call to an address.
func (o *outgoing) to(ctx context.Context, a *address) *http.Request {
	target := url.URL{Scheme: a.base.Scheme, Host: a.base.Host, Path: a.base.Path + o.path, RawQuery: o.call.Query}
	if o.rawPath != "" {
		target.RawPath = a.base.Path + o.rawPath
	}
	if target.Path == "" {
		target.Path = "/"
	}
	req := http.Request{
		Method: o.call.Method, URL: &target, Host: target.Host, Header: o.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if len(o.call.Body) > 0 {
		// There is no GetBody, and no Idempotency-Key goes out: with them net/http would send it again by itself.
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(o.call.Body)), int64(len(o.call.Body))
	}
	return req.WithContext(ctx)
}

// validPath says whether a path is segments of FHIR's characters with single slashes between: nothing that a URL
// escapes, a server decodes, or a proxy resolves. A FHIR id may be "." or ".."; as a segment it may not.
func validPath(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		for i := range len(segment) {
			if c := segment[i]; !letterOrDigit(c) && c != '-' && c != '.' && c != '_' && c != '$' && c != '~' {
				return false
			}
		}
	}
	return true
}

// validQuery says whether a query is of RFC 3986, section 3.4, or has besides it "|", "^", "{", "}", "[" and "]", which
// servers write into their links unescaped.
func validQuery(query string) bool {
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case c == '%':
			if i+2 >= len(query) || !hexDigit(query[i+1]) || !hexDigit(query[i+2]) {
				return false
			}
		case c <= ' ', c >= 0x7f, c == '#', c == '"', c == '<', c == '>', c == '\\', c == '`':
			return false
		}
	}
	return true
}

// visible says whether a text is visible ASCII, or one of the characters in also.
func visible(text, also string) bool {
	for i := range len(text) {
		if c := text[i]; (c <= ' ' || c >= 0x7f) && strings.IndexByte(also, c) < 0 {
			return false
		}
	}
	return true
}

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}
