// Package upstream is the EHR side of the gateway: it asks a FHIR server over HTTP and hands back the answer's body as
// it arrives, or says in a fixed word why there is none.
//
// What goes out is the gateway's own: the method, a path and query below the configured base URL, Accept,
// Accept-Encoding, User-Agent, a bearer token, the three correlation headers of a Call, and of a write its
// body, If-Match, If-None-Exist and Prefer. Nothing else of a client's reaches the EHR, and nothing in a path, query or header value can change where a request goes or what
// else is in it. No redirect is followed, no cookie kept, no proxy taken from the environment unless asked for.
//
// The bearer token is the gateway's own: configured, or got from the EHR's authorization server, by SMART Backend Services
// (SMART App Launch 2.2, section 5) or a client secret, once for all callers and before the last one ends (held.go); or one
// for each caller, by exchange (RFC 8693). Only InsecureForwardCaller sends a caller's own. The authorization server is
// trusted as little as the EHR: nothing of what it says but a token goes anywhere. A token that the EHR answers with a 401
// is dropped, and a read is asked for once more with another.
//
// What comes back is trusted for nothing. A 200, and the 201 of a write, must be JSON in UTF-8 (FHIR R4, section 3.1.0.1.10), plain or in one
// content coding (RFC 9110, section 8.4): the EHR is asked for identity or zstd, and gzip, deflate and br are decoded as
// well. Header and body are bounded, the body in its coding and out of it, each step has its time, and a body that ends
// before its framing or its coding says so is an error of the read, never an end of file. A body that has no framing
// (HTTP/1.0), no coding and no TLS cannot be seen to be cut; the filter sees it in the JSON. An Error never holds the
// EHR's text, a URL's query, a header or a token.
//
// A GET is sent again by net/http, once the reused connection that it went out on turns out to have been closed before
// a byte of an answer came (http.Transport), by Options.Retries, and at another address where one was not reached. A POST, PUT or
// DELETE whose header may have gone out is never sent a second time, and where no answer to it comes, Error.Sent says that the
// EHR may have carried it out.
//
// A server that is slow or fails is kept from holding more of the gateway than its share: so many requests are under way at
// once, each until its answer's body has ended, and so many calls wait for so long (gate.go); an address that fails too often,
// or asks for it, is given a rest (breaker.go); and where a server has several addresses, the next is asked (address.go). All
// that is refused so was not sent.
//
// net/http writes to the standard logger what an EHR sends unasked on an idle connection, quoting it; so a command that
// uses this package gives the log package's output to nobody.
package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"
)

// EHR is one FHIR server. It is safe for concurrent use.
type EHR struct {
	o         Options
	at        *addresses
	gate      *gate
	bases     []string
	transport *http.Transport
	tokens    *tokens     // nil without Options.OAuth
	always    http.Header // of each request
	pause     func(context.Context, time.Duration)
	decoders  decoders
}

// New checks the options, reporting all that is wrong with them. It opens no connection.
func New(o Options) (*EHR, error) {
	bases, err := o.check()
	if err != nil {
		return nil, err
	}
	e := &EHR{o: o, bases: o.bases(), transport: o.transport(), pause: pause, always: http.Header{
		"Accept": {"application/fhir+json"}, "Accept-Encoding": {accepted}, "User-Agent": {o.Product},
	}}
	e.carry(bases, o.Previous)
	e.o.Previous = nil // and all that came before it
	return e, nil
}

// Call is one request to an EHR.
type Call struct {
	// Method is GET, HEAD, POST, PUT or DELETE.
	Method string
	// Path is below the base URL, without a leading slash: "Patient/123". Empty is the base itself. It holds no escapes:
	// FHIR needs none.
	Path string
	// Query is the raw query, without "?".
	Query string
	// Correlation is what the call is found by in the EHR's own log, and in a trace.
	Correlation Correlation
	// Body is what a POST or PUT sends, as application/fhir+json; never empty there, and nil in every other method.
	Body []byte
	// IfMatch is the entity tag that a PUT or DELETE holds the EHR to (RFC 9110, section 13.1.1); empty for none.
	IfMatch string
	// IfNoneExist is the search, as a raw query, that a POST is to find nothing by (FHIR R4, section 3.1.0.8.1); empty for
	// none.
	IfNoneExist string
	// Return is what a POST or PUT prefers to be answered with: minimal, representation or OperationOutcome (FHIR R4,
	// section 3.1.0.1.12); empty for no word on it.
	Return string
	// Caller is the caller's own access token. It is looked at only where EHR.NeedsCaller says so.
	Caller Secret
}

// Correlation names a call, in up to 128 bytes of visible ASCII each. What is empty does not go out.
type Correlation struct {
	Request     string // X-Request-Id
	Correlation string // X-Correlation-Id
	Traceparent string // W3C Trace Context, section 3.2
}

// writes says whether a call may change something.
func (c *Call) writes() bool { return c.Method != http.MethodGet && c.Method != http.MethodHead }

