package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// What goes out is exactly this.
func TestWhatGoesOut(t *testing.T) {
	var got *http.Request
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		jsonBody(resource)(w, r)
	})
	for _, c := range []struct {
		name string
		call upstream.Call
		free bool // no bearer
		uri  string
		want map[string]string
	}{
		{"all", upstream.Call{Method: "GET", Path: "Patient/1/_history/2", Query: "a=%20b%7Cc&_count=1",
			Correlation: upstream.Correlation{Request: "r-1", Correlation: "c/1", Traceparent: "00-abc-01"}}, false,
			"/a/fhir/Patient/1/_history/2?a=%20b%7Cc&_count=1",
			map[string]string{"X-Request-Id": "r-1", "X-Correlation-Id": "c/1", "Traceparent": "00-abc-01", "Authorization": "Bearer " + marker}},
		{"no bearer", upstream.Call{Method: "GET", Path: "Patient"}, true, "/a/fhir/Patient", nil},
		{"HEAD", upstream.Call{Method: "HEAD", Path: "Patient/$everything"}, true, "/a/fhir/Patient/$everything", nil},
		{"the base", upstream.Call{Method: "GET", Query: "_getpages=x|y"}, true, "/a/fhir?_getpages=x|y", nil},
		{"all of a compartment", upstream.Call{Method: "GET", Path: "Patient/1/*", Query: "_type=Task"}, true, "/a/fhir/Patient/1/*?_type=Task", nil},
		{"a list with a slash", upstream.Call{Method: "GET", Path: "Patient/", Query: "_page_token=1"}, true, "/a/fhir/Patient/?_page_token=1", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := ehr(t, s.URL+"/a/fhir/", func(o *upstream.Options) {
				o.Product = "Halfdoor/1 (test)"
				if c.free {
					o.Bearer = ""
				}
			})
			resp, err := e.Do(t.Context(), c.call)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := map[string]string{"Accept": "application/fhir+json", "Accept-Encoding": "zstd, identity", "User-Agent": "Halfdoor/1 (test)"}
			maps.Copy(want, c.want)
			header := map[string]string{}
			for name, values := range got.Header {
				header[name] = strings.Join(values, "|")
			}
			if !maps.Equal(header, want) {
				t.Errorf("header %v, want %v", header, want)
			}
			if got.RequestURI != c.uri || got.Method != c.call.Method || "http://"+got.Host != s.URL {
				t.Errorf("got %s %s at %s", got.Method, got.RequestURI, got.Host)
			}
		})
	}
}

