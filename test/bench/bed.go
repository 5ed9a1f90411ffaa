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
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/test/bench/cases"
)

// bed is what the engines stand on: an upstream, an authorization server, one set of keys and certificates for all, and
// the engines themselves, each a process that is started when it is first needed.
type bed struct {
	dir     string
	root    string         // of the project
	skipper string         // this program, built so that an engine can leave steps out; empty until one needs it
	source  string         // of the documents
	lengths map[string]int // of bodies, by size
	profile string         // folder for profiles of the engines; none where empty

	issuer    *http.Server
	token     string
	tls       *tls.Config
	upstream  *process
	processes map[string]*process

	processors *processors
	patient    string // token of the patient whose encounters are asked for
}

// public is the origin that the gateways are configured with. Nothing connects to it.
const public = "https://127.0.0.1:8443"

func newBed(root, profile string) (_ *bed, err error) {
	b := &bed{root: root, profile: profile, lengths: map[string]int{}, processes: map[string]*process{}}
	if b.dir, err = os.MkdirTemp("", "halfdoor-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.processors, err = newProcessors(); err != nil {
		return nil, err
	}
	set := cases.Open(root)
	b.source = set.Source()
	bodies := map[string]string{}
	for size, n := range bodySizes {
		body, err := set.Searchset(n)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(b.dir, size+".json")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return nil, err
		}
		bodies[countOf(size)], b.lengths[size] = file, len(body)
	}
	files, err := certs.Development(b.path("certs"), nil, nil)
	if err != nil {
		return nil, err
	}
	roots, err := certs.Pool(files.CA)
	if err != nil {
		return nil, err
	}
	b.tls = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
	if b.upstream, err = b.startProcess(&engineSpec{Engine: "upstream", Dir: b.dir, Bodies: bodies}, 0); err != nil {
		return nil, err
	}
	origin, err := b.authorize(files)
	if err != nil {
		return nil, err
	}
	_, err = gateway.Initialise(b.path("gateway"), gateway.Start{
		PublicURL: public, Listen: "127.0.0.1:8443", AdminListen: "127.0.0.1:9443", // each engine takes free ones
		EHR: "http://" + b.upstream.Plain + "/fhir", Aliases: []string{cases.EHR},
		Issuer: origin, IssuerCA: files.CA, LogOrigin: "bench.halfdoor.example/audit",
	}, time.Now)
	if err != nil {
		return nil, err
	}
	// Everybody's certificate instead of its own.
	own := filepath.Join(b.path("gateway"), "certs")
	if err := os.RemoveAll(own); err != nil {
		return nil, err
	}
	return b, os.CopyFS(own, os.DirFS(b.path("certs")))
}

func (b *bed) path(name string) string { return filepath.Join(b.dir, name) }

// countOf is the _count by which the upstream is asked for a body.
func countOf(size string) string {
	return map[string]string{"2k": "1", "20k": "10", "200k": "100", "5m": "1000"}[size]
}

// authorize serves an issuer and gets a token of it.
func (b *bed) authorize(files *certs.DevelopmentFiles) (origin string, err error) {
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return "", err
	}
	clients, err := demo.DeskClients(rand.Reader, demo.AppOptions{})
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	origin = "https://" + l.Addr().String()
	issuer, err := demo.NewIssuer(demo.IssuerOptions{URL: origin, Audience: public + "/fhir", Clients: clients, TTL: 12 * time.Hour})
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	b.issuer = &http.Server{Handler: issuer, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}}
	go func() { _ = b.issuer.ServeTLS(l, "", "") }() // it ends when the bed is closed
	b.token, err = issuer.Token("demo-scheduling", demo.TokenOptions{})
	return origin, err
}

// engine is one with so many cores, or as many as there are.
func (b *bed) engine(name string, cores int) (*process, error) {
	if name == "direct" {
		return b.upstream, nil
	}
	key := fmt.Sprintf("%s-%d", name, cores)
	if p := b.processes[key]; p != nil {
		return p, nil
	}
	var p *process
	var err error
	switch {
	case name == "nginx" || name == "caddy":
		p, err = b.foreign(name)
	case strings.HasPrefix(name, "halfdoor"):
		if err = b.settle(key); err == nil {
			p, err = b.startProcess(b.spec(name, b.path(key)), cores)
		}
	default:
		p, err = b.startProcess(b.spec(name, b.dir), cores)
	}
	if err == nil {
		b.processes[key] = p
	}
	return p, err
}

func (b *bed) spec(name, dir string) *engineSpec {
	s := &engineSpec{Engine: name, Dir: dir, Upstream: b.upstream.Plain}
	if b.profile != "" {
		s.Profile = filepath.Join(b.profile, name+".pprof")
	}
	return s
}

// settle gives a gateway a folder of its own, with everybody's keys.
func (b *bed) settle(name string) error {
	if err := os.CopyFS(b.path(name), os.DirFS(b.path("gateway"))); err != nil {
		return err
	}
	for _, secret := range []string{"certs", "keys"} { // which CopyFS opens to others
		files, err := os.ReadDir(filepath.Join(b.path(name), secret))
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Chmod(filepath.Join(b.path(name), secret, f.Name()), 0o600); err != nil {
				return err
			}
		}
	}
	file := filepath.Join(b.path(name), "halfdoor.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.NewReplacer(`"127.0.0.1:8443"`, `"127.0.0.1:0"`, `"127.0.0.1:9443"`, `"127.0.0.1:0"`).Replace(string(text))), 0o600)
}

// load is that of a case through an engine. What comes is looked at once.
func (b *bed) load(p *process, c gatewayCase, plain bool) (load, error) {
	l := load{address: p.TLS, tls: b.tls, http2: c.http2, connections: c.connections, token: b.token}
	if plain {
		l.address, l.tls = p.Plain, nil
	}
	if b.patient == "" {
		if err := b.meet(); err != nil {
			return l, err
		}
	}
	l.path = b.search(c.size)
	return l, nil
}

// search is the path of what is answered with so much.
func (b *bed) search(size string) string {
	return "/fhir/Encounter?patient=Patient/" + b.patient + "&_count=" + countOf(size)
}

var patientToken = regexp.MustCompile(`"reference":"Patient/(t[0-9A-Za-z]+)"`)

// meet finds a patient by the gateway, as a client would, and sees that what comes is filtered: a token, and no
// names.
func (b *bed) meet() error {
	p, err := b.engine("halfdoor", 0)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: b.tls.Clone()}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodGet, "https://"+p.TLS+"/fhir/Encounter?_count="+countOf("20k"), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	found := patientToken.FindSubmatch(body)
	if resp.StatusCode != http.StatusOK || found == nil || strings.Contains(string(body), `"display"`) || !strings.Contains(string(body), `"period"`) {
		return fmt.Errorf("the gateway does not answer as it should: %s\n%.500s", resp.Status, body)
	}
	b.patient = string(found[1])
	return nil
}

// installed are the engines that can take part, and why others cannot.
func installed(names []string) (engines, notes []string) {
	for _, name := range names {
		if name == "nginx" || name == "caddy" {
			if _, err := exec.LookPath(name); err != nil {
				notes = append(notes, name+" is not installed, and takes no part.")
				continue
			}
		}
		engines = append(engines, name)
	}
	return slices.Clip(engines), notes
}

func (b *bed) close() error {
	var errs []error
	for _, p := range b.processes {
		errs = append(errs, p.end())
	}
	if b.upstream != nil {
		errs = append(errs, b.upstream.end())
	}
	if b.issuer != nil {
		errs = append(errs, b.issuer.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}
