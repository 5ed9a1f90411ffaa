package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
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
	if c.request == "" {
		c.request = randomHex(16)
	}
	if c.correlation == "" {
		c.correlation = c.request
	}
	trace, flags, ok := parseTraceparent(h.Get("Traceparent"))
	if !ok {
		trace, flags = randomHex(16), "00"
	}
	c.trace = trace
	c.parent = "00-" + trace + "-" + randomHex(8) + "-" + flags
	return c
}

// headers are what the EHR is told, and nothing else of the client's.
func (c correlation) headers() map[string]string {
	return map[string]string{"X-Request-Id": c.request, "X-Correlation-Id": c.correlation, "traceparent": c.parent}
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

func randomHex(bytes int) string {
	var b [16]byte
	rand.Read(b[:bytes]) // never fails: crypto/rand aborts the process instead
	return hex.EncodeToString(b[:bytes])
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
