package demo

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
)

// Options is one run of "halfdoor demo".
type Options struct {
	Listen  string    // the gateway's address; port 0 takes a free one
	EHR     string    // a real FHIR server's base URL; default the sandbox
	Env     string    // file for the addresses and tokens; default none but the one in Dir
	Dir     string    // where configuration, keys and access log go; default a temporary folder, removed at the end
	Out     io.Writer // what to try
	Log     io.Writer // the gateway's own log: warnings and errors
	Version string
}

// tokenLife is how long the demo's printed tokens work.
const tokenLife = 12 * time.Hour

// seed makes every demo's patients the same.
const seed = 1

// Run starts a demo, tells what to try, and serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	if o.Env != "" {
		if err := writable(o.Env); err != nil {
			return fmt.Errorf("--env %s: %w", o.Env, err)
		}
	}
	d, err := Start(ctx, o)
	if err != nil && err == context.Cause(ctx) {
		return nil // ended before it began
	}
	if err != nil {
		return err
	}
	if err := d.parts.show(ctx, o); err != nil {
		return errors.Join(err, d.Close())
	}
	return d.Wait()
}

// Demo is one that serves.
type Demo struct {
	parts *parts
	stop  context.CancelFunc
	ended chan struct{}
	err   error // how it ended
}

// Start starts the sandbox EHR, the authorization server and the gateway, and returns once all
// three serve. They do so until ctx ends or Close is called.
func Start(ctx context.Context, o Options) (_ *Demo, err error) {
	undo := func() error { return nil }
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "halfdoor-demo-"); err != nil {
			return nil, err
		}
		undo = func() error { return os.RemoveAll(o.Dir) }
	}
	p, err := prepare(o)
	if err != nil {
		return nil, errors.Join(err, undo())
	}
	d := &Demo{parts: p, ended: make(chan struct{})}
	ctx, d.stop = context.WithCancel(ctx)
	ready := make(chan gateway.Addresses, 1)
	go func() {
		defer close(d.ended)
		defer d.stop()
		d.err = gateway.Run(ctx, gateway.RunOptions{
			Load:     func() (*configs.Config, error) { return configs.Load(p.made.Config) },
			Logger:   zerolog.New(zerolog.ConsoleWriter{Out: o.Log, TimeFormat: time.TimeOnly}).Level(zerolog.WarnLevel).With().Timestamp().Logger(),
			Version:  o.Version,
			Listener: p.front, Admin: p.back,
			Ready: func(a gateway.Addresses) { ready <- a },
		})
		p.close()
		d.err = errors.Join(d.err, undo())
	}()
	select {
	case <-d.ended:
		if d.err == nil {
			d.err = context.Cause(ctx)
		}
		return nil, d.err
	case <-ready:
		return d, nil
	}
}

// FHIR is the gateway's base URL.
func (d *Demo) FHIR() string { return d.parts.fhir() }

// EHR is the base URL of the EHR behind the gateway.
func (d *Demo) EHR() string { return d.parts.ehr }

// CA is the file with the certificate by which the gateway is trusted.
func (d *Demo) CA() string { return d.parts.made.CA }

// Token is one for a client: "demo-access", "demo-scheduling", "demo-billing", "demo-emergency", "demo-nobody",
// and "demo-app", which was launched for Patient.
func (d *Demo) Token(client string, o TokenOptions) (string, error) {
	return d.parts.issuer.Token(client, o)
}

// Patient is the EHR's id of the patient that demo-app was launched for.
func (d *Demo) Patient() string { return d.parts.patient }

// Wait returns how the demo ended.
func (d *Demo) Wait() error {
	<-d.ended
	return d.err
}

// Close ends the demo, once the calls under way have, and removes what it made.
func (d *Demo) Close() error {
	d.stop()
	return d.Wait()
}

