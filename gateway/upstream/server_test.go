package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// marker is in everything that a test server sends, in the bearer token and in the query; no error may hold it.
const marker = "Zz-Marker-zZ"

// TestMain silences what net/http says of servers that do not keep to HTTP; see the package comment.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// ehr asks a server at base; change adjusts the options.
func ehr(t testing.TB, base string, change func(*upstream.Options)) *upstream.EHR {
	t.Helper()
	o := upstream.Options{Name: "main", BaseURL: base, Bearer: marker,
		ConnectTimeout: 5 * time.Second, HeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, TotalTimeout: 20 * time.Second}
	if change != nil {
		change(&o)
	}
	e, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

var patient = upstream.Call{Method: "GET", Path: "Patient/1", Query: "q=" + marker}

// serve is a real server with a handler.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// jsonBody answers 200 with JSON.
func jsonBody(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json; charset=UTF-8")
		_, _ = io.WriteString(w, body)
	}
}

// raw is a server of bytes: it reads a request's header, then talk says what it likes and the connection closes.
func raw(t testing.TB, talk func(net.Conn)) string {
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
				if readHeader(c) == nil {
					talk(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/fhir"
}

func readHeader(c net.Conn) error {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

// says is a server that sends this and closes.
func says(t testing.TB, text string) string {
	t.Helper()
	return raw(t, func(c net.Conn) { _, _ = io.WriteString(c, text) })
}

// until is a channel that closes when the test ends, for servers that hang.
func until(t testing.TB) <-chan struct{} {
	c := make(chan struct{})
	t.Cleanup(func() { close(c) })
	return c
}

// fetch asks for a patient and reads the body to its end.
func fetch(ctx context.Context, e *upstream.EHR) (string, error) {
	resp, err := e.Do(ctx, patient)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// fails asserts an error's kind and reason, and that it holds nothing of the server's or of ours.
func fails(t testing.TB, err error, kind upstream.Kind, reason string) {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v; want an *Error", err)
	}
	if e.Kind != kind || !errors.Is(err, kind) || e.Reason != reason || e.EHR != "main" {
		t.Errorf("got %v; want %s: %s", err, kind, reason)
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err)} {
		if strings.Contains(text, marker) || strings.Contains(text, "127.0.0.1") {
			t.Errorf("the error tells too much: %s", text)
		}
	}
}
