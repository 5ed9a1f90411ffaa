package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// world is a whole gateway on loopback: real listeners, the sandbox EHR behind fault
// switches, the demo's authorization server, a real access log.
type world struct {
	t        *testing.T
	dir      string
	fhir     string // base URL
	admin    string
	sandbox  *demo.EHR
	ehr      *demo.Faulty
	ehrURL   string
	issuer   *demo.Issuer
	made     *gateway.Initialised
	client   *http.Client
	operator *lockedBuffer // the operator's log

	stop    context.CancelFunc
	running chan error
	reload  chan os.Signal
}

type setting func(*worldOptions)

type worldOptions struct {
	config func(yaml string) string // changes the configuration
	run    func(*gateway.RunOptions)
	ehr    http.Handler                    // instead of the sandbox, below its origin
	issuer func(http.Handler) http.Handler // around the authorization server
	bundle map[string]string               // rules of a policy folder
}

func withConfig(f func(string) string) setting { return func(o *worldOptions) { o.config = f } }

// withLog breaks or slows the log's disk.
func withLog(fs accesslog.FS) setting {
	return func(o *worldOptions) { o.run = func(r *gateway.RunOptions) { r.LogFS = fs } }
}

func withEHR(h http.Handler) setting { return func(o *worldOptions) { o.ehr = h } }

const appPatient = 0 // index of the sandbox's patient that demo-app was launched for

func newWorld(t *testing.T, settings ...setting) *world {
	t.Helper()
	var o worldOptions
	for _, s := range settings {
		s(&o)
	}
	w := &world{t: t, dir: t.TempDir(), operator: &lockedBuffer{}, running: make(chan error, 1), reload: make(chan os.Signal)}
	front, back := listen(t), listen(t)
	public := "https://" + front.Addr().String()
	w.fhir, w.admin = public+"/fhir", "http://"+back.Addr().String()

	w.sandbox = demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40})
	var behind http.Handler = w.sandbox
	if o.ehr != nil {
		behind = o.ehr
	}
	w.ehr = demo.NewFaulty(behind)
	ehr := httptest.NewServer(w.ehr)
	t.Cleanup(ehr.Close)
	t.Cleanup(w.ehr.Release)
	w.ehrURL = ehr.URL + demo.BasePath
	w.sandbox.SetBaseURL(w.ehrURL)

	clients, err := demo.DeskClients(rand.Reader, demo.AppOptions{
		RedirectURIs: []string{"http://127.0.0.1:1/callback"},
		Patient:      w.sandbox.IDs("Patient")[appPatient], FHIRUser: "Practitioner/" + w.sandbox.IDs("Practitioner")[0],
	})
	check(t, err)
	issuerL := listen(t)
	origin := "https://" + issuerL.Addr().String()
	w.issuer, err = demo.NewIssuer(demo.IssuerOptions{URL: origin, Audience: w.fhir, Clients: clients})
	check(t, err)
	w.made, err = gateway.Initialise(w.dir, gateway.Start{
		PublicURL: public, Listen: front.Addr().String(), AdminListen: back.Addr().String(),
		EHR: w.ehrURL, Issuer: origin, IssuerCA: filepath.Join("certs", "ca.pem"), Audience: w.fhir,
		Trusted: []string{"demo-scheduling"}, LogOrigin: "test.halfdoor.example/audit",
	}, time.Now)
	check(t, err)
	w.edit("halfdoor.yaml", func(y string) string { return y + "  segment_size: 1MiB\n" }) // a full one takes a second to lay out
	if o.bundle != nil {
		w.writeBundle(o.bundle)
	}
	if o.config != nil {
		w.edit("halfdoor.yaml", o.config)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(w.dir, "certs/server.pem"), filepath.Join(w.dir, "certs/server-key.pem"))
	check(t, err)
	var authorization http.Handler = w.issuer
	if o.issuer != nil {
		authorization = o.issuer(authorization)
	}
	issuer := httptest.NewUnstartedServer(authorization)
	issuer.Listener.Close()
	issuer.Listener, issuer.TLS = issuerL, &tls.Config{Certificates: []tls.Certificate{pair}}
	issuer.StartTLS()
	t.Cleanup(issuer.Close)

	roots, err := certs.Pool(w.made.CA)
	check(t, err)
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}, Timeout: 20 * time.Second}
	t.Cleanup(w.client.CloseIdleConnections)

	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	ready := make(chan gateway.Addresses, 1)
	run := gateway.RunOptions{
		Load:   func() (*configs.Config, error) { return configs.Load(w.made.Config) },
		Logger: zerolog.New(w.operator), Version: "test", Listener: front, Admin: back,
		Reload: w.reload, Ready: func(a gateway.Addresses) { ready <- a },
	}
	if o.run != nil {
		o.run(&run)
	}
	go func() { w.running <- gateway.Run(ctx, run) }()
	select {
	case <-ready:
	case err := <-w.running:
		t.Fatalf("the gateway did not start: %v", err)
	}
	t.Cleanup(func() { _ = w.close() }) // a test that cares closes by itself
	return w
}

// close drains the gateway, once, and returns what Run did.
func (w *world) close() error {
	w.client.CloseIdleConnections() // HTTP/2 grants a client a second to see that the server goes
	w.stop()
	err := <-w.running
	w.running <- err
	return err
}

// edit rewrites a file of the configuration.
func (w *world) edit(name string, change func(string) string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	text, err := os.ReadFile(path)
	check(w.t, err)
	check(w.t, os.WriteFile(path, []byte(change(string(text))), 0o600))
}

// token is a desk's, changed.
func (w *world) token(client string, o demo.TokenOptions) string {
	w.t.Helper()
	token, err := w.issuer.Token(client, o)
	check(w.t, err)
	return token
}

// reply is what a client saw.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // the body was cut
}

func (r reply) code() string { return gjson.GetBytes(r.body, "issue.0.details.coding.0.code").String() }

func (r reply) json() gjson.Result { return gjson.ParseBytes(r.body) }

// get calls the gateway below its FHIR base with a token; headers come in pairs.
func (w *world) get(token, path string, headers ...string) reply {
	w.t.Helper()
	return w.do(http.MethodGet, token, path, headers...)
}

func (w *world) do(method, token, path string, headers ...string) reply {
	w.t.Helper()
	return w.send(method, token, path, nil, headers...)
}

// send is a call with a body.
func (w *world) send(method, token, path string, body io.Reader, headers ...string) reply {
	w.t.Helper()
	address := w.fhir + path
	if strings.HasPrefix(path, "https://") {
		address = path
	}
	req, err := http.NewRequest(method, address, body)
	check(w.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: answer, err: err}
}

// records are those of one request id, or all.
func (w *world) records(request string) []*accesslog.Record {
	w.t.Helper()
	var found []*accesslog.Record
	for r, err := range accesslog.Read(w.made.LogDir, accesslog.Query{Correlation: request}) {
		check(w.t, err)
		found = append(found, r)
	}
	return found
}

// record is the one record of an answer.
func (w *world) record(r reply) *accesslog.Record {
	w.t.Helper()
	found := w.records(r.header.Get("X-Request-Id"))
	if len(found) != 1 {
		w.t.Fatalf("%d records of a call, want 1", len(found))
	}
	return found[0]
}

// until waits for a condition that another goroutine brings about.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

func (w *world) verify() {
	w.t.Helper()
	_, err := accesslog.Verify(context.Background(), accesslog.VerifyOptions{Dir: w.made.LogDir, Key: w.made.Verifier})
	check(w.t, err)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	return l
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a buffer that the gateway writes while a test reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
