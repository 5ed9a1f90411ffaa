package gateway_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/rs/zerolog"
	"github.com/tidwall/sjson"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// coders are the codings that an EHR may send.
var coders = map[string]func(io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		out, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		return out
	},
	"bare": func(w io.Writer) io.WriteCloser { out, _ := flate.NewWriter(w, 9); return out },
}

func inCoding(coding string, body []byte) []byte {
	var out bytes.Buffer
	to := coders[coding](&out)
	_, _ = to.Write(body)
	_ = to.Close()
	return out.Bytes()
}

// outOf decodes what a client was sent, as far as it goes.
func outOf(coding string, body []byte) ([]byte, error) {
	src := io.Reader(bytes.NewReader(body))
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(src)
		if err != nil {
			return nil, err
		}
		src = r
	case "br":
		src = brotli.NewReader(src)
	case "zstd":
		r, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		src = r
	}
	return io.ReadAll(src)
}

// untouched makes a world's client leave codings alone.
func (w *world) untouched() { w.client.Transport.(*http.Transport).DisableCompression = true }

func windowed(y string) string { return y + "limits: {window: 4KiB}\n" }

// TestCodings: in whatever coding the EHR answers, and the client takes the answer, it is the same.
func TestCodings(t *testing.T) {
	var w *world
	w = newWorld(t, withConfig(windowed), withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		w.sandbox.ServeHTTP(whole, r)
		coding := strings.TrimPrefix(r.Header.Get("X-Request-Id"), "coding-")
		body := whole.Body.Bytes()
		if coders[coding] != nil {
			body = inCoding(coding, body)
			rw.Header().Set("Content-Encoding", strings.Replace(coding, "bare", "deflate", 1))
		}
		rw.Header().Set("Content-Type", "application/fhir+json")
		rw.WriteHeader(whole.Code)
		_, _ = rw.Write(body)
	})))
	w.untouched()
	token := w.token("demo-scheduling", demo.TokenOptions{})
	one := w.get(token, "/Appointment?_count=1").json().Get("entry.0.resource.id").String()
	for _, path := range []string{"/Appointment?_count=1000", "/Appointment?_count=3", "/Appointment/" + one} {
		want, err := sjson.DeleteBytes(w.get(token, path).body, "link") // sealed, and never the same twice
		check(t, err)
		if len(want) < 300 {
			t.Fatalf("%s: %s", path, want)
		}
		for _, from := range []string{"", "gzip", "deflate", "bare", "br", "zstd"} {
			for _, to := range []string{"", "gzip", "zstd", "br"} {
				r := w.get(token, path, "Accept-Encoding", to, "X-Request-Id", "coding-"+from)
				sent := r.header.Get("Content-Encoding")
				body, err := outOf(sent, r.body)
				if r.err != nil || err != nil || r.status != 200 {
					t.Fatalf("%s from %q to %q: %d %v %v", path, from, to, r.status, r.err, err)
				}
				if sent != to && !(sent == "" && len(body) < 1<<10) || r.header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%s to %q: sent %q, varies by %q", path, to, sent, r.header.Get("Vary"))
				}
				if sent != "" && len(body) > 4<<10 && len(r.body) > len(body)/2 {
					t.Errorf("%s to %q: %d bytes for %d", path, to, len(r.body), len(body))
				}
				got, err := sjson.DeleteBytes(body, "link")
				if check(t, err); !bytes.Equal(got, want) {
					t.Errorf("%s from %q to %q: %.200s", path, from, to, got)
				}
			}
		}
	}
	w.verify()
}

