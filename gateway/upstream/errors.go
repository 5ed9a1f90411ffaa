package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kind says what went wrong with a call. It is an error itself, so errors.Is finds it.
type Kind string

// The kinds.
const (
	Unreachable Kind = "unreachable" // no connection, or none that answers: refused, unknown name or certificate
	Timeout     Kind = "timeout"     // one of our own times ran out, or the context's deadline
	Canceled    Kind = "canceled"    // the client went away, or the body was closed
	Refused     Kind = "refused"     // 401, 403 or 407: the EHR does not take the gateway's own credentials
	Redirect    Kind = "redirect"    // the EHR points elsewhere; nobody goes there
	NotJSON     Kind = "not JSON"    // a 200 that is no JSON in UTF-8
	Encoding    Kind = "encoding"    // a 200 in a content coding that is not decoded here, or in several
	Cut         Kind = "cut"         // the answer ended early
	TooLarge    Kind = "too large"   // the body is longer than Options.MaxBody, or its coding beyond its bounds
	Malformed   Kind = "malformed"   // what came is not HTTP, its header is too long, or its coding is corrupt
	Unexpected  Kind = "unexpected"  // a status that does not answer the call: 206, 304; of a read 201, 204
	// NoToken: the EHR's authorization server cannot be reached, or gives nothing that can be used.
	NoToken Kind = "no token"
	// TokenRefused: the EHR's authorization server does not take the gateway's own credentials.
	TokenRefused Kind = "token refused"
	// CallerRefused: the caller's own token, where it is forwarded or exchanged, is not taken.
	CallerRefused Kind = "caller refused"
	Invalid       Kind = "invalid call" // our own call cannot be sent; nothing was
	// BreakerOpen: every address of the EHR has failed too often and is given a rest; nothing was sent.
	BreakerOpen Kind = "breaker open"
	// Resting: the EHR asked to be left alone, by a 503 with Retry-After; nothing was sent.
	Resting Kind = "resting"
	// Full: the EHR has as many requests as Options.Load allows, or connections as MaxConnections does, and there was no turn
	// in time; nothing was sent.
	Full Kind = "full"
)

func (k Kind) Error() string { return string(k) }

// Error is why a call, or a read of its body, has failed. It holds nothing of what the EHR sent but a status.
type Error struct {
	Kind   Kind
	EHR    string // its name
	Reason string // one of a fixed set of words
	Status int    // what the EHR answered with, where it did
	// Sent says of a POST, PUT or DELETE that the EHR may have carried it out. It is false where the request cannot have
	// reached the EHR whole, and where the EHR said that it refuses it.
	Sent bool

	// RetryAfter is when it may be worth asking again, of BreakerOpen, Resting and Full.
	RetryAfter time.Duration

	late        bool // the context's own deadline passed
	unconnected bool // the address was not reached
}

func (e *Error) Error() string {
	text := "upstream " + e.EHR + ": " + string(e.Kind)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Status != 0 {
		text += " (status " + strconv.Itoa(e.Status) + ")"
	}
	return text
}

// Unwrap returns the kind, and context.DeadlineExceeded where it was the context's deadline that passed. What the network
// stack said is not kept: it may quote the EHR.
func (e *Error) Unwrap() []error {
	if e.late {
		return []error{e.Kind, context.DeadlineExceeded}
	}
	return []error{e.Kind}
}

// Why a call's context was cancelled by ourselves.
var (
	errTotal  = errors.New("took too long in all")
	errHeader = errors.New("no answer in time")
	errIdle   = errors.New("body stalled")
	errClosed = errors.New("body was closed")
)

// stopped says which of our times ran out, or that the client went away; nil while the call may go on.
func (e *EHR) stopped(ctx context.Context) *Error {
	if ctx.Err() == nil {
		return nil
	}
	switch cause := context.Cause(ctx); {
	case cause == errTotal, cause == errHeader, cause == errIdle:
		return &Error{Kind: Timeout, EHR: e.o.Name, Reason: cause.Error()}
	case cause == errClosed:
		return &Error{Kind: Canceled, EHR: e.o.Name, Reason: cause.Error()}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Kind: Timeout, EHR: e.o.Name, Reason: "the caller's deadline passed", late: true}
	}
	return &Error{Kind: Canceled, EHR: e.o.Name, Reason: "the caller went away"}
}

// failure says why there is no answer. answered: a first byte of one had come.
func (e *EHR) failure(ctx context.Context, err error, answered bool) *Error {
	if stopped := e.stopped(ctx); stopped != nil {
		return stopped
	}
	kind, reason := Unreachable, "the connection ended before an answer"
	var (
		timeout   interface{ Timeout() bool }
		operation *net.OpError
		dns       *net.DNSError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	dialing := errors.As(err, &operation) && operation.Op == "dial"
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		kind, reason = Timeout, errHeader.Error()
		if dialing {
			reason = "no connection in time"
		}
	case errors.As(err, &dns):
		reason = "its name is unknown"
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "the connection was refused"
	case dialing:
		reason = "no connection"
	case errors.As(err, &verify), errors.As(err, &authority):
		reason = "its certificate is not trusted"
	case errors.As(err, &record), errors.As(err, &alert), operation != nil && strings.HasSuffix(operation.Op, " error"):
		// net.OpError's Op is "remote error" or "local error" for an alert of TLS.
		reason = "no TLS handshake"
	case answered && ended(err):
		kind, reason = Cut, "the answer ended in its header"
	case answered:
		kind, reason = Malformed, "the answer is not HTTP, or its header is too long"
	}
	return &Error{Kind: kind, EHR: e.o.Name, Reason: reason}
}

// crowded says that all connections were in use for as long as a call waits for one. Who uses them may only read slowly, so
// that it says nothing of the address, and no other is asked.
func (e *EHR) crowded() *Error {
	return &Error{Kind: Full, EHR: e.o.Name, Reason: "it has as many connections as it is given", RetryAfter: time.Second}
}

// ended says whether a connection was closed or reset under a read.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}