func TestWhatIsNotSent(t *testing.T) {
	s, connections := counted(t, jsonBody(resource))
	e := ehr(t, s.URL+"/fhir", nil)
	const (
		method = "method is not GET, HEAD, POST, PUT or DELETE"
		body   = "POST and PUT have a body, and nothing else has"
		target = "path is not a plain path below the base URL"
		query  = "query is not of a URL's grammar"
		value  = "correlation header is not visible ASCII of a sensible length"
	)
	type ids = upstream.Correlation
	for _, c := range []struct {
		name   string
		call   upstream.Call
		reason string
	}{
		{"PATCH", upstream.Call{Method: "PATCH", Path: "Patient/1", Body: []byte("[]")}, method},
		{"POST of nothing", upstream.Call{Method: "POST", Path: "Patient"}, body},
		{"PUT of nothing", upstream.Call{Method: "PUT", Path: "Patient/1"}, body},
		{"GET with a body", upstream.Call{Method: "GET", Path: "Patient", Body: []byte("{}")}, body},
		{"DELETE with a body", upstream.Call{Method: "DELETE", Path: "Patient/1", Body: []byte("{}")}, body},
		{"If-Match of no tag", upstream.Call{Method: "DELETE", Path: "Patient/1", IfMatch: "1"}, "If-Match is not an entity tag of a PUT or DELETE"},
		{"If-Match of two", upstream.Call{Method: "DELETE", Path: "Patient/1", IfMatch: `"1", "2"`}, "If-Match is not an entity tag of a PUT or DELETE"},
		{"If-Match with a line", upstream.Call{Method: "DELETE", Path: "Patient/1", IfMatch: "\"1\"\r\nX: \""}, "If-Match is not an entity tag of a PUT or DELETE"},
		{"If-Match of a read", upstream.Call{Method: "GET", Path: "Patient/1", IfMatch: `"1"`}, "If-Match is not an entity tag of a PUT or DELETE"},
		{"If-None-Exist of an update", upstream.Call{Method: "PUT", Path: "Patient/1", Body: []byte("{}"), IfNoneExist: "a=b"}, "If-None-Exist is not the query of a POST"},
		{"If-None-Exist with a line", upstream.Call{Method: "POST", Path: "Patient", Body: []byte("{}"), IfNoneExist: "a=b\r\nX: y"}, "If-None-Exist is not the query of a POST"},
		{"another preference", upstream.Call{Method: "POST", Path: "Patient", Body: []byte("{}"), Return: "minimal, respond-async"}, "Return is not a preference of a POST or PUT"},
		{"no method", upstream.Call{Path: "Patient"}, method},
		{"lower case", upstream.Call{Method: "get", Path: "Patient"}, method},
		{"method with a line", upstream.Call{Method: "GET / HTTP/1.1\r\n", Path: "Patient"}, method},
		{"leading slash", upstream.Call{Method: "GET", Path: "/Patient"}, target},
		{"other host", upstream.Call{Method: "GET", Path: "//evil.example/x"}, target},
		{"absolute", upstream.Call{Method: "GET", Path: "http://evil.example/x"}, target},
		{"user", upstream.Call{Method: "GET", Path: "@evil.example"}, target},
		{"dots", upstream.Call{Method: "GET", Path: "Patient/../admin"}, target},
		{"only dots", upstream.Call{Method: "GET", Path: ".."}, target},
		{"dots at the end", upstream.Call{Method: "GET", Path: "Patient/../"}, target},
		{"a star", upstream.Call{Method: "GET", Path: "*"}, target},
		{"a star inside", upstream.Call{Method: "GET", Path: "Patient/*/1"}, target},
		{"part of a star", upstream.Call{Method: "GET", Path: "Patient/1*"}, target},
		{"two stars", upstream.Call{Method: "GET", Path: "Patient/1/*/*"}, target},
		{"one dot", upstream.Call{Method: "GET", Path: "Patient/."}, target},
		{"empty segment", upstream.Call{Method: "GET", Path: "Patient//1"}, target},
		{"two slashes at the end", upstream.Call{Method: "GET", Path: "Patient//"}, target},
		{"slash", upstream.Call{Method: "GET", Path: "/"}, target},
		{"escape", upstream.Call{Method: "GET", Path: "Patient/%2e%2e"}, target},
		{"query in the path", upstream.Call{Method: "GET", Path: "Patient?x"}, target},
		{"fragment in the path", upstream.Call{Method: "GET", Path: "Patient#x"}, target},
		{"star in a name", upstream.Call{Method: "GET", Path: "Patient/1/*x"}, target},
		{"semicolon", upstream.Call{Method: "GET", Path: "Patient;x"}, target},
		{"backslash", upstream.Call{Method: "GET", Path: `Patient\1`}, target},
		{"line in the path", upstream.Call{Method: "GET", Path: "Patient/1 HTTP/1.1\r\nX: y"}, target},
		{"not ASCII", upstream.Call{Method: "GET", Path: "Patient/ä"}, target},
		{"fragment", upstream.Call{Method: "GET", Path: "Patient", Query: "a#b"}, query},
		{"space", upstream.Call{Method: "GET", Path: "Patient", Query: "a b"}, query},
		{"line in the query", upstream.Call{Method: "GET", Path: "Patient", Query: "a\r\nX: y"}, query},
		{"NUL", upstream.Call{Method: "GET", Path: "Patient", Query: "a\x00"}, query},
		{"half an escape", upstream.Call{Method: "GET", Path: "Patient", Query: "a=%2"}, query},
		{"no escape", upstream.Call{Method: "GET", Path: "Patient", Query: "a=%zz"}, query},
		{"raw UTF-8", upstream.Call{Method: "GET", Path: "Patient", Query: "a=ä"}, query},
		{"long", upstream.Call{Method: "GET", Path: "Patient", Query: strings.Repeat("a", 16<<10)}, "path and query are too long"},
		{"request id with a line", upstream.Call{Method: "GET", Path: "Patient", Correlation: ids{Request: "a\r\nX: y"}}, value},
		{"correlation id with a line", upstream.Call{Method: "GET", Path: "Patient", Correlation: ids{Correlation: "a\r\nX: y"}}, value},
		{"trace with a line", upstream.Call{Method: "GET", Path: "Patient", Correlation: ids{Traceparent: "a\r\nX: y"}}, value},
		{"request id with a space", upstream.Call{Method: "GET", Path: "Patient", Correlation: ids{Request: "a b"}}, value},
		{"long request id", upstream.Call{Method: "GET", Path: "Patient", Correlation: ids{Request: strings.Repeat("a", 129)}}, value},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := e.Do(t.Context(), c.call)
			fails(t, err, upstream.Invalid, c.reason)
		})
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// Whatever path, query and header value are let through, the request on the wire is one request, to the configured host,
// below the configured base.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][3]string{
		{"Patient/1", "a=b", "r"}, {"", "x", "r"}, {"Patient/", "", "r"}, {"Patient/$match", "a=%41|b", "r"}, {"Patient/1/*", "_type=Task", "r"},
		{"a~b_c.d-e", "[]{}^", "~"}, {"..", "", "r"}, {"a/../b", "", "r"}, {"a\r\nb", "#", "\r\n"}, {"//h", "%", " "}, {"a", "?", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	e := ehr(f, "http://localhost:1/fhir/r4", nil)
	var sent []byte
	e.SetDial(func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			var buf [64 << 10]byte
			for {
				n, err := server.Read(buf[:])
				if err != nil {
					return
				}
				sent = append(sent, buf[:n]...)
				if strings.HasSuffix(string(sent), "\r\n\r\n") {
					_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n")
					_ = server.Close()
					return
				}
			}
		}()
		return client, nil
	})
	f.Fuzz(func(t *testing.T, p, query, id string) {
		sent = nil
		resp, err := e.Do(t.Context(), upstream.Call{Method: "GET", Path: p, Query: query, Correlation: upstream.Correlation{Request: id}})
		if errors.Is(err, upstream.Invalid) {
			return
		}
		if err != nil {
			t.Fatalf("%q %q %q: %v", p, query, id, err)
		}
		_ = resp.Body.Close()
		r := bufio.NewReader(strings.NewReader(string(sent)))
		req, err := http.ReadRequest(r)
		if err != nil || r.Buffered() != 0 {
			t.Fatalf("not one request: %q, %v", sent, err)
		}
		u, err := url.ParseRequestURI(req.RequestURI)
		if err != nil || req.Host != "localhost:1" || u.Host != "" || u.RawQuery != query {
			t.Fatalf("target %q of %q", req.RequestURI, req.Host)
		}
		if rest, ok := strings.CutPrefix(u.Path, "/fhir/r4"); !ok || rest != "" && rest != "/"+p || u.RawPath != "" && u.RawPath != "/fhir/r4/"+p ||
			path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
			t.Fatalf("path %q", u.Path)
		}
		want := 5
		if id == "" {
			want = 4
		}
		if req.Header.Get("X-Request-Id") != id || len(req.Header) != want {
			t.Fatalf("header %v", req.Header)
		}
	})
}
