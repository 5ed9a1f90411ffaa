package gateway

import (
	"net"
	"net/http"
)

// InUse is what calls are admitted by.
var InUse Usage = inUse

// NewBounded is the FHIR listener's bound, and what the HTTP server tells it.
func NewBounded(l net.Listener, connections int) (net.Listener, func(net.Conn, http.ConnState)) {
	b := newBounded(l, connections)
	return b, b.state
}
