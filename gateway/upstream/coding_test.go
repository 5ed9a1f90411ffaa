package upstream_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// encoder writes a coding, and can let what it has go before it ends.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// codings are what servers send, by what they call it.
var codings = []struct {
	name, header string
	encoder      func(io.Writer) encoder
	sum          bool // it has a checksum
}{
	{"gzip", "gzip", func(w io.Writer) encoder { return gzip.NewWriter(w) }, true},
	{"x-gzip", "X-GZip", func(w io.Writer) encoder { return gzip.NewWriter(w) }, true},
	{"gzip, fast", "gzip", func(w io.Writer) encoder { e, _ := gzip.NewWriterLevel(w, 1); return e }, true},
	{"gzip, stored", "gzip", func(w io.Writer) encoder { e, _ := gzip.NewWriterLevel(w, 0); return e }, true},
	{"deflate", "deflate", func(w io.Writer) encoder { return zlib.NewWriter(w) }, true},
	{"deflate, bare", "deflate", func(w io.Writer) encoder { e, _ := flate.NewWriter(w, 6); return e }, false},
	{"deflate, bare and stored", "deflate", func(w io.Writer) encoder { e, _ := flate.NewWriter(w, 0); return e }, false},
	{"br", "br", func(w io.Writer) encoder { return brotli.NewWriterLevel(w, 4) }, false},
	{"br, largest window", "br", func(w io.Writer) encoder {
		return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 4, LGWin: 23})
	}, false},
	{"zstd", "zstd", func(w io.Writer) encoder {
		e, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		return e
	}, true},
	{"zstd, largest window", "identity,, ZSTD", func(w io.Writer) encoder {
		e, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
		return e
	}, true},
}

const zstandard = 9 // of codings

func encode(t testing.TB, make func(io.Writer) encoder, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	e := make(&out)
	if _, err := e.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bundle is a body of about so many bytes, like FHIR and unlike itself.
func bundle(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := []byte(`{"resourceType":"Bundle","entry":[{}`)
	for len(out) < size {
		out = fmt.Appendf(out, `,{"resource":{"resourceType":"Observation","id":"%x","status":"final","valueQuantity":{"value":%d.%d}}}`,
			r.Uint64(), r.IntN(1000), r.IntN(1000))
	}
	return append(out, "]}"...)
}

// noise does not compress.
func noise(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(out)
	return out
}

func coded(header string, body []byte) string {
	return answer("200 OK", "Content-Type: application/fhir+json\r\nContent-Encoding: "+header+"\r\n", string(body))
}

// Whatever the coding, its framing and the reads, the body is the same.
func TestCodings(t *testing.T) {
	bodies := map[string][]byte{"a resource": []byte(resource), "a Bundle": bundle(300 << 10), "noise": noise(3 << 20), "nothing": {}}
	for _, c := range codings {
		for name, body := range bodies {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				sent := encode(t, c.encoder, body)
				s := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if got := r.Header.Get("Accept-Encoding"); got != "zstd, identity" {
						t.Errorf("asked for %q", got)
					}
					w.Header().Set("Content-Type", "application/fhir+json")
					w.Header().Set("Content-Encoding", c.header)
					for len(sent) > 0 && r.URL.Path == "/Patient/chunked" {
						n := min(len(sent), 1000)
						_, _ = w.Write(sent[:n])
						_ = http.NewResponseController(w).Flush()
						sent = sent[n:]
					}
					_, _ = w.Write(sent)
				})
				e := ehr(t, s.URL, nil)
				for _, path := range []string{"Patient/1", "Patient/1", "Patient/chunked"} {
					resp, err := e.Do(t.Context(), upstream.Call{Method: "GET", Path: path})
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(resp.Body)
					if err != nil || !bytes.Equal(got, body) {
						t.Fatalf("%s: %d bytes of %d, %v", path, len(got), len(body), err)
					}
					_ = resp.Body.Close()
				}
				if len(body) > 300<<10 {
					return
				}
				sent = encode(t, c.encoder, body)
				for _, r := range []io.Reader{
					iotest.OneByteReader(e.Decode(head(c.header), bytes.NewReader(sent))),
					e.Decode(head(c.header), iotest.OneByteReader(bytes.NewReader(sent))),
					e.Decode(head(c.header), iotest.DataErrReader(bytes.NewReader(sent))),
				} {
					if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
						t.Fatalf("byte by byte: %d bytes of %d, %v", len(got), len(body), err)
					}
				}
			})
		}
	}
}

// head is the coding that a header of the table names.
func head(header string) string {
	name := strings.ToLower(header[strings.LastIndexByte(header, ' ')+1:])
	return strings.TrimPrefix(name, "x-")
}

