package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// quiet is how long a connection that has answered may stay silent until it is taken to have
// nothing more to say: some times as long as the answer took.
func quiet(took time.Duration) time.Duration {
	return min(max(3*took, 500*time.Millisecond), 2*time.Second)
}

// isLate says whether the time was over.
func isLate(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

// dial opens a connection that speaks what is written to it; protocol is for ALPN.
func (t *target) dial(ctx context.Context, protocol string) (net.Conn, error) {
	if !t.spend() {
		return nil, errStopped
	}
	d := &net.Dialer{Timeout: t.timeout}
	conn, err := d.DialContext(ctx, "tcp", t.host())
	if err != nil {
		t.fatal = &Unreachable{What: "gateway", Err: err}
		return nil, err
	}
	if t.base.Scheme == "https" {
		config := t.tls.Clone()
		config.NextProtos = []string{protocol}
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the error is told already
			return nil, err
		}
		conn = secured
	}
	return conn, conn.SetDeadline(time.Now().Add(t.timeout))
}

// converse writes text as it is and reads answers, one at least, until the connection ends, has
// been quiet, or there are as many as may come.
func (a *attempt) converse(text string, most int) []answer {
	var all []answer
	first, _, _ := strings.Cut(text, "\r\n")
	what := shorten(strings.TrimSuffix(first, " HTTP/1.1"))
	conn, err := a.target.dial(a.ctx, "http/1.1")
	if err != nil {
		return []answer{{what: what, err: err}}
	}
	defer conn.Close()
	written := make(chan struct{})
	go func() { // a gateway that refuses early reads no more
		defer close(written)
		_, _ = io.WriteString(conn, text) // it may hang up: that is its answer
	}()
	method, _, _ := strings.Cut(first, " ")
	in, begun := bufio.NewReader(conn), time.Now()
	for len(all) < most {
		if len(all) > 0 {
			_ = conn.SetReadDeadline(time.Now().Add(quiet(time.Since(begun)))) // a closed connection is seen by the read
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if len(all) == 0 {
				all = append(all, answer{what: what, err: err})
			}
			break
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
		resp.Body.Close()
		all = append(all, answer{what: what, status: resp.StatusCode, header: resp.Header, body: body, err: err})
		if resp.StatusCode == http.StatusInternalServerError {
			a.target.failures = append(a.target.failures, what)
		}
		method = http.MethodGet
	}
	_ = conn.Close() // ends the writing
	<-written
	for _, got := range all {
		a.remember(got)
	}
	return all
}

// credentials are the header lines of the client's requests.
func (a *attempt) credentials() string {
	var b strings.Builder
	for name, values := range a.o.Header {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	fmt.Fprintf(&b, "Authorization: Bearer %s\r\nAccept: application/fhir+json\r\n", string(a.o.Token))
	return b.String()
}

// rawGet asks for a target below the base that no HTTP library would send.
func (a *attempt) rawGet(target, credentials string) answer {
	text := fmt.Sprintf("GET %s%s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", a.target.base.Path, target, a.target.base.Host, credentials)
	return a.converse(text, 1)[0]
}

// wireRest writes text and returns what follows the head of the answer.
func (a *attempt) wireRest(text string) []byte {
	conn, err := a.target.dial(a.ctx, "http/1.1")
	if err != nil {
		return nil
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return nil
	}
	all, _ := io.ReadAll(io.LimitReader(conn, mostBody)) // what was read before an error counts
	_, rest, _ := strings.Cut(string(all), "\r\n\r\n")
	return []byte(rest)
}
