package upstream

import (
	"context"
	"net"
)

// SetDial makes connections by other means than the network.
func (e *EHR) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	e.transport.DialContext = dial
}