// Response is what the EHR answered: 200 with a JSON body, or a status of 400 and above (but 401, 403 and 407) whose
// body is empty where it is not JSON. A POST, PUT or DELETE may also be answered 201 or 204, and 200 or 201 without a body.
type Response struct {
	Status int
	// Location and ContentLocation are empty where absent, or not of visible ASCII. Whose they are is not looked at.
	Location, ContentLocation string
	// ETag, LastModified and RetryAfter are empty where absent, or not of their grammar (RFC 9110, sections 8.8 and
	// 10.2.3).
	ETag, LastModified, RetryAfter string
	// Body is out of its content coding, never nil, and must be closed. A read that fails gives an *Error. It ends with
	// io.EOF only where the EHR, and the coding, said that it ends there.
	Body io.ReadCloser
}

// Do asks the EHR. Its error is always an *Error.
func (e *EHR) Do(ctx context.Context, c Call) (*Response, error) {
	return e.do(ctx, c, e.at)
}

// do asks the EHR at these of its addresses.
func (e *EHR) do(ctx context.Context, c Call, at *addresses) (*Response, error) {
	out, err := e.outgoing(&c)
	if err != nil {
		return nil, err
	}
	out.at = at
	ctx, cancel := context.WithCancelCause(ctx)
	total := time.AfterFunc(e.o.TotalTimeout, func() { cancel(errTotal) })
	end := func() { total.Stop(); cancel(errClosed) }
	resp, failed := e.persist(ctx, out)
	if failed != nil {
		end()
		return nil, failed
	}
	b := resp.Body.(*body)
	if b.end = end; b.closed {
		end()
	}
	return resp, nil
}

// ask sends the call with an access token. One that the EHR does not take is dropped, and a read asked for once more
// with another.
func (e *EHR) ask(ctx context.Context, out *outgoing) (*Response, *Error) {
	for again := false; ; again = true {
		shown, failed := e.credential(ctx, out.call)
		if failed != nil {
			return nil, failed
		}
		out.show(shown.token)
		resp, failed := e.reach(ctx, out)
		if failed == nil || failed.Status != http.StatusUnauthorized || shown.holder == nil {
			return resp, failed
		}
		if !shown.holder.drop(shown.token) || out.call.writes() || again {
			return nil, failed
		}
	}
}

// send asks once, at one address. Where it returns an answer, leave is called when the answer's body has ended.
func (e *EHR) send(ctx context.Context, a *address, p permit, out *outgoing, leave func()) (*Response, *Error) {
	ctx, cancel := context.WithCancelCause(ctx)
	// The transport times connecting, the handshake and the header one by one. This one also covers the wait for a
	// connection where all are in use.
	header := time.AfterFunc(e.o.ConnectTimeout+e.o.HeaderTimeout, func() { cancel(errHeader) })
	writes := out.call.writes()
	way := new(way)
	resp, err := e.transport.RoundTrip(out.to(httptrace.WithClientTrace(ctx, way.hooks(writes)), a))
	header.Stop()
	if err != nil {
		failed := e.failure(ctx, err, way.answered.Load())
		failed.Sent, failed.unconnected = way.sent.Load(), !way.connected.Load() || failed.Kind == Unreachable
		if failed.Reason == errHeader.Error() && !way.connected.Load() && !way.dialed.Load() {
			failed = e.crowded()
		}
		cancel(errClosed)
		a.breaker.leave(p, verdictOf(0, failed))
		return nil, failed
	}
	b := &body{ehr: e, ctx: ctx, cancel: cancel, src: resp.Body, left: e.o.MaxBody}
	got, refused := e.accept(resp, b, writes)
	if refused != nil {
		refused.Sent = writes && refused.Kind != Refused && refused.Kind != CallerRefused
		_ = b.Close()
		a.breaker.leave(p, verdictOf(resp.StatusCode, refused))
		return nil, refused
	}
	if got.Status == http.StatusServiceUnavailable {
		a.breaker.rest(e.wanted(got.RetryAfter))
	}
	b.verdict = verdictOf(got.Status, nil)
	over := func(v verdict) { a.breaker.leave(p, v); leave() }
	if b.over = over; b.closed {
		b.ends(b.verdict)
	}
	return got, nil
}

// way is how far a request came. A hook may run after RoundTrip has returned.
type way struct{ dialed, connected, answered, sent atomic.Bool }

func (w *way) hooks(writes bool) *httptrace.ClientTrace {
	t := &httptrace.ClientTrace{
		DNSStart:             func(httptrace.DNSStartInfo) { w.dialed.Store(true) },
		ConnectStart:         func(string, string) { w.dialed.Store(true) },
		GotConn:              func(httptrace.GotConnInfo) { w.connected.Store(true) },
		GotFirstResponseByte: func() { w.answered.Store(true) },
	}
	if writes {
		t.WroteHeaders = func() { w.sent.Store(true) } // without which no server can have acted
	}
	return t
}

// Name is the EHR's name in the configuration.
func (e *EHR) Name() string { return e.o.Name }

// Bases are the base URLs by which the EHR names its own resources, without trailing slash; a longer one comes before
// its own beginning.
func (e *EHR) Bases() []string { return slices.Clone(e.bases) }

// Close closes the idle connections. Calls under way go on.
func (e *EHR) Close() {
	e.transport.CloseIdleConnections()
	if e.tokens != nil {
		e.tokens.close()
	}
}

// Format prints the name, and no token, whatever the verb.
func (e *EHR) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "upstream "+e.o.Name) }
