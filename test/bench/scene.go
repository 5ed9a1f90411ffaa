package main

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// scene is a gateway, as the command serves it, between clients and an EHR, with an issuer beside it. What can fail is
// behind a switch.
type scene struct {
	dir     string
	cfg     *gateway.Initialised
	fhir    string // base URL
	admin   string // origin
	secret  string // the administrators' token
	listens string // host:port
	trust   *tls.Config
	gateway *exec.Cmd
	orders  io.Writer // to it
	ended   chan error
	ceiling int64  // of its memory, in bytes
	cgroup  string // that it is put into; empty: it is told of the ceiling, and nobody else keeps it to that

	sandbox *demo.EHR
	ehr     *demo.Faulty
	issuer  *demo.Issuer
	down    atomic.Bool // the issuer
	crowded atomic.Bool
	shown   atomic.Bool // the EHR, the newest of its tokens
	servers []*http.Server

	mu       sync.Mutex
	tokens   []string // the newest last; older ones are still good
	bearers  []string // that the EHR takes, likewise
	stranger string   // a token of the crowd's client
	seen     map[string]*received
	calls    int
	phased   *phase

	rate    int
	clients []*http.Client
	slow    []*http.Client
}

func newScene(r *soakRun) (_ *scene, err error) {
	s := &scene{seen: map[string]*received{}, rate: r.rate, ended: make(chan error, 1), ceiling: r.memory << 20, cgroup: r.cgroup}
	if s.dir, err = os.MkdirTemp("", "halfdoor-soak-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.prepare(); err != nil {
		return nil, err
	}
	return s, s.start()
}

// prepare makes the issuer, the EHR and the configuration.
func (s *scene) prepare() error {
	front, err := freePort()
	if err != nil {
		return err
	}
	back, err := freePort()
	if err != nil {
		return err
	}
	issuerL, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ehrL, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.listens, s.fhir, s.admin = front, "https://"+front+"/fhir", "http://"+back
	s.sandbox = demo.NewEHR(demo.EHROptions{Seed: 1, BaseURL: "http://" + ehrL.Addr().String() + demo.BasePath})
	s.ehr = demo.NewFaulty(s.sandbox)
	clients, err := demo.DeskClients(rand.Reader, demo.AppOptions{})
	if err != nil {
		return err
	}
	origin := "https://" + issuerL.Addr().String()
	if s.issuer, err = demo.NewIssuer(demo.IssuerOptions{URL: origin, Audience: s.fhir, Clients: clients, TTL: 12 * time.Hour}); err != nil {
		return err
	}
	s.cfg, err = gateway.Initialise(filepath.Join(s.dir, "gateway"), gateway.Start{
		PublicURL: strings.TrimSuffix(s.fhir, "/fhir"), Listen: front, AdminListen: back,
		EHR: "http://" + ehrL.Addr().String() + demo.BasePath, Issuer: origin, IssuerCA: filepath.Join("certs", "ca.pem"), Audience: s.fhir,
		LogOrigin: "soak.halfdoor.example/audit",
	}, time.Now)
	if err != nil {
		return err
	}
	if err := s.edit(func(y string) string {
		// A crowd's calls may be more than the defaults let in, so that memory is what has to hold them off.
		y = strings.Replace(y, "issuers:", "    bearer: file:"+bearerFile+"\n    max_connections: 400\n    load: {requests: 400}\n    timeouts: {connect: 1s, header: 1s, idle: 1s, total: 5s}\nissuers:", 1)
		return y + "  segment_size: 4MiB\nlimits: {patients_per_hour: 0, write_timeout: 2s, client_concurrency: 500}\n"
	}); err != nil {
		return err
	}
	if err := s.renewBearer(); err != nil {
		return err
	}
	secret, err := os.ReadFile(s.cfg.Admin)
	if err != nil {
		return err
	}
	s.secret = strings.TrimSpace(string(secret))
	pair, err := tls.LoadX509KeyPair(s.path("certs/server.pem"), s.path("certs/server-key.pem"))
	if err != nil {
		return err
	}
	s.serve(tls.NewListener(issuerL, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			panic(http.ErrAbortHandler)
		}
		s.issuer.ServeHTTP(w, r)
	}))
	s.serve(ehrL, s.guarded(s.large(s.ehr)))
	if err := s.mint(); err != nil {
		return err
	}
	roots, err := certs.Pool(s.cfg.CA)
	if err != nil {
		return err
	}
	s.trust = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	for _, http2 := range []bool{true, false} {
		s.clients, s.slow = append(s.clients, s.client(http2, 0)), append(s.slow, s.client(http2, 64<<10))
	}
	return nil
}

