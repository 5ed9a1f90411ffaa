package upstream_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

const resource = `{"resourceType":"Patient","id":"1"}`

func answer(status, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sX-Other: %s\r\nContent-Length: %d\r\n\r\n%s", status, header, marker, len(body), body)
}

func TestAnswers(t *testing.T) {
	const fhir = "Content-Type: application/fhir+json\r\n"
	for _, c := range []struct {
		name, sent string
		want       string // of the body
		kind       upstream.Kind
		reason     string
	}{
		{"FHIR JSON", answer("200 OK", fhir, resource), resource, "", ""},
		{"JSON", answer("200 OK", "Content-Type: application/json\r\n", resource), resource, "", ""},
		{"with parameters", answer("200 OK", "Content-Type: Application/FHIR+JSON; fhirVersion=4.0; charset=\"UTF-8\"\r\n", resource), resource, "", ""},
		{"identity", answer("200 OK", fhir+"Content-Encoding: identity\r\n", resource), resource, "", ""},
		{"status in other words", answer("200 "+marker, fhir, resource), resource, "", ""},
		{"HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n" + fhir + "\r\n" + resource, resource, "", ""},
		{"chunked", "HTTP/1.1 200 OK\r\n" + fhir + "Transfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n", "{}\n", "", ""},

		{"HTML", answer("200 OK", "Content-Type: text/html\r\n", marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"XML", answer("200 OK", "Content-Type: application/fhir+xml\r\n", marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"NDJSON", answer("200 OK", "Content-Type: application/fhir+ndjson\r\n", marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"no type", answer("200 OK", "", marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"two types", answer("200 OK", fhir+fhir, marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"bad type", answer("200 OK", "Content-Type: application/json; charset\r\n", marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"Latin-1", answer("200 OK", "Content-Type: application/json; charset=iso-8859-1\r\n", marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"UTF-16", answer("200 OK", "Content-Type: application/json; charset=utf-16\r\n", marker), "", upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"transfer coding", "HTTP/1.1 200 OK\r\n" + fhir + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "", upstream.Malformed, "the answer is not HTTP, or its header is too long"},

		{"401", answer("401 Unauthorized", fhir, `{"x":"`+marker+`"}`), "", upstream.Refused, "the gateway's own credentials are not taken"},
		{"403", answer("403 Forbidden", "", marker), "", upstream.Refused, "the gateway's own credentials are not taken"},
		{"407", answer("407 Proxy", "", marker), "", upstream.Refused, "the gateway's own credentials are not taken"},
		{"302", answer("302 Found", "Location: /"+marker+"\r\n"+fhir, resource), "", upstream.Redirect, "the answer points elsewhere"},
		{"308", answer("308 Permanent", "Location: /"+marker+"\r\n", ""), "", upstream.Redirect, "the answer points elsewhere"},
		{"300", answer("300 Choices", "", ""), "", upstream.Redirect, "the answer points elsewhere"},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", "", upstream.Unexpected, "the status answers no read"},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", "", upstream.Unexpected, "the status answers no read"},
		{"201", answer("201 Created", fhir, resource), "", upstream.Unexpected, "the status answers no read"},
		{"206, a part", answer("206 Partial Content", fhir, resource[:9]), "", upstream.Unexpected, "the status answers no read"},
		{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "", upstream.Unexpected, "the status answers no read"},

		{"garbage", marker + "\r\n\r\n", "", upstream.Malformed, "the answer is not HTTP, or its header is too long"},
		{"garbage header", "HTTP/1.1 200 OK\r\n" + marker + "\r\n\r\n", "", upstream.Malformed, "the answer is not HTTP, or its header is too long"},
		{"two lengths", "HTTP/1.1 200 OK\r\n" + fhir + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "", upstream.Malformed, "the answer is not HTTP, or its header is too long"},
		{"bad status", "HTTP/1.1 2x0 " + marker + "\r\n\r\n", "", upstream.Malformed, "the answer is not HTTP, or its header is too long"},
		{"huge header", answer("200 OK", fhir+"X-Big: "+strings.Repeat("x", 100<<10)+"\r\n", resource), "", upstream.Malformed, "the answer is not HTTP, or its header is too long"},
		{"many headers", answer("200 OK", fhir+strings.Repeat("X-Big: "+marker+"\r\n", 4000), resource), "", upstream.Malformed, "the answer is not HTTP, or its header is too long"},
		{"nothing", "", "", upstream.Unreachable, "the connection ended before an answer"},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-Type: ", "", upstream.Cut, "the answer ended in its header"},

		{"shorter than its length", "HTTP/1.1 200 OK\r\n" + fhir + "Content-Length: 100\r\n\r\n" + resource, resource, upstream.Cut, "the answer ended early"},
		{"chunks without an end", "HTTP/1.1 200 OK\r\n" + fhir + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "{}", upstream.Cut, "the answer ended early"},
		{"half a chunk", "HTTP/1.1 200 OK\r\n" + fhir + "Transfer-Encoding: chunked\r\n\r\n9\r\n{}", "{}", upstream.Cut, "the answer ended early"},
		{"garbage chunk", "HTTP/1.1 200 OK\r\n" + fhir + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + marker, "{}", upstream.Cut, "the answer ended early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fetch(t.Context(), ehr(t, says(t, c.sent), nil))
			if got != c.want {
				t.Errorf("body %q, want %q", got, c.want)
			}
			if c.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			fails(t, err, c.kind, c.reason)
		})
	}
}

// Wherever a connection is cut, closed or reset, nobody takes what came for a whole answer.
func TestEveryTruncation(t *testing.T) {
	whole := map[string]string{
		"length": answer("200 OK", "Content-Type: application/json\r\n", resource),
		"chunked": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(resource), resource),
	}
	for name, text := range whole {
		var size atomic.Int64
		var reset atomic.Bool
		base := raw(t, func(c net.Conn) {
			_, _ = io.WriteString(c, text[:size.Load()])
			if reset.Load() {
				_ = c.(*net.TCPConn).SetLinger(0)
			}
		})
		e := ehr(t, base, nil)
		for n := range len(text) + 1 {
			for _, hard := range []bool{false, true} {
				size.Store(int64(n))
				reset.Store(hard)
				body, err := fetch(t.Context(), e)
				if n < len(text) && err == nil {
					t.Fatalf("%s cut after %d of %d bytes: body %q and no error", name, n, len(text), body)
				}
				if n == len(text) && !hard && (err != nil || body != resource) {
					t.Fatalf("%s: %q, %v", name, body, err)
				}
			}
		}
	}
}

// What is no 200 comes back with its status, and its body where that is JSON.
func TestOtherStatuses(t *testing.T) {
	const outcome = `{"resourceType":"OperationOutcome"}`
	for _, c := range []struct {
		status                        int
		contentType, encoding, header string
		want                          string
	}{
		{404, "application/fhir+json", "", "", outcome},
		{410, "application/json; charset=utf-8", "", "", outcome},
		{400, "application/fhir+json", "", "", outcome},
		{422, "application/fhir+json", "", "", outcome},
		{429, "application/fhir+json", "", "17", outcome},
		{500, "application/fhir+json", "", "", outcome},
		{503, "text/html", "", "17", ""},
		{404, "text/html", "", "", ""},
		{404, "application/json", "compress", "", ""},
		{502, "", "", "", ""},
	} {
		t.Run(fmt.Sprint(c.status, c.contentType, c.encoding), func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				if c.encoding != "" {
					w.Header().Set("Content-Encoding", c.encoding)
				}
				w.Header().Set("Retry-After", c.header)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, outcome)
			})
			resp, err := ehr(t, s.URL, nil).Do(t.Context(), patient)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.Status != c.status || resp.RetryAfter != c.header || string(body) != c.want {
				t.Errorf("got %d %q retry %q, %v", resp.Status, body, resp.RetryAfter, err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Of an answer's header only values of their grammar are handed on.
func TestHeaderValues(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"ETag", `W/"1"`, `W/"1"`},
		{"ETag", `"a-b"`, `"a-b"`},
		{"ETag", `""`, `""`},
		{"ETag", `1`, ``},
		{"ETag", `"`, ``},
		{"ETag", `"a"b"`, ``},
		{"ETag", `"a b"`, ``},
		{"ETag", `"ä"`, ``},
		{"ETag", `"` + strings.Repeat("x", 200) + `"`, ``},
		{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"},
		{"Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"},
		{"Last-Modified", "yesterday", ""},
		{"Location", "https://ehr.example/fhir/Patient/1/_history/2", "https://ehr.example/fhir/Patient/1/_history/2"},
		{"Content-Location", "Patient/1", "Patient/1"},
		{"Location", "Patient/1 2", ""},
		{"Content-Location", "Patient/ä", ""},
		{"Retry-After", "120", "120"},
		{"Retry-After", "4000000000", "86400"},
		{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"},
		{"Retry-After", "-1", ""},
		{"Retry-After", "soon", ""},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(c.name, c.in)
			jsonBody(resource)(w, r)
		})
		resp, err := ehr(t, s.URL, nil).Do(t.Context(), patient)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{"ETag": resp.ETag, "Last-Modified": resp.LastModified, "Retry-After": resp.RetryAfter,
			"Location": resp.Location, "Content-Location": resp.ContentLocation}
		for name, value := range got {
			if want := map[bool]string{true: c.want}[name == c.name]; value != want {
				t.Errorf("%s: %s gives %s %q, want %q", c.name, c.in, name, value, want)
			}
		}
		_ = resp.Body.Close()
	}
}

// A redirect's target hears nothing, and a cookie is not sent back.
func TestNothingIsFollowedOrKept(t *testing.T) {
	var heard atomic.Int64
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { heard.Add(1) })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			t.Error("a cookie came back")
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		w.Header().Set("Refresh", "0; url="+elsewhere.URL)
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	e := ehr(t, s.URL, nil)
	for range 2 {
		_, err := e.Do(t.Context(), patient)
		fails(t, err, upstream.Redirect, "the answer points elsewhere")
	}
	if heard.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// A client is never told to come back in more than a day, in whichever form.
func TestRetryAfterIsBounded(t *testing.T) {
	clock := newClock() // noon of 1 May 2031, a Thursday
	for said, told := range map[string]string{
		"86401":                         "86400",
		"Fri, 02 May 2031 11:59:59 GMT": "Fri, 02 May 2031 11:59:59 GMT",
		"Fri, 02 May 2031 12:00:01 GMT": "Fri, 02 May 2031 12:00:00 GMT",
		"Thu, 01 Jan 2099 00:00:00 GMT": "Fri, 02 May 2031 12:00:00 GMT",
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", said)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		resp, err := ehr(t, s.URL, func(o *upstream.Options) { o.Now = clock.now }).Do(t.Context(), patient)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.RetryAfter != told {
			t.Errorf("%q is told as %q, want %q", said, resp.RetryAfter, told)
		}
	}
}
