package main

import (
	"bufio"
	"context"
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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

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
	gateway *exec.Cmd
	ended   chan error

	sandbox *demo.EHR
	ehr     *demo.Faulty
	issuer  *demo.Issuer
	down    atomic.Bool // the issuer
	servers []*http.Server

	mu     sync.Mutex
	tokens []string // the newest last; older ones are still good
	seen   map[string]*received
	calls  int

	rate    int
	clients []*http.Client
}

func newScene(ctx context.Context, r *soakRun) (_ *scene, err error) {
	s := &scene{seen: map[string]*received{}, rate: r.rate, ended: make(chan error, 1)}
	if s.dir, err = os.MkdirTemp("", "halfdoor-soak-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	bin := r.command
	if bin == "" {
		bin = filepath.Join(s.dir, "halfdoor")
		build := exec.CommandContext(ctx, "go", "build", "-o", bin, ".")
		build.Dir = r.root
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	return s, s.start(bin)
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
	s.fhir, s.admin = "https://"+front+"/fhir", "http://"+back
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
		y = strings.Replace(y, "issuers:", "    timeouts: {connect: 1s, header: 1s, idle: 1s, total: 5s}\nissuers:", 1)
		return y + "  segment_size: 4MiB\nlimits: {patients_per_hour: 0, write_timeout: 2s}\n"
	}); err != nil {
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
	s.serve(ehrL, s.ehr)
	if err := s.mint(); err != nil {
		return err
	}
	roots, err := certs.Pool(s.cfg.CA)
	if err != nil {
		return err
	}
	for _, http2 := range []bool{true, false} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetHTTP2(http2)
		s.clients = append(s.clients, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: protocols, MaxIdleConnsPerHost: 64,
		}})
	}
	return nil
}

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

// start runs "halfdoor serve" and waits until it is ready.
func (s *scene) start(bin string) error {
	s.gateway = exec.Command(bin, "serve", "--config", s.cfg.Config)
	log, err := os.Create(s.path("gateway.log"))
	if err != nil {
		return err
	}
	s.gateway.Stderr = log
	if err := s.gateway.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	go func() { s.ended <- errors.Join(s.gateway.Wait(), log.Close()) }()
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

// quiet lets go of all connections, waits until no call is under way and the goroutines have ended, and tells what the
// process holds then.
func (s *scene) quiet(ctx context.Context) (state, error) {
	s.ehr.Release()
	for _, srv := range s.servers { // what the gateway keeps open to them differs by chance
		srv.SetKeepAlivesEnabled(false)
		defer srv.SetKeepAlivesEnabled(true)
	}
	var last state
	same := 0
	err := s.until(90*time.Second, "calls and connections to end", func() bool {
		if ctx.Err() != nil {
			return true
		}
		for _, c := range s.clients {
			c.CloseIdleConnections()
		}
		now, calls, err := s.state()
		if err != nil || calls > 0 {
			return false
		}
		if now.Goroutines == last.Goroutines && now.Descriptors == last.Descriptors {
			same++
		} else {
			same = 0
		}
		last = now
		return same >= 20 // a second: no timer of the protocols' is left
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return last, fmt.Errorf("%w; the process holds %+v", err, last)
	}
	for range 2 { // what is pooled outlives the first
		if _, err := s.ask("/debug/pprof/heap?gc=1", true); err != nil {
			return last, err
		}
	}
	last, _, err = s.state()
	return last, err
}

// state reads the process's own figures.
func (s *scene) state() (now state, calls int, err error) {
	text, err := s.ask("/metrics", false)
	if err != nil {
		return now, 0, err
	}
	found := 0
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		found++
		switch name {
		case "go_goroutines":
			now.Goroutines = int(n)
		case "process_open_fds":
			now.Descriptors = int(n)
		case "go_memstats_heap_alloc_bytes":
			now.HeapMB = n / 1e6
		case "process_resident_memory_bytes":
			now.ResidentMB = n / 1e6
		case "halfdoor_calls_in_flight":
			calls = int(n)
		default:
			found--
		}
	}
	if err := lines.Err(); err != nil {
		return now, 0, err
	}
	if found != 5 {
		return now, 0, fmt.Errorf("%d of 5 metrics are there", found)
	}
	return now, calls, nil
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