// Several members of gzip, and frames of zstd, are one body.
func TestJoinedCodings(t *testing.T) {
	for _, c := range codings {
		if head(c.header) != "gzip" && head(c.header) != "zstd" {
			continue
		}
		sent := joined(encode(t, c.encoder, []byte(resource[:9])), encode(t, c.encoder, nil), encode(t, c.encoder, []byte(resource[9:])))
		got, err := fetch(t.Context(), ehr(t, says(t, coded(c.header, sent)), nil))
		if err != nil || got != resource {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	skipped := "\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
	got, err := fetch(t.Context(), ehr(t, says(t, coded("zstd", joined([]byte(skipped), encode(t, codings[zstandard].encoder, []byte(resource)), []byte(skipped)))), nil))
	if err != nil || got != resource {
		t.Errorf("skippable frames: %q, %v", got, err)
	}
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// What names more than one coding, or one that is not known, is refused before a byte of it is read.
func TestCodingsThatAreRefused(t *testing.T) {
	for _, header := range []string{"compress", "x-compress", "snappy", "gzip, gzip", "gzip, br", "br,zstd", "dcb", "aes128gcm",
		"gzip;q=1", "gzip\r\nContent-Encoding: gzip", "gzip\r\nContent-Encoding: " + marker, "*"} {
		_, err := fetch(t.Context(), ehr(t, says(t, coded(header, encode(t, codings[0].encoder, []byte(resource)))), nil))
		fails(t, err, upstream.Encoding, "the answer has a content coding that is not decoded")
	}
}

// Whatever is wrong with a coding is an error of a read, and not one that quotes it.
func TestBadCodings(t *testing.T) {
	const early, corrupt, behind = "the answer's coding ended early", "the answer's coding is corrupt", "there is data behind the answer's coding"
	text := []byte(resource + marker)
	for _, c := range codings {
		whole := encode(t, c.encoder, text)
		other := map[bool]string{true: corrupt, false: behind}[head(c.header) != "deflate"]
		type fault struct {
			name   string
			sent   []byte
			kind   upstream.Kind
			reason string
		}
		faults := []fault{
			{"nothing", nil, upstream.Cut, early},
			{"not coded", text, upstream.Malformed, corrupt},
			{"text behind", append(whole[:len(whole):len(whole)], marker+marker...), upstream.Malformed, other},
			{"zeros behind", append(whole[:len(whole):len(whole)], make([]byte, 512)...), upstream.Malformed, other},
		}
		if c.sum {
			last := bytes.Clone(whole)
			last[len(last)-1] ^= 1
			faults = append(faults, fault{"checksum", last, upstream.Malformed, corrupt})
		}
		for _, f := range faults {
			t.Run(c.name+"/"+f.name, func(t *testing.T) {
				_, err := fetch(t.Context(), ehr(t, says(t, coded(c.header, f.sent)), nil))
				fails(t, err, f.kind, f.reason)
			})
		}
		t.Run(c.name+"/framing", func(t *testing.T) {
			chunks := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n",
				c.header, len(whole), whole)
			_, err := fetch(t.Context(), ehr(t, says(t, chunks), nil))
			fails(t, err, upstream.Cut, "the answer ended early")
			got, err := fetch(t.Context(), ehr(t, says(t, chunks+"0\r\n\r\n"), nil))
			if got != string(text) || err != nil {
				t.Errorf("with its end: %q, %v", got, err)
			}
		})
		// A bit anywhere: no other body for the right one, where there is a checksum; and no panic.
		e := ehr(t, "http://127.0.0.1", nil)
		for i := range whole {
			for bit := range 8 {
				bad := bytes.Clone(whole)
				bad[i] ^= 1 << bit
				got, err := io.ReadAll(e.Decode(head(c.header), bytes.NewReader(bad)))
				// In zstd's header the bit that says that there is a checksum has none.
				if c.sum && err == nil && !bytes.Equal(got, text) && !(head(c.header) == "zstd" && i == 4) {
					t.Errorf("%s: byte %d bit %d changed the body to %q", c.name, i, bit, got)
				}
			}
		}
	}
}

// A coding that ends at any byte before its last, in a framing that is whole, is not a whole answer.
func TestEveryTruncationOfACoding(t *testing.T) {
	for _, c := range codings {
		t.Run(c.name, func(t *testing.T) {
			whole := encode(t, c.encoder, []byte(resource))
			var size atomic.Int64
			e := ehr(t, raw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, coded(c.header, whole[:size.Load()])) }), nil)
			for n := range whole {
				size.Store(int64(n))
				_, err := fetch(t.Context(), e)
				fails(t, err, upstream.Cut, "the answer's coding ended early")
			}
			long := encode(t, c.encoder, bundle(100<<10))
			for n := 0; n < len(long); n += 1 + n/97 {
				if _, err := io.ReadAll(e.Decode(head(c.header), bytes.NewReader(long[:n]))); err == nil {
					t.Fatalf("cut after %d of %d bytes: no error", n, len(long))
				}
			}
		})
	}
}

