package gateway_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	w.until("files let go of", func() bool { return openFiles(t) <= before+4 })
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
		t.Skip("no /proc")
	}
	return len(all)
}
