package gateway_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// gate is an EHR that answers when it is let to.
type gate struct {
	w    *world
	came chan struct{}
	open chan struct{}
	once sync.Once
}

func newGate() *gate { return &gate{came: make(chan struct{}, 64), open: make(chan struct{})} }

func (g *gate) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	g.came <- struct{}{}
	select {
	case <-g.open:
		g.w.sandbox.ServeHTTP(rw, r)
	case <-r.Context().Done():
	}
}

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

// crowd is a world of few seats behind a gate.
func crowd(t *testing.T, limits string, settings ...setting) (*world, *gate) {
	g := newGate()
	w := newWorld(t, append([]setting{withEHR(g), limited(limits)}, settings...)...)
	g.w = w
	t.Cleanup(g.release)
	return w, g
}

func (w *world) shed(r reply, status int, code string) {
	w.t.Helper()
	if r.status != status || r.code() != code || r.header.Get("Retry-After") == "" {
		w.t.Fatalf("%d %s, Retry-After %q; want %d %s", r.status, r.code(), r.header.Get("Retry-After"), status, code)
	}
	if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != status || rec.Code != code || len(rec.Subjects) != 0 {
		w.t.Errorf("record %+v", rec)
	}
}

// TestQueue has one seat and room for one that waits: of two more calls one is told at once that there is no room, and
// the other is served when the first has ended.
func TestQueue(t *testing.T) {
	w, ehr := crowd(t, "concurrent_requests: 1, queue_time: 10s")
	token := w.token("demo-scheduling", demo.TokenOptions{})
	first, others := make(chan reply, 1), make(chan reply, 2)
	call := func(to chan reply) { to <- w.get(token, "/Appointment?_count=1") }
	go call(first)
	<-ehr.came
	go call(others)
	go call(others)
	w.shed(<-others, 503, "overloaded")
	ehr.release()
	for _, r := range []reply{<-first, <-others} {
		if r.status != 200 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	w.verify()
}

// TestQueueTime has a call wait for no longer than it may, or not at all.
func TestQueueTime(t *testing.T) {
	for _, time := range []string{"0s", "20ms"} {
		t.Run(time, func(t *testing.T) {
			w, ehr := crowd(t, "concurrent_requests: 1, queue_time: "+time)
			token := w.token("demo-scheduling", demo.TokenOptions{})
			first := make(chan reply, 1)
			go func() { first <- w.get(token, "/Appointment?_count=1") }()
			<-ehr.came
			w.shed(w.get(token, "/Appointment?_count=1"), 503, "overloaded")
			ehr.release()
			if r := <-first; r.status != 200 {
				t.Errorf("%d %s", r.status, r.body)
			}
			if r := w.get(token, "/Appointment?_count=1"); r.status != 200 {
				t.Errorf("when there is room again: %d %s", r.status, r.body)
			}
		})
	}
}

// endlessly is an EHR whose locations do not end.
func endlessly(w **world) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "Location") {
			(*w).sandbox.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/fhir+json")
		_, err := io.WriteString(rw, `{"resourceType":"Bundle","type":"searchset","entry":[`)
		for i := 0; err == nil && r.Context().Err() == nil; i++ {
			_, err = fmt.Fprintf(rw, `%s{"resource":{"resourceType":"Location","id":"l%d","status":"active","name":"%s"}}`, ","[:min(1, i)], i, strings.Repeat("x", 1000))
		}
	}
}

// TestClientSeats has a client use up its own seats with answers that it does not read: it is told so, and others are
// served.
func TestClientSeats(t *testing.T) {
	for name, config := range map[string]string{
		"everybody's":   "limits: {client_concurrency: 2}\n",
		"the client's":  "limits: {client_concurrency: 1}\n",
		"without limit": "limits: {client_concurrency: 0}\n",
	} {
		for protocol, speak := range protocols {
			t.Run(name+" "+protocol, func(t *testing.T) {
				var w *world
				w = newWorld(t, withEHR(endlessly(&w)), withConfig(func(y string) string {
					if name == "the client's" {
						y = strings.Replace(y, "    trust_headers:", "    concurrency: 2\n    trust_headers:", 1)
					}
					return y + config
				}))
				speak(w)
				token := w.token("demo-scheduling", demo.TokenOptions{})
				w.open("/Location", "slow-1")
				second := w.open("/Location", "slow-2")
				r := w.get(token, "/Appointment?_count=1")
				if name == "without limit" {
					if r.status != 200 {
						t.Fatalf("%d %s", r.status, r.body)
					}
					return
				}
				w.shed(r, 429, "client-busy")
				if rec := w.record(r); rec.Actor.Client != "demo-scheduling" {
					t.Errorf("record %+v", rec)
				}
				if r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Practitioner?_count=1"); r.status != 200 {
					t.Errorf("another client: %d %s", r.status, r.body)
				}
				second.Body.Close()
				w.until("a seat to be free", func() bool { return w.get(token, "/Appointment?_count=1").status == 200 })
			})
		}
	}
}