// A bomb is refused after little of it, in little memory.
func TestBombs(t *testing.T) {
	for _, c := range codings {
		if strings.Contains(c.name, "stored") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			var file bytes.Buffer
			bomb := c.encoder(&file)
			chunk := bytes.Repeat([]byte{' '}, 1<<20)
			for range 24 {
				_, _ = bomb.Write(chunk)
			}
			_ = bomb.Close()
			base := says(t, coded(c.header, file.Bytes()))
			for _, limit := range []struct {
				name   string
				change func(*upstream.Options)
				most   int
				reason string
			}{
				{"default", nil, 16 << 20, "the answer's coding expands beyond its bound"},
				{"body", func(o *upstream.Options) { o.MaxBody = 1000 }, 1000, "the answer is longer than its bound"},
				{"strict", func(o *upstream.Options) { o.MaxExpansion = 10 }, 4 << 20, "the answer's coding expands beyond its bound"},
			} {
				e := ehr(t, base, limit.change)
				resp, err := e.Do(t.Context(), patient)
				if err != nil {
					t.Fatal(err)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				buf, read := make([]byte, 64<<10), 0
				for err == nil {
					var n int
					n, err = resp.Body.Read(buf)
					read += n
				}
				runtime.ReadMemStats(&after)
				fails(t, err, upstream.TooLarge, limit.reason)
				if read > limit.most {
					t.Errorf("%s: %d bytes of the bomb were handed on", limit.name, read)
				}
				if grown := after.TotalAlloc - before.TotalAlloc; grown > 24<<20 {
					t.Errorf("%s: %d bytes allocated", limit.name, grown)
				}
				if n, again := resp.Body.Read(buf); n != 0 || again != err {
					t.Errorf("a refused body reads %d, %v", n, again)
				}
				_ = resp.Body.Close()
			}
		})
	}
}

// A window that a decoder would have to hold is refused before it is made.
func TestWindowsAreBounded(t *testing.T) {
	huge := encode(t, func(w io.Writer) encoder {
		e, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<20))
		return e
	}, noise(2<<20))
	for name, c := range map[string]struct {
		header string
		sent   []byte
	}{
		"zstd":                   {"zstd", huge},
		"zstd, just above":       {"zstd", []byte("\x28\xb5\x2f\xfd\x00\x69\x01\x00\x00")},
		"zstd, a single segment": {"zstd", []byte("\x28\xb5\x2f\xfd\xa0\xff\xff\xff\x7f\x01\x00\x00")},
		"br":                     {"br", encode(t, func(w io.Writer) encoder { return brotli.NewWriterOptions(w, brotli.WriterOptions{LGWin: 24}) }, []byte(resource))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fetch(t.Context(), ehr(t, says(t, coded(c.header, c.sent)), nil))
			fails(t, err, upstream.TooLarge, "the answer's coding needs more memory than it is given")
		})
	}
	_, err := fetch(t.Context(), ehr(t, says(t, coded("br", []byte("\x11\x03\x00"))), nil)) // a window beyond RFC 7932
	fails(t, err, upstream.Malformed, "the answer's coding is corrupt")
}

// A coding that goes on and holds nothing ends the call.
func TestEndlessNothing(t *testing.T) {
	for name, c := range map[string]struct{ header, part string }{
		"gzip":           {"gzip", string(encode(t, codings[0].encoder, nil))},
		"zstd":           {"zstd", string(encode(t, codings[zstandard].encoder, nil)) + "\x50\x2a\x4d\x18\x00\x00\x00\x00"},
		"zstd, skipping": {"zstd", "\x50\x2a\x4d\x18\xff\xff\xff\x7f" + strings.Repeat("x", 1<<16)},
		"deflate":        {"deflate", "\x00\x00\x00\xff\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			base := raw(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: "+c.header+"\r\n\r\n")
				for many := []byte(strings.Repeat(c.part, 1000)); ; {
					if _, err := conn.Write(many); err != nil {
						return
					}
				}
			})
			_, err := fetch(t.Context(), ehr(t, base, nil))
			fails(t, err, upstream.Malformed, "the answer's coding is longer than what it holds")
		})
	}
}

