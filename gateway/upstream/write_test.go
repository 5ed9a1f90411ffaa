package upstream_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

var update = upstream.Call{Method: "PUT", Path: "Patient/1", Body: []byte(resource), IfMatch: `W/"1"`}

// What a write sends is exactly this.
func TestWhatAWriteSends(t *testing.T) {
	var got *http.Request
	var body string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		text, _ := io.ReadAll(r.Body)
		body = string(text)
		w.WriteHeader(http.StatusNoContent)
	})
	ours := map[string]string{"Accept": "application/fhir+json", "Accept-Encoding": "zstd, identity", "User-Agent": "Halfdoor", "Authorization": "Bearer " + marker}
	for _, c := range []struct {
		name string
		call upstream.Call
		want map[string]string
	}{
		{"create", upstream.Call{Method: "POST", Path: "Patient", Body: []byte(resource), IfNoneExist: "identifier=a|b", Return: "representation"},
			map[string]string{"Content-Type": "application/fhir+json", "Content-Length": fmt.Sprint(len(resource)), "If-None-Exist": "identifier=a|b", "Prefer": "return=representation"}},
		{"update", update, map[string]string{"Content-Type": "application/fhir+json", "Content-Length": fmt.Sprint(len(resource)), "If-Match": `W/"1"`}},
		{"delete", upstream.Call{Method: "DELETE", Path: "Patient/1", IfMatch: `W/"1"`}, map[string]string{"If-Match": `W/"1"`}},
		{"transaction", upstream.Call{Method: "POST", Body: []byte(resource)}, map[string]string{"Content-Type": "application/fhir+json", "Content-Length": fmt.Sprint(len(resource))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, err := ehr(t, s.URL+"/fhir", nil).Do(t.Context(), c.call)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := maps.Clone(ours)
			maps.Copy(want, c.want)
			header := map[string]string{}
			for name, values := range got.Header {
				header[name] = strings.Join(values, "|")
			}
			if !maps.Equal(header, want) || got.Method != c.call.Method || body != string(c.call.Body) || resp.Status != http.StatusNoContent {
				t.Errorf("%s %v %q, want %v", got.Method, header, body, want)
			}
		})
	}
}

// talks is a server that reads a whole request with its body before it talks.
func talks(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					talk(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/fhir"
}

func TestAnswersToAWrite(t *testing.T) {
	const fhir = "Content-Type: application/fhir+json\r\n"
	for _, c := range []struct {
		name, sent string
		want       int
		body       string
		kind       upstream.Kind
		reason     string
		carriedOut bool // perhaps
	}{
		{"200", answer("200 OK", fhir, resource), 200, resource, "", "", false},
		{"201", answer("201 Created", fhir, resource), 201, resource, "", "", false},
		{"201 without a body", answer("201 Created", "", ""), 201, "", "", "", false},
		{"201 without a body, with its type", answer("201 Created", fhir, ""), 201, "", "", "", false},
		{"200 in chunks without a body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "", "", "", false},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "", "", false},
		{"409", answer("409 Conflict", fhir, resource), 409, resource, "", "", false},
		{"412", answer("412 Precondition Failed", "Content-Type: text/html\r\n", marker), 412, "", "", "", false},
		{"500", answer("500 Oh", fhir, resource), 500, resource, "", "", false},

		{"403", answer("403 Forbidden", fhir, resource), 0, "", upstream.Refused, "the gateway's own credentials are not taken", false},
		{"202", answer("202 Accepted", "", ""), 0, "", upstream.Unexpected, "the status answers no write", true},
		{"206", answer("206 Partial", fhir, resource), 0, "", upstream.Unexpected, "the status answers no write", true},
		{"303", answer("303 See Other", "Location: /x\r\n", ""), 0, "", upstream.Redirect, "the answer points elsewhere", true},
		{"a page", answer("200 OK", "Content-Type: text/html\r\n", marker), 0, "", upstream.NotJSON, "the answer is not JSON in UTF-8", true},
		{"a coding", answer("201 Created", fhir+"Content-Encoding: compress\r\n", resource), 0, "", upstream.Encoding, "the answer has a content coding that is not decoded", true},
		{"nothing", "", 0, "", upstream.Unreachable, "the connection ended before an answer", true},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-Type: ", 0, "", upstream.Cut, "the answer ended in its header", true},
		{"garbage", marker + "\r\n\r\n", 0, "", upstream.Malformed, "the answer is not HTTP, or its header is too long", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var heard atomic.Int64
			e := ehr(t, talks(t, func(conn net.Conn) {
				heard.Add(1)
				_, _ = io.WriteString(conn, c.sent)
			}), nil)
			resp, err := e.Do(t.Context(), update)
			if heard.Load() != 1 {
				t.Errorf("sent %d times", heard.Load())
			}
			if c.kind != "" {
				fails(t, err, c.kind, c.reason)
				if sent := err.(*upstream.Error).Sent; sent != c.carriedOut {
					t.Errorf("sent: %t", sent)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != c.body || resp.Status != c.want {
				t.Errorf("%d %q %v", resp.Status, body, err)
			}
			_ = resp.Body.Close()
		})
	}
}

// A write that cannot have reached the EHR says so.
func TestAWriteThatWasNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	_ = l.Close()
	_, err = ehr(t, base, nil).Do(t.Context(), update)
	fails(t, err, upstream.Unreachable, "the connection was refused")
	if err.(*upstream.Error).Sent {
		t.Error("sent to nobody")
	}
}

// A write goes out once although the connection that it was given, which served a read before, dies under it: net/http
// sends a GET again in that case.
func TestAWriteIsNotSentAgain(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "GET"} {
		t.Run(method, func(t *testing.T) {
			var asked atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 2 {
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					_ = conn.Close()
					return
				}
				jsonBody(resource)(w, r)
			}))
			t.Cleanup(s.Close)
			e := ehr(t, s.URL, nil)
			if _, err := fetch(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			c := upstream.Call{Method: method, Path: "Patient/1"}
			if method == "POST" || method == "PUT" {
				c.Body = []byte(resource)
			}
			_, err := e.Do(t.Context(), c)
			if method == "GET" {
				if err != nil || asked.Load() != 3 {
					t.Errorf("a read was sent %d times: %v", asked.Load(), err)
				}
				return
			}
			fails(t, err, upstream.Unreachable, "the connection ended before an answer")
			if asked.Load() != 2 || !err.(*upstream.Error).Sent {
				t.Errorf("sent %d times in all: %#v", asked.Load(), err)
			}
		})
	}
}
