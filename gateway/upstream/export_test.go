package upstream

import (
	"context"
	"io"
	"net"
	"net/http/httptrace"
	"strconv"
	"time"
)

// SetDial makes connections by other means than the network, and says so as a net.Dialer does.
func (e *EHR) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	e.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		httptrace.ContextClientTrace(ctx).ConnectStart(network, address)
		return dial(ctx, network, address)
	}
}

// Decode is the body of an answer that holds this in a coding.
func (e *EHR) Decode(coding string, src io.Reader) io.ReadCloser {
	ctx, cancel := context.WithCancelCause(context.Background())
	b := &body{ehr: e, ctx: ctx, cancel: cancel, left: e.o.MaxBody, src: io.NopCloser(src), coding: coding}
	b.decoder = e.decoders.get(coding, wire{b})
	return b
}

// Settle waits until no token of the gateway's own is being fetched.
func (e *EHR) Settle() {
	h := &e.tokens.own
	h.mu.Lock()
	flight := h.flight
	h.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

// Callers holds tokens for n callers, and says for how many it then does.
func (e *EHR) Callers(n int) int {
	for i := range n {
		e.tokens.holder(Secret(strconv.Itoa(i)))
	}
	return len(e.tokens.callers)
}

// SetPause waits by other means than the clock.
func (e *EHR) SetPause(pause func(context.Context, time.Duration)) { e.pause = pause }
