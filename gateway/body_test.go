package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// endless is a body that does not end, and that no length is told of.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// silent is a body that does not begin until the test is over.
type silent struct{ over <-chan struct{} }

func (s silent) Read([]byte) (int, error) {
	<-s.over
	return 0, io.EOF
}

// TestBodies sends bodies that the gateway must not take, and sees the refusal and its record.
func TestBodies(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string {
		return y + "limits: {request_bytes: 4KiB, read_body_timeout: 200ms}\n"
	}))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	json := []string{"Content-Type", "application/fhir+json"}
	for protocol, speak := range protocols {
		speak(w)
		for _, c := range []struct {
			name, method, token string
			body                io.Reader
			headers             []string
			status              int
			code                string
		}{
			{"too large by its length", "POST", token, strings.NewReader(strings.Repeat(" ", 4<<10+1)), json, 413, "body-too-large"},
			{"too large, and of no length", "PUT", token, io.LimitReader(endless{}, 4<<10+1), json, 413, "body-too-large"},
			{"without end", "PATCH", token, endless{}, json, 413, "body-too-large"},
			{"that never comes", "POST", token, silent{over}, json, 408, "body-slow"},
			{"in a content coding", "POST", token, strings.NewReader("{}"), append(json, "Content-Encoding", "gzip"), 415, "media-type"},
			{"of a deletion", "DELETE", token, strings.NewReader("{}"), json, 400, "body-not-taken"},
			{"without end, of nobody", "POST", "", endless{}, json, 401, "token-missing"},
		} {
			t.Run(protocol+" "+c.name, func(t *testing.T) {
				before := w.ehr.Requests()
				r := w.send(c.method, c.token, "/Appointment/1", c.body, c.headers...)
				if r.status != c.status || r.code() != c.code {
					t.Fatalf("%d %s %v, want %d %s", r.status, r.code(), r.err, c.status, c.code)
				}
				if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != c.status || rec.Code != c.code {
					t.Errorf("record %+v", rec)
				}
				if w.ehr.Requests() != before {
					t.Error("the EHR was asked")
				}
			})
		}
	}
}

// TestBodyOnTheWire sends bodies that no HTTP library would.
func TestBodyOnTheWire(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.get(token, "/Practitioner?_count=1") // keys are there
	head := func(token string, more ...string) string {
		return "POST /fhir/Appointment HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nAuthorization: Bearer " + token + "\r\n" + strings.Join(more, "\r\n") + "\r\n\r\n"
	}
	for _, c := range []struct {
		name, text string
		status     int
		code       string
	}{
		{"broken chunk", head(token, "Transfer-Encoding: chunked") + "zz\r\nhello\r\n0\r\n\r\n", 400, "body-broken"},
		{"another request behind a broken chunk", head(token, "Transfer-Encoding: chunked") + "5\r\nhelloGET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n", 400, "body-broken"},
		{"asks before it sends, and may not", head("nonsense", "Content-Length: 5", "Expect: 100-continue"), 401, "token-malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.wire(c.text, 1) // "100 Continue" would be the first
			if len(got) != 1 || got[0].status != c.status || got[0].code() != c.code {
				t.Fatalf("%+v, want one %d %s", got, c.status, c.code)
			}
			if rec := w.record(got[0]); rec.Status != c.status || rec.Code != c.code {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// TestChunksEndTheConnection hides a request behind chunks whose length says otherwise.
func TestChunksEndTheConnection(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.get(token, "/Practitioner?_count=1") // keys are there
	body := "8\r\n_count=1\r\n0\r\n\r\nGET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, lengths := range map[string]string{
		"with a length":    fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked", len(body)),
		"without":          "Transfer-Encoding: chunked",
		"in a folded line": fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding:\r\n chunked", len(body)),
		"behind a bare LF": fmt.Sprintf("Content-Length: %d\r\nX: y\nTransfer-Encoding: chunked", len(body)),
	} {
		t.Run(name, func(t *testing.T) {
			got := w.wire("POST /fhir/Appointment/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: Bearer "+token+"\r\n"+lengths+"\r\n\r\n"+body, 2)
			if len(got) != 1 {
				t.Fatalf("%d answers, want one, and the end of the connection", len(got))
			}
			if rec := w.record(got[0]); rec.Status != got[0].status {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// TestBodiesTogether has two clients hold bodies that come slowly: neither gets more than its share of what all may hold,
// and when all of that is held another client is refused, until one of the bodies ends.
func TestBodiesTogether(t *testing.T) {
	w := newWorld(t, limited("request_bytes: 32MiB"))
	slow := []string{w.token("demo-scheduling", demo.TokenOptions{}), w.token("demo-access", demo.TokenOptions{})}
	other := w.token("demo-billing", demo.TokenOptions{})
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	search := func(token string, body io.Reader) reply {
		return w.send("POST", token, "/Location/_search", body, form...)
	}
	small := func() io.Reader { return strings.NewReader("status=active") }
	var writers []*io.PipeWriter
	done := make(chan reply, 2)
	for n, token := range slow { // of no length that they say: each may be as long as one may be
		body, writer := io.Pipe()
		writers = append(writers, writer)
		go func() { done <- search(token, body) }()
		// More than HTTP/2 sends of a body that nobody reads: once it is taken, the call holds it.
		_, err := io.CopyN(writer, endless{}, 4<<20)
		check(t, err)
		w.shed(search(token, small()), 429, "client-busy")
		if n == 0 {
			if r := search(other, small()); r.status != 200 {
				t.Errorf("another client: %d %s", r.status, r.body)
			}
		}
	}
	w.shed(search(other, small()), 503, "overloaded")
	for _, writer := range writers {
		check(t, writer.Close())
		if r := <-done; r.code() != "body-too-large" { // for a form
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	for _, token := range append(slow, other) {
		if r := search(token, small()); r.status != 200 {
			t.Errorf("once there is room: %d %s", r.status, r.body)
		}
	}
}
