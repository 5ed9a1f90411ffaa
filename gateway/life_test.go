package gateway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestFailedStart gives Run listeners and a configuration that cannot be served: it lets go
// of both, of the log and of the vault.
func TestFailedStart(t *testing.T) {
	w := newWorld(t)
	check(t, w.close())
	good := func() (*configs.Config, error) { return configs.Load(w.made.Config) }
	broken := func() (*configs.Config, error) {
		cfg, err := good()
		if err == nil {
			cfg.Vault.Keyset = cfg.AccessLog.PatientKey
		}
		return cfg, err
	}
	for name, load := range map[string]func() (*configs.Config, error){
		"configuration": func() (*configs.Config, error) { return nil, errors.New("broken") },
		"keyset":        broken,
	} {
		front, back := listen(t), listen(t)
		err := gateway.Run(t.Context(), gateway.RunOptions{Load: load, Logger: zerolog.Nop(), Listener: front, Admin: back})
		if err == nil {
			t.Fatalf("%s: it ran", name)
		}
		for _, l := range []net.Listener{front, back} {
			again, err := net.Listen("tcp", l.Addr().String())
			if err != nil {
				t.Errorf("%s: a listener stays open: %v", name, err)
				continue
			}
			again.Close()
		}
		cfg, err := good()
		check(t, err)
		g, err := gateway.New(gateway.Options{Config: cfg, Logger: zerolog.Nop()})
		if err != nil {
			t.Fatalf("%s: log or vault stays taken: %v", name, err)
		}
		check(t, g.Close())
	}
}

// bomb is a writer that breaks like a bug of ours.
type bomb struct {
	*httptest.ResponseRecorder
	header, body bool
}

func (b *bomb) WriteHeader(status int) {
	if b.header {
		b.header = false
		panic("a bug with a patient's name in it")
	}
	b.ResponseRecorder.WriteHeader(status)
}

func (b *bomb) Write(p []byte) (int, error) {
	if b.body {
		panic([]string{"not even comparable"})
	}
	return b.ResponseRecorder.Write(p)
}

func (b *bomb) SetWriteDeadline(time.Time) error { return nil }

func (b *bomb) SetReadDeadline(time.Time) error { return nil }

// TestPanic has the gateway panic while it serves: after a window was released the stream is
// aborted, and its closing record says why; nothing of the panic's text is told.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-access", demo.TokenOptions{})
	check(t, w.close())
	cfg, err := configs.Load(w.made.Config)
	check(t, err)
	var operator lockedBuffer
	g, err := gateway.New(gateway.Options{Config: cfg, Logger: zerolog.New(&operator)})
	check(t, err)
	call := func(b *bomb, id, path, token string) (aborted any) {
		defer func() { aborted = recover() }()
		r := httptest.NewRequest("GET", "/fhir"+path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Request-Id", id)
		b.ResponseRecorder = httptest.NewRecorder()
		g.ServeHTTP(b, r)
		return nil
	}
	if p := call(&bomb{body: true}, "in-body", "/Practitioner", token); p != http.ErrAbortHandler {
		t.Errorf("after a release: %v", p)
	}
	if p := call(&bomb{header: true}, "in-header", "/Practitioner", token); p != http.ErrAbortHandler {
		t.Errorf("after a record: %v", p)
	}
	b := &bomb{header: true}
	if p := call(b, "in-refusal", "/Practitioner", ""); p != nil || b.Code != 500 {
		t.Errorf("in a refusal: %v, %d", p, b.Code)
	}
	if p := call(&bomb{}, "after", "/Practitioner", token); p != nil {
		t.Errorf("after all that: %v", p)
	}
	check(t, g.Close())
	for id, want := range map[string][]string{
		"in-body":    {"access ", "close internal"},
		"in-header":  {"access ", "close internal"},
		"in-refusal": {"refusal header-malformed", "refusal internal"},
		"after":      {"access "},
	} {
		var got []string
		for _, r := range w.records(id) {
			got = append(got, string(r.Kind)+" "+r.Code)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: records %q, want %q", id, got, want)
		}
	}
	if strings.Contains(operator.String(), "patient") || strings.Contains(operator.String(), token[:40]) {
		t.Errorf("the operator's log: %s", operator.String())
	}
	w.verify()
}