// client speaks one protocol; buffer is how many bytes it takes before anybody reads them, 0 for the usual number.
func (s *scene) client(http2 bool, buffer int) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	dialer := net.Dialer{}
	t := &http.Transport{TLSClientConfig: s.trust.Clone(), Protocols: protocols, MaxIdleConnsPerHost: 64}
	if buffer > 0 {
		dialer.Control = func(_, _ string, c syscall.RawConn) (err error) {
			return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer) }), err)
		}
		t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: buffer}
	}
	t.DialContext = dialer.DialContext
	return &http.Client{Timeout: 30 * time.Second, Transport: t}
}

// bearerFile is the gateway's own token for the EHR.
const bearerFile = "keys/ehr.token"

func (s *scene) path(name string) string { return filepath.Join(filepath.Dir(s.cfg.Config), name) }

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close() // the gateway takes it
}

func (s *scene) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: silence}
	s.servers = append(s.servers, srv)
	go func() { _ = srv.Serve(l) }() // until the scene is closed
}

// edit changes the configuration, whole or not at all, as editors do.
func (s *scene) edit(change func(string) string) error {
	text, err := os.ReadFile(s.cfg.Config)
	if err != nil {
		return err
	}
	return replace(s.cfg.Config, []byte(change(string(text))))
}

func replace(name string, content []byte) error {
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// mint gets a token by the issuer's newest key.
func (s *scene) mint() error {
	token, err := s.issuer.Token("demo-scheduling", demo.TokenOptions{})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	return nil
}

// start runs the gateway and waits until it is ready.
func (s *scene) start() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.until(time.Minute, "the gateway to be ready", func() bool {
		text, err := s.ask("/readyz", false)
		return err == nil && strings.HasPrefix(text, "ready")
	})
}

// until waits for a condition that another process brings about.
func (s *scene) until(most time.Duration, what string, holds func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(most)
	for !holds() {
		select {
		case <-tick.C:
		case err := <-s.ended:
			s.ended <- err
			text, _ := os.ReadFile(s.path("gateway.log"))
			return fmt.Errorf("the gateway ended: %w\n%.2000s", err, text)
		case <-late:
			return fmt.Errorf("not in time: %s", what)
		}
	}
	return nil
}

// ask asks the admin listener.
func (s *scene) ask(path string, secret bool) (string, error) {
	req, err := http.NewRequest(http.MethodGet, s.admin+path, nil)
	if err != nil {
		return "", err
	}
	if secret {
		req.Header.Set("Authorization", "Bearer "+s.secret)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return string(body), err
}

// stop ends the gateway as an operator does.
func (s *scene) stop() error {
	if s.gateway == nil || s.gateway.Process == nil {
		return nil
	}
	p := s.gateway.Process
	s.gateway = nil
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-s.ended:
		return err
	case <-time.After(time.Minute):
		return errors.Join(errors.New("it had to be killed"), p.Kill(), <-s.ended)
	}
}

// verifier is what the log is verified with.
func (s *scene) verifier() accesslog.VerifyOptions {
	return accesslog.VerifyOptions{Dir: s.cfg.LogDir, Key: s.cfg.Verifier}
}

func (s *scene) close() error {
	err := s.stop()
	for _, srv := range s.servers {
		err = errors.Join(err, srv.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