// writable says early why a file could not be made at the end.
func writable(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return errors.New("is a folder")
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".halfdoor-*")
	if err != nil {
		return errors.New("its folder cannot be written")
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// parts are what a demo runs beside the gateway.
type parts struct {
	front, back net.Listener // the gateway's
	servers     []*http.Server
	issuer      *Issuer
	made        *gateway.Initialised
	dir         string
	public      string // origin of the gateway
	ehr         string // base URL of the EHR
	sandbox     bool
	patient     string // whom demo-app was launched for
}

func (p *parts) fhir() string { return p.public + "/fhir" }

func (p *parts) close() {
	for _, s := range p.servers {
		_ = s.Close() // nobody waits for it
	}
}

// prepare opens every listener, so that all addresses are known, makes the configuration,
// and serves the EHR and the authorization server.
func prepare(o Options) (_ *parts, err error) {
	p := &parts{ehr: strings.TrimSuffix(o.EHR, "/"), sandbox: o.EHR == "", dir: o.Dir}
	var open []net.Listener
	listen := func(addr string) net.Listener {
		l, e := net.Listen("tcp", addr)
		if e != nil {
			err = errors.Join(err, e)
			return nil
		}
		open = append(open, l)
		return l
	}
	defer func() {
		if err != nil {
			for _, l := range open {
				_ = l.Close() // the error is told already
			}
		}
	}()
	p.front, p.back = listen(o.Listen), listen("127.0.0.1:0")
	issuerL, ehrL := listen("127.0.0.1:0"), listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.public = "https://" + reachable(p.front.Addr())
	if p.sandbox {
		p.ehr = "http://" + ehrL.Addr().String() + BasePath
	}
	insecure, err := plainElsewhere(p.ehr)
	if err != nil {
		return nil, err
	}
	origin := "https://" + issuerL.Addr().String()
	sandbox := NewEHR(EHROptions{Seed: seed, BaseURL: p.ehr})
	p.patient = sandbox.IDs("Patient")[0]
	clients, err := DeskClients(rand.Reader, AppOptions{
		RedirectURIs: []string{"http://127.0.0.1:8080/callback"},
		Patient:      p.patient, FHIRUser: "Practitioner/" + sandbox.IDs("Practitioner")[0],
	})
	if err != nil {
		return nil, err
	}
	p.issuer, err = NewIssuer(IssuerOptions{URL: origin, Audience: p.fhir(), Clients: clients, TTL: tokenLife})
	if err != nil {
		return nil, err
	}
	var trusted []string
	for _, c := range clients {
		if len(c.Roles) > 0 && c.Secret != "" {
			trusted = append(trusted, c.ID)
		}
	}
	p.made, err = gateway.Initialise(o.Dir, gateway.Start{
		PublicURL: p.public, Listen: p.front.Addr().String(), AdminListen: p.back.Addr().String(),
		EHR: p.ehr, Insecure: insecure, Issuer: origin, IssuerCA: filepath.Join("certs", "ca.pem"), Audience: p.fhir(),
		Trusted: trusted, LogOrigin: "demo.halfdoor.example/audit",
	}, time.Now)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(o.Dir, "certs", "server.pem"), filepath.Join(o.Dir, "certs", "server-key.pem"))
	if err != nil {
		return nil, err
	}
	p.serve(issuerL, p.issuer, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
	if p.sandbox {
		p.serve(ehrL, sandbox, nil)
	} else {
		_ = ehrL.Close() // not needed
	}
	return p, nil
}

func (p *parts) serve(l net.Listener, h http.Handler, t *tls.Config) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	p.servers = append(p.servers, s)
	if t != nil {
		l = tls.NewListener(l, t)
	}
	go func() { _ = s.Serve(l) }() // it ends when the demo closes it
}

// reachable is the address by which this machine calls a listener of all interfaces.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}

// plainElsewhere says whether a base URL is plain HTTP to another machine.
func plainElsewhere(base string) (bool, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, fmt.Errorf("--ehr %q is not an http or https URL", base)
	}
	return u.Scheme == "http" && !loopback(u.Hostname()), nil
}