// TestSlowReadersShareAConnection has the EHR speak HTTP/2, so that all calls share a connection to it: answers that are
// not read hold up neither another client's nor the same client's.
func TestSlowReadersShareAConnection(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			var w *world
			var connections, others atomic.Int64
			ehr := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 {
					others.Add(1)
				}
				endlessly(&w)(rw, r)
			}))
			ehr.EnableHTTP2 = true
			ehr.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			ehr.StartTLS()
			t.Cleanup(ehr.Close)
			ca := filepath.Join(t.TempDir(), "ehr.pem")
			check(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ehr.Certificate().Raw}), 0o600))
			w = newWorld(t, withConfig(func(y string) string {
				at := regexp.MustCompile(`base_url: "?([^"\n]*)"?`).FindStringSubmatch(y)
				return strings.Replace(y, at[0], "base_url: \""+ehr.URL+demo.BasePath+"\"\n    aliases: [\""+at[1]+"\"]\n    ca: \""+ca+"\"", 1)
			}))
			speak(w)
			var slow []*http.Response
			for n := range 8 {
				slow = append(slow, w.open("/Location", fmt.Sprint("slow-", n)))
			}
			for _, client := range []string{"demo-scheduling", "demo-access"} {
				if r := w.get(w.token(client, demo.TokenOptions{}), "/Practitioner?_count=1"); r.status != 200 {
					t.Errorf("%s: %d %s", client, r.status, r.body)
				}
			}
			if connections.Load() != 1 || others.Load() != 0 {
				t.Errorf("%d connections to the EHR, %d requests of another protocol", connections.Load(), others.Load())
			}
			for _, resp := range slow {
				resp.Body.Close()
			}
		})
	}
}

// TestMemoryShort has the process come near to its memory's limit: no further call begins until that is over.
func TestMemoryShort(t *testing.T) {
	var used atomic.Int64
	limit := int64(1000)
	w := newWorld(t, func(o *worldOptions) {
		o.run = func(r *gateway.RunOptions) { r.Memory = func() (int64, int64) { return used.Load(), limit } }
	})
	token := w.token("demo-scheduling", demo.TokenOptions{})
	if r := w.get(token, "/Appointment?_count=1"); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	used.Store(900)
	var r reply
	w.until("a refusal", func() bool { r = w.get(token, "/Appointment?_count=1"); return r.status != 200 })
	w.shed(r, 503, "overloaded")
	used.Store(700)
	w.until("calls to be served again", func() bool { return w.get(token, "/Appointment?_count=1").status == 200 })
	w.verify()
}

// TestMemoryEnds has memory near its end while calls are under way: one of which nothing has left is refused, one that
// has begun is cut, whether it is an EHR's answer that would be held or a client's body, and each record says why.
func TestMemoryEnds(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			var used atomic.Int64
			var w *world
			header, part := make(chan struct{}), make(chan struct{})
			ehr := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				pause, first := header, 0
				switch {
				case strings.Contains(r.URL.RawQuery, "_count=1000"):
					pause, first = part, 60<<10
				case !strings.Contains(r.URL.RawQuery, "_count=7"):
					w.sandbox.ServeHTTP(rw, r)
					return
				}
				whole := httptest.NewRecorder()
				w.sandbox.ServeHTTP(whole, r)
				body := whole.Body.Bytes()
				rw.Header().Set("Content-Type", "application/fhir+json")
				_, _ = rw.Write(body[:first])
				_ = http.NewResponseController(rw).Flush()
				<-pause
				_, _ = rw.Write(body[first:])
			})
			w = newWorld(t, withEHR(ehr), withNarrow(), func(o *worldOptions) {
				o.run = func(r *gateway.RunOptions) { r.Memory = func() (int64, int64) { return used.Load(), 1000 } }
			})
			speak(w)
			token := w.token("demo-scheduling", demo.TokenOptions{})
			well := func() {
				t.Helper()
				used.Store(100)
				w.until("calls to be served again", func() bool { return w.get(token, "/Appointment?_count=1").status == 200 })
			}
			dire := func() {
				t.Helper()
				used.Store(950)
				w.until("that to be seen", func() bool { return w.get(token, "/Appointment?_count=1").status == 503 })
			}
			well()

			done := make(chan reply, 1)
			asked := w.ehr.Requests()
			go func() { done <- w.get(token, "/Location?_count=7") }()
			w.until("the EHR to be asked", func() bool { return w.ehr.Requests() > asked })
			dire()
			close(header)
			w.shed(<-done, 503, "overloaded")
			well()

			resp := w.open("/Appointment?_count=1000", "cut")
			dire()
			close(part)
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("a neat end")
			}
			recs := w.records("cut")
			if last := recs[len(recs)-1]; last.Kind != accesslog.KindClose || last.Detail != "aborted" || last.Code != "overloaded" {
				t.Errorf("the last record is %+v", last)
			}
			well()

			body, writer := io.Pipe()
			go func() {
				done <- w.send("POST", token, "/Location/_search", body, "Content-Type", "application/x-www-form-urlencoded")
			}()
			_, err := io.WriteString(writer, "status=active")
			check(t, err)
			dire()
			go func() { _, _ = io.Copy(writer, endless{}) }() // until it is refused
			w.shed(<-done, 503, "overloaded")
			well()
			w.verify()
		})
	}
}

// TestMemoryInUse reads the process's own figures.
func TestMemoryInUse(t *testing.T) {
	t.Cleanup(func() { debug.SetMemoryLimit(math.MaxInt64) })
	debug.SetMemoryLimit(1 << 40)
	runtime.GC()
	used, limit := gateway.InUse()
	if used <= 0 || used > 1<<40 || limit != 1<<40 {
		t.Errorf("%d of %d bytes in use", used, limit)
	}
}