// TestBadCodingsOfTheEHR: a coding that is broken, or hides too much, is refused and recorded.
func TestBadCodingsOfTheEHR(t *testing.T) {
	bundle := []byte(`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Location","id":"a1","status":"active"}}]}`)
	whole := inCoding("gzip", bundle)
	for name, c := range map[string]struct {
		coding string
		body   []byte
		code   string
	}{
		"truncated":      {"gzip", whole[:len(whole)-1], "ehr-cut"},
		"nothing":        {"zstd", nil, "ehr-cut"},
		"garbage":        {"br", bundle, "ehr-invalid"},
		"garbage behind": {"zstd", append(inCoding("zstd", bundle), bundle...), "ehr-invalid"},
		"twice":          {"gzip, gzip", inCoding("gzip", whole), "ehr-invalid"},
		"unknown":        {"compress", bundle, "ehr-invalid"},
		"bomb":           {"gzip", inCoding("gzip", bytes.Repeat([]byte{' '}, 16<<20)), "ehr-too-large"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withEHR(says(string(c.body), "Content-Encoding", c.coding)))
			r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location")
			if r.status != 502 || r.code() != c.code {
				t.Fatalf("%d %s", r.status, r.body)
			}
			if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != c.code {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// TestCodingHeaders: what the header of an answer says of its coding.
func TestCodingHeaders(t *testing.T) {
	resource := func(filler int) string {
		return `{"resourceType":"Location","id":"a1","meta":{"versionId":"3"},"status":"active","name":"` + strings.Repeat("x", filler) + `"}`
	}
	keeps := withBundle(map[string]string{
		"halfdoor/decision.rego":                 strings.Replace(allowAll, `"access"`, `"scheduling"`, 1),
		"halfdoor/datasets/scheduling/data.yaml": "title: Narrow\nversion: 1\nresources:\n  Location: {id: keep, meta.versionId: keep, status: keep, name: keep}\nsearch: {}\nwrite: {}\n",
	})
	policy := func(y string) string { return y + "policy:\n  bundle: bundle\n" }
	for _, size := range []int{10, 2000} {
		w := newWorld(t, withConfig(policy), keeps, withEHR(says(resource(size), "ETag", `"3"`)))
		w.untouched()
		token := w.token("demo-scheduling", demo.TokenOptions{})
		small := size < 1000
		for _, c := range []struct {
			method, accept string
			status         int
			coding, code   string
		}{
			{"GET", "", 200, "", ""},
			{"GET", "gzip", 200, map[bool]string{false: "gzip"}[small], ""},
			{"GET", "gzip;q=0.5, zstd", 200, map[bool]string{false: "zstd"}[small], ""},
			{"GET", "gzip, identity;q=0", 200, "gzip", ""},
			{"GET", "br", 200, map[bool]string{false: "br"}[small], ""},
			{"GET", "br, *;q=0", 200, "br", ""},
			{"GET", "gzip, br, zstd", 200, map[bool]string{false: "zstd"}[small], ""},
			{"GET", "compress, *;q=0", 406, "", "not-acceptable"},
			{"GET", "gzip;q=7", 400, "", "header-malformed"},
			{"HEAD", "gzip", 200, "", ""},
		} {
			r := w.do(c.method, token, "/Location/a1", "Accept-Encoding", c.accept)
			h := r.header
			if r.status != c.status || h.Get("Content-Encoding") != c.coding || r.code() != c.code || r.err != nil {
				t.Errorf("%s %d bytes, %q: %d in %q, %v: %s", c.method, size, c.accept, r.status, h.Get("Content-Encoding"), r.err, r.body)
				continue
			}
			if c.status == 200 && (h.Get("ETag") != `W/"3"` || h.Get("Vary") != "Accept-Encoding") {
				t.Errorf("ETag %s, Vary %s", h.Get("ETag"), h.Get("Vary"))
			}
			length := h.Get("Content-Length")
			if c.method == "HEAD" && length != "" || c.method == "GET" && c.coding == "" && length != fmt.Sprint(len(r.body)) {
				t.Errorf("%s %q: length %q of %d", c.method, c.accept, length, len(r.body))
			}
			if rec := w.record(r); rec.Code != c.code {
				t.Errorf("record %+v", rec)
			}
		}
	}
}

// tape is a client that notes what it has at each flush.
type tape struct {
	*httptest.ResponseRecorder
	flushes []int  // lengths
	wrote   func() // before each write
}

func (t *tape) Write(p []byte) (int, error) {
	t.wrote()
	return t.ResponseRecorder.Write(p)
}

func (t *tape) Flush() { t.flushes = append(t.flushes, t.Body.Len()) }

func (t *tape) SetWriteDeadline(time.Time) error { return nil }

func (t *tape) SetReadDeadline(time.Time) error { return nil }

// TestWindowsInACoding: no byte of a window leaves before its record, and none of it stays behind; the coding ends with
// the last one alone.
func TestWindowsInACoding(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := range 200 {
		fmt.Fprintf(&body, `%s{"resource":{"resourceType":"Location","id":"a%d","status":"active"}}`, map[bool]string{true: ","}[i > 0], i)
	}
	body.WriteString(`]}`)
	w := newWorld(t, withConfig(windowed), withEHR(says(body.String())))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	check(t, w.close())
	cfg, err := configs.Load(w.made.Config)
	check(t, err)
	g, err := gateway.New(gateway.Options{Config: cfg, Logger: zerolog.Nop()})
	check(t, err)
	var plain []int // where each window ends
	for _, coding := range []string{"", "gzip", "zstd", "br"} {
		r := httptest.NewRequest("GET", "/fhir/Location", nil)
		id := "windows-" + coding
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Request-Id", id)
		r.Header.Set("Accept-Encoding", coding)
		out := &tape{ResponseRecorder: httptest.NewRecorder()}
		out.wrote = func() {
			if n := len(w.records(id)); n != len(out.flushes)+1 {
				t.Errorf("%q: a write with %d records, after %d windows", coding, n, len(out.flushes))
			}
		}
		g.ServeHTTP(out, r)
		whole := out.Body.Bytes()
		got, err := outOf(coding, whole)
		if err != nil || len(out.flushes) < 3 || out.Header().Get("Content-Encoding") != coding {
			t.Fatalf("%q: %d %v after %d windows, %s", coding, out.Code, err, len(out.flushes), got)
		}
		var ends []int
		for _, n := range out.flushes {
			part, err := outOf(coding, whole[:n])
			if coding != "" && !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(got, part) {
				t.Errorf("%q: after %d bytes %v", coding, n, err)
			}
			ends = append(ends, len(part))
		}
		if ends = append(ends, len(got)); coding == "" {
			plain = ends
		} else if !slices.Equal(ends, plain) {
			t.Errorf("%q: windows end at %v, plain at %v", coding, ends, plain)
		}
	}
	w.ehr.Set(demo.FaultInvalidJSON, 12<<10)
	for _, coding := range []string{"gzip", "zstd", "br"} {
		r := httptest.NewRequest("GET", "/fhir/Location", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept-Encoding", coding)
		out := &tape{ResponseRecorder: httptest.NewRecorder(), wrote: func() {}}
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("not aborted: %v", p)
				}
			}()
			g.ServeHTTP(out, r)
		}()
		// No buffer of a server hides here what the gateway has written.
		if part, err := outOf(coding, out.Body.Bytes()); !errors.Is(err, io.ErrUnexpectedEOF) || len(part) == 0 {
			t.Errorf("%s: an aborted answer of %d bytes ends with %v", coding, len(part), err)
		}
	}
	check(t, g.Close())
	w.verify()
}

// TestACutIsSeenInACoding: an answer that breaks after its first window ends in the middle of its framing, and of its coding.
func TestACutIsSeenInACoding(t *testing.T) {
	for name, speak := range protocols {
		w := newWorld(t, withConfig(windowed))
		speak(w)
		w.untouched()
		token := w.token("demo-scheduling", demo.TokenOptions{})
		for _, coding := range []string{"gzip", "zstd", "br"} {
			for _, after := range []int{30 << 10, 60 << 10, 61 << 10} {
				w.ehr.Set(demo.FaultCut, after)
				r := w.get(token, "/Appointment?_count=1000", "Accept-Encoding", coding)
				if r.err == nil || r.status != 200 || r.header.Get("Content-Encoding") != coding {
					t.Errorf("%s, %s: %d, %v, in %q", name, coding, r.status, r.err, r.header.Get("Content-Encoding"))
				}
				if part, err := outOf(coding, r.body); err == nil || len(part) == 0 {
					t.Errorf("%s, %s: %d bytes of a neat coding", name, coding, len(part))
				}
				all := w.records(r.header.Get("X-Request-Id"))
				if last := all[len(all)-1]; last.Kind != accesslog.KindClose || last.Code != "ehr-cut" || last.Detail != "aborted" {
					t.Errorf("record %+v", last)
				}
			}
		}
		w.ehr.Set(demo.FaultNone, 0)
		if r := w.get(token, "/Appointment?_count=1000", "Accept-Encoding", "zstd"); r.err != nil {
			t.Error(r.err)
		} else if _, err := outOf("zstd", r.body); err != nil {
			t.Errorf("after the cuts: %v", err)
		}
		w.verify()
	}
}
