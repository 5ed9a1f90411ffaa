package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// correlation is how one call is found again: in the answer, in the access record, in the
// EHR's own log and in a trace.
type correlation struct {
	request     string // X-Request-Id, taken or made
	correlation string // X-Correlation-Id, taken or made
	trace       string // W3C trace-id, 32 hex digits
	parent      string // traceparent for the EHR
}

// correlate takes the ids that the client sent where they are well formed, and makes the others.
func correlate(h http.Header) correlation {
	c := correlation{request: plainID(h.Get("X-Request-Id")), correlation: plainID(h.Get("X-Correlation-Id"))}
	made := randomHex()
	if c.request == "" {
		c.request = made[:32]
	}
	if c.correlation == "" {
		c.correlation = c.request
	}
	trace, flags, ok := parseTraceparent(h.Get("Traceparent"))
	if !ok {
		trace, flags = made[32:64], "00"
	}
	c.trace = trace
	c.parent = "00-" + trace + "-" + made[64:] + "-" + flags
	return c
}

// outgoing is what the EHR is told, and nothing else of the client's.
func (c correlation) outgoing() upstream.Correlation {
	return upstream.Correlation{Request: c.request, Correlation: c.correlation, Traceparent: c.parent}
}

// plainID accepts an id of up to 64 letters, digits, dots, hyphens and underscores: one
// that can stand in a log line and a header without a second thought.
func plainID(s string) string {
	if len(s) == 0 || len(s) > 64 {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return ""
		}
	}
	return s
}

// parseTraceparent reads a version 00 header (W3C Trace Context, section 3.2).
func parseTraceparent(s string) (trace, flags string, ok bool) {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return "", "", false
	}
	trace, span, flags := s[3:35], s[36:52], s[53:]
	if !lowerHex(trace) || !lowerHex(span) || !lowerHex(flags) {
		return "", "", false
	}
	if strings.Trim(trace, "0") == "" || strings.Trim(span, "0") == "" {
		return "", "", false
	}
	return trace, flags, true
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// randomHex is 80 random digits, for all the ids of a call.
func randomHex() string {
	var b [40]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	var text [2 * len(b)]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}

// source is the client's address. X-Forwarded-For is read only from configured proxies,
// from the right, up to the first address that is not one of them.
func source(r *http.Request, proxies []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	peer = peer.Unmap().WithZone("")
	if !within(peer, proxies) {
		return peer.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(peer, proxies); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		peer = hop.Unmap().WithZone("")
	}
	return peer.String()
}

func within(a netip.Addr, nets []netip.Prefix) bool {
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