// What the EHR has let go of arrives before the rest does; and a rest that does not come has its time.
func TestCodedBodiesComeAsTheyAreSent(t *testing.T) {
	for _, c := range codings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits for its time to run out
			more, hang := make(chan struct{}), until(t)
			base := raw(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: "+c.header+"\r\nContent-Length: 1000000\r\n\r\n")
				out := c.encoder(conn)
				for range 3 {
					_, _ = io.WriteString(out, resource)
					_ = out.Flush()
					select {
					case <-more:
					case <-hang:
						return
					}
				}
				<-hang
			})
			resp, err := ehr(t, base, func(o *upstream.Options) { o.IdleTimeout = 10 * short }).Do(t.Context(), patient)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			buf := make([]byte, len(resource))
			for i := range 3 {
				if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != resource {
					t.Fatalf("part %d: %q, %v", i, buf, err)
				}
				more <- struct{}{}
			}
			_, err = resp.Body.Read(buf)
			fails(t, err, upstream.Timeout, "body stalled")
		})
	}
}

// A HEAD has the header of a body, and none.
func TestHeadOfACoding(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", "1000")
	})
	resp, err := ehr(t, s.URL, nil).Do(t.Context(), upstream.Call{Method: "HEAD", Path: "Patient/1"})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 0 {
		t.Error(body, err)
	}
	_ = resp.Body.Close()
}

// An error's body is out of its coding as well.
func TestCodedErrors(t *testing.T) {
	const outcome = `{"resourceType":"OperationOutcome"}`
	sent := answer("404 Not Found", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", string(encode(t, codings[0].encoder, []byte(outcome))))
	if got, err := fetch(t.Context(), ehr(t, says(t, sent), nil)); err != nil || got != outcome {
		t.Errorf("%q, %v", got, err)
	}
}

// Decoders go from body to body, whole, broken, closed half read or while they are read; none remembers another's.
func TestDecodersAreUsedAgain(t *testing.T) {
	large := bundle(200 << 10)
	s, connections := counted(t, func(w http.ResponseWriter, r *http.Request) {
		var i, mode int
		_, _ = fmt.Sscanf(r.URL.Path, "/Patient/%d-%d", &i, &mode)
		body := large
		if mode == 3 {
			body = []byte(resource)
		}
		sent := encode(t, codings[i].encoder, body)
		switch mode {
		case 1:
			sent = sent[:len(sent)/2]
		case 2:
			sent[len(sent)/3] ^= 0x55
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", codings[i].header)
		_, _ = w.Write(sent)
	})
	e := ehr(t, s.URL, nil)
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 30 {
				i, mode := r.IntN(len(codings)), r.IntN(5)
				resp, err := e.Do(t.Context(), upstream.Call{Method: "GET", Path: fmt.Sprintf("Patient/%d-%d", i, mode)})
				if err != nil {
					t.Error(err)
					return
				}
				if mode == 4 {
					_, _ = io.ReadFull(resp.Body, make([]byte, 1000))
					if r.IntN(2) == 0 {
						wait.Go(func() { _, _ = io.Copy(io.Discard, resp.Body) })
					}
				} else if got, err := io.ReadAll(resp.Body); mode == 0 && (err != nil || !bytes.Equal(got, large)) || mode == 1 && err == nil ||
					mode == 3 && (err != nil || string(got) != resource) {
					t.Errorf("%s, case %d: %d bytes, %v", codings[i].name, mode, len(got), err)
				}
				_ = resp.Body.Close()
			}
		})
	}
	wait.Wait()
	t.Log(connections.Load(), "connections")
}

// A decoder leaves no goroutine, which a bubble would wait for.
func TestDecodersHaveNoGoroutine(t *testing.T) {
	for _, c := range codings {
		sent := encode(t, c.encoder, bundle(200<<10))
		synctest.Test(t, func(t *testing.T) {
			e, err := upstream.New(upstream.Options{Name: "main", BaseURL: "http://localhost", TotalTimeout: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			b := e.Decode(head(c.header), bytes.NewReader(sent))
			if _, err := io.ReadFull(b, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // and it is not closed
		})
	}
}

// A long coded body takes no more memory than a short one, and the next one hardly any.
func TestMemoryOfCodings(t *testing.T) {
	body := bundle(3 << 20)
	for _, c := range codings {
		t.Run(c.name, func(t *testing.T) {
			sent := encode(t, c.encoder, body)
			e := ehr(t, "http://127.0.0.1", nil)
			var before, after runtime.MemStats
			buf := make([]byte, 64<<10)
			for round := range 2 {
				runtime.ReadMemStats(&before)
				b := e.Decode(head(c.header), bytes.NewReader(sent))
				if n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{b}, buf); err != nil || n != int64(len(body)) {
					t.Fatal(n, err)
				}
				_ = b.Close()
				runtime.ReadMemStats(&after)
				t.Logf("round %d: %d KiB allocated in %d pieces", round, (after.TotalAlloc-before.TotalAlloc)>>10, after.Mallocs-before.Mallocs)
				if grown := after.TotalAlloc - before.TotalAlloc; grown > 20<<20 {
					t.Errorf("%d bytes allocated", grown)
				}
			}
		})
	}
}