// TestReloadUnderTraffic reloads policy, keys and the folder of long ids while calls of all
// kinds run: each is served whole by one generation or refused, all are recorded, and what a
// generation held is let go of.
func TestReloadUnderTraffic(t *testing.T) {
	long := strings.Repeat("long-id.", 7)
	w := newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		_, _ = fmt.Fprintf(rw, `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Location","id":"%s","status":"active"}}]}`, long)
	})))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.get(token, "/Location")
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	before := openFiles(t)

	stop := make(chan struct{})
	var callers sync.WaitGroup
	var served atomic.Int64
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := w.get(token, "/Location")
				if r.err != nil || r.status != 200 || len(r.json().Get("entry").Array()) != 1 {
					t.Errorf("%d %v %.300s", r.status, r.err, r.body)
					return
				}
				served.Add(1)
			}
		})
	}
	for i := range 12 {
		dirs := [2]string{"dir: vault\n", "dir: vault-b\n"}
		w.edit("halfdoor.yaml", func(y string) string { return strings.Replace(y, dirs[i%2], dirs[(i+1)%2], 1) })
		if status, body := w.ask("POST", "/reload", string(admin)); status != 200 && !strings.Contains(body, "in use") {
			t.Errorf("reload: %d %s", status, body)
		}
		at := served.Load()
		w.until("calls after a reload", func() bool { return served.Load() > at+8 || t.Failed() })
	}
	close(stop)
	callers.Wait()
	w.client.CloseIdleConnections()
	// The generation that serves keeps a connection to the EHR for each of the eight callers at
	// most, of two descriptors here; what the twelve before it had is let go of.
	w.until("files let go of", func() bool { return openFiles(t) <= before+2*8+2 })
	check(t, w.close())
	n := int64(0)
	for _, r := range w.records("") {
		if r.Kind == accesslog.KindAccess {
			n++
		}
	}
	if want := served.Load() + 1; n != want {
		t.Errorf("%d calls served, %d recorded", want, n)
	}
	w.verify()
}

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Log("descriptors are not counted on a system without /proc")
		return 0
	}
	return len(all)
}

// TestReloadsDoNotOvertake asks for two reloads at once: the configuration that was read last
// is the one that serves.
func TestReloadsDoNotOvertake(t *testing.T) {
	w := newWorld(t)
	check(t, w.close())
	var loads atomic.Int32
	first, second := make(chan struct{}), make(chan struct{})
	var overtaken atomic.Bool
	ready := make(chan gateway.Addresses, 1)
	ctx, stop := context.WithCancel(t.Context())
	reload := make(chan os.Signal)
	ran := make(chan error, 1)
	go func() {
		ran <- gateway.Run(ctx, gateway.RunOptions{
			Logger: zerolog.Nop(), Listener: listen(t), Admin: listen(t), Reload: reload, Ready: func(a gateway.Addresses) { ready <- a },
			Load: func() (*configs.Config, error) {
				switch loads.Add(1) {
				case 2:
					close(first)
					select {
					case <-second:
						overtaken.Store(true)
					case <-time.After(300 * time.Millisecond):
					}
				case 3:
					close(second)
				}
				return configs.Load(w.made.Config)
			},
		})
	}()
	at := <-ready
	reload <- syscall.SIGHUP
	<-first
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	w.admin = "http://" + at.Admin.String()
	if status, body := w.ask("POST", "/reload", string(admin)); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if overtaken.Load() {
		t.Error("a reload read its configuration while another, which went live later, had read its own")
	}
	stop()
	check(t, <-ran)
}

// TestCutByShutdown ends the gateway while a body is leaving that will not end in time: the
// call is cut, and its closing record is in the log that Run leaves.
func TestCutByShutdown(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withConfig(func(y string) string { return y + "limits: {window: 4KiB}\nshutdown_timeout: 100ms\n" }))
			speak(w)
			w.ehr.Set(demo.FaultStallBody, 60<<10)
			resp := w.open("/Appointment?_count=1000", "cut")
			check(t, w.close())
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("a neat end")
			}
			recs := w.records("cut")
			if last := recs[len(recs)-1]; last.Kind != accesslog.KindClose || last.Detail != "aborted" {
				t.Errorf("the last record is %+v", last)
			}
			w.verify()
		})
	}
}

