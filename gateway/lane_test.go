package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// lane is a gateway as a handler, with nothing around it that allocates: neither a client nor net/http's server, an EHR that
// says one thing, and a disk that does not sync.
type lane struct {
	*gateway.Gateway
	token string
}

// quickDisk is the real file system without waiting for it.
type quickDisk struct{}

func (quickDisk) OpenFile(name string, flag int) (accesslog.File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	return quickFile{f}, err
}
func (quickDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (quickDisk) Remove(name string) error     { return os.Remove(name) }
func (quickDisk) SyncDir(string) error         { return nil }
func (quickDisk) Free(string) (int64, error)   { return math.MaxInt64, nil }

type quickFile struct{ *os.File }

func (quickFile) Datasync() error { return nil }
func (quickFile) Sync() error     { return nil }

// newLane has an EHR that answers with so many encounters of a patient.
func newLane(t testing.TB, encounters int) *lane {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	const public = "https://halfdoor.example"
	clients, err := demo.DeskClients(rand.Reader, demo.AppOptions{RedirectURIs: []string{"http://127.0.0.1:1/callback"}, Patient: "p1", FHIRUser: "Practitioner/d1"})
	must(err)
	front := httptest.NewUnstartedServer(nil)
	origin := "https://" + front.Listener.Addr().String()
	issuer, err := demo.NewIssuer(demo.IssuerOptions{URL: origin, Audience: public + "/fhir", Clients: clients})
	must(err)
	made, err := gateway.Initialise(dir, gateway.Start{
		PublicURL: public, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", EHR: parrot(t, encounters), Issuer: origin, IssuerCA: filepath.Join("certs", "ca.pem"), Audience: public + "/fhir",
		Trusted: []string{"demo-scheduling"}, LogOrigin: "test.halfdoor.example/audit",
	}, time.Now)
	must(err)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "certs/server.pem"), filepath.Join(dir, "certs/server-key.pem"))
	must(err)
	front.Config.Handler, front.TLS = issuer, &tls.Config{Certificates: []tls.Certificate{pair}}
	front.StartTLS()
	t.Cleanup(front.Close)
	file := filepath.Join(dir, "halfdoor.yaml")
	text, err := os.ReadFile(file)
	must(err)
	must(os.WriteFile(file, append(text, "  segment_size: 16MiB\n"...), 0o600))
	cfg, err := configs.Load(made.Config)
	must(err)
	g, err := gateway.New(gateway.Options{Config: cfg, Logger: zerolog.Nop(), Version: "test", LogFS: quickDisk{}})
	must(err)
	t.Cleanup(func() { must(g.Close()) })
	token, err := issuer.Token("demo-scheduling", demo.TokenOptions{})
	must(err)
	return &lane{g, token}
}

// parrot is an EHR that says the same to everybody, and allocates nothing for it.
func parrot(t testing.TB, encounters int) string {
	var body bytes.Buffer
	body.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := range encounters {
		fmt.Fprintf(&body, `%s{"fullUrl":"http://ehr.example/Encounter/e%d","resource":{"resourceType":"Encounter","id":"e%d","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"type":[{"coding":[{"system":"http://snomed.info/sct","code":"162673000","display":"General examination of patient (procedure)"}],"text":"General examination of patient (procedure)"}],"subject":{"reference":"Patient/p1","display":"Mr. A B"},"participant":[{"individual":{"reference":"Practitioner/d%d","display":"Dr. C D"}}],"period":{"start":"2021-03-04T09:30:00+01:00","end":"2021-03-04T09:45:00+01:00"},"serviceProvider":{"reference":"Organization/o1","display":"Clinic"}}}`,
			","[:min(1, i)], i, i, i%7)
	}
	body.WriteString(`]}`)
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n%s", body.Len(), body.Bytes())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					line, err := in.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 {
						_, _ = c.Write(answer)
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// bare is a client that takes all.
type bare struct {
	header http.Header
	status int
	length int
	kept   *bytes.Buffer // nil: nothing is
}

func (b *bare) Header() http.Header            { return b.header }
func (b *bare) WriteHeader(status int)         { b.status = status }
func (*bare) FlushError() error                { return nil }
func (*bare) SetReadDeadline(time.Time) error  { return nil }
func (*bare) SetWriteDeadline(time.Time) error { return nil }
func (b *bare) Write(p []byte) (int, error) {
	if b.length += len(p); b.kept != nil {
		b.kept.Write(p)
	}
	return len(p), nil
}

// request is a call as net/http hands it on.
func (l *lane) request(t testing.TB, target string) *http.Request {
	t.Helper()
	text := "GET " + target + " HTTP/1.1\r\nHost: halfdoor.example\r\nAuthorization: Bearer " + l.token + "\r\nAccept: application/fhir+json\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.10:34567"
	return r
}

var patientToken = regexp.MustCompile(`"reference":"(Patient/t[0-9A-Za-z]+)"`)

// search is a search for the encounters of the patient, whose token an answer has.
func (l *lane) search(t testing.TB) *http.Request {
	t.Helper()
	b := &bare{header: http.Header{}, kept: &bytes.Buffer{}}
	l.ServeHTTP(b, l.request(t, "/fhir/Encounter"))
	found := patientToken.FindSubmatch(b.kept.Bytes())
	if b.status != http.StatusOK || found == nil {
		t.Fatalf("%d %.500s", b.status, b.kept)
	}
	return l.request(t, "/fhir/Encounter?patient="+string(found[1])+"&_count=20")
}

// serve serves a call.
func (l *lane) serve(r *http.Request) error {
	b := &bare{header: make(http.Header, 8)}
	l.ServeHTTP(b, r)
	if b.status != http.StatusOK || b.length == 0 {
		return errors.New("not served")
	}
	return nil
}

// sizes are of about 2 and 20 KB.
var sizes = []struct {
	name       string
	encounters int
	allocs     float64
}{{"2k", 3, 240}, {"20k", 22, 240}}

// TestAllocations bounds what a call allocates from the handler to the EHR and back, the record and its log among it. About 40
// are net/http's, which asks the EHR. Under the race detector pools forget a part of what they are given.
func TestAllocations(t *testing.T) {
	for _, s := range sizes {
		t.Run(s.name, func(t *testing.T) {
			l := newLane(t, s.encounters)
			r := l.search(t)
			if n := testing.AllocsPerRun(200, func() { check(t, l.serve(r)) }); n > s.allocs {
				t.Errorf("%.0f allocations of a call, want at most %.0f", n, s.allocs)
			}
		})
	}
}

// BenchmarkServe is the same call.
func BenchmarkServe(b *testing.B) {
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			l := newLane(b, s.encounters)
			r := l.search(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := l.serve(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