// TestStalledClient takes the beginning of a body and then nothing: it is cut when its time is
// over, and holds nothing after that.
func TestStalledClient(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			var w *world
			w = newWorld(t, withEHR(endlessly(&w)), withConfig(func(y string) string { return y + "limits: {write_timeout: 200ms}\n" }))
			speak(w)
			resp := w.open("/Location", "stalled")
			w.until("a closing record", func() bool {
				recs := w.records("stalled")
				last := recs[len(recs)-1]
				return last.Kind == accesslog.KindClose && last.Detail == "aborted" && last.Code == "client-gone"
			})
			w.until("no call in flight", func() bool {
				_, metrics := w.ask("GET", "/metrics", "")
				return strings.Contains(metrics, "\nhalfdoor_calls_in_flight 0\n")
			})
			resp.Body.Close()
		})
	}
}

// open begins a call as the scheduling desk, and leaves its body unread.
func (w *world) open(path, id string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequest("GET", w.fhir+path, nil)
	check(w.t, err)
	req.Header.Set("Authorization", "Bearer "+w.token("demo-scheduling", demo.TokenOptions{}))
	req.Header.Set("X-Request-Id", id)
	resp, err := w.client.Do(req)
	check(w.t, err)
	w.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestManyConnections opens more connections than are taken, which say part of a header: those that have been quiet for
// longest make room, and a call is served all the same.
func TestManyConnections(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withConfig(func(y string) string { return y + "limits: {concurrent_requests: 1}\n" }))
			speak(w)
			token := w.token("demo-access", demo.TokenOptions{})
			w.get(token, "/Practitioner?_count=1") // keys are there
			w.client.CloseIdleConnections()
			address := strings.TrimSuffix(strings.TrimPrefix(w.fhir, "https://"), "/fhir")
			before := openFiles(t)
			var slow []net.Conn
			for range 64 {
				c, err := net.Dial("tcp", address)
				check(t, err)
				defer c.Close()
				slow = append(slow, c)
				secure := tls.Client(c, w.client.Transport.(*http.Transport).TLSClientConfig.Clone())
				go func() { _, _ = io.WriteString(secure, "GET /fhir/Practitioner HTTP/1.1\r\nHost: x\r\n") }() // until it is closed
			}
			if n := openFiles(t) - before; n > 64+8 {
				t.Errorf("%d descriptors for 64 connections at both ends, of which 4 may be taken", n)
			}
			for range 3 {
				if r := w.get(token, "/Practitioner?_count=1"); r.status != 200 {
					t.Errorf("%d %v", r.status, r.err)
				}
			}
			if _, metrics := w.ask("GET", "/metrics", ""); !regexp.MustCompile(`(?m)^halfdoor_connections_dropped_total [1-9]`).MatchString(metrics) {
				t.Error("the metrics do not say so")
			}
			for _, c := range slow { // or the gateway grants them some seconds for a first call
				c.Close()
			}
			check(t, w.close())
			w.verify()
		})
	}
}

// TestBusyConnectionsStay has as many connections as are taken in the midst of a call: another waits until one of them
// has ended its call, which has to go then, and none is cut before.
func TestBusyConnectionsStay(t *testing.T) {
	l := listen(t)
	taken, state := gateway.NewBounded(l, 1)
	defer taken.Close()
	pair := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", l.Addr().String())
		check(t, err)
		t.Cleanup(func() { client.Close() })
		server, err = taken.Accept()
		check(t, err)
		return client, server
	}
	first, served := pair()
	state(served, http.StateActive)
	second := make(chan net.Conn)
	go func() {
		_, server := pair()
		second <- server
	}()
	_, err := io.WriteString(served, "answer")
	check(t, err)
	answer := make([]byte, 6)
	_, err = io.ReadFull(first, answer) // whoever waits has not cut it
	check(t, err)
	check(t, served.Close())
	server := <-second
	state(tls.Server(server, nil), http.StateIdle)
	third, _ := net.Dial("tcp", l.Addr().String())
	defer third.Close()
	_, err = taken.Accept() // in place of the second, which is quiet
	check(t, err)
	if _, err := server.Write([]byte("x")); err == nil {
		t.Error("the quiet connection is there")
	}
}
