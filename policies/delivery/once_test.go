package delivery_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/halfdoor/halfdoor/policies/delivery"
)

// once asks a server a single time, and says which word it had.
func once(t *testing.T, o delivery.Options) (string, error) {
	t.Helper()
	f := &follower{t: t}
	o.ID, o.Activate, o.Told = "test", f.activate, func(error) {}
	o.Polling = delivery.Polling{Min: time.Second, Max: time.Second}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := delivery.Once(ctx, o)
	return strings.Join(f.words(), " "), err
}

func TestOnce(t *testing.T) {
	s := newServer(t)
	signer, key := keyPair(t, "board")
	o := delivery.Options{
		Service: delivery.Service{URL: s.URL}, Resource: "policy.tar.gz", Persist: filepath.Join(t.TempDir(), "kept"),
		Signing: delivery.Signing{Keys: []delivery.Key{key}},
	}
	if word, err := once(t, o); err == nil || !strings.Contains(err.Error(), "Not Found") {
		t.Errorf("with nothing there: %q %v", word, err)
	}
	s.put("/policy.tar.gz", pack(t, rules("one"), delivery.Build{Key: &signer}))
	if word, err := once(t, o); word != "one" || err != nil {
		t.Errorf("%q %v", word, err)
	}
	s.put("/discovery.tar.gz", pack(t, fstest.MapFS{"data.json": {Data: []byte(`{"bundles": {"halfdoor": {"resource": "policy.tar.gz"}}}`)}}, delivery.Build{Key: &signer}))
	found := o
	found.Resource, found.Discovery = "", "discovery.tar.gz"
	if word, err := once(t, found); word != "one" || err != nil {
		t.Errorf("discovered: %q %v", word, err)
	}
	s.put("/discovery.tar.gz", pack(t, fstest.MapFS{"data.json": {Data: []byte(`{"labels": {}}`)}}, delivery.Build{Key: &signer}))
	if word, err := once(t, found); word != "" || err == nil {
		t.Errorf("discovered nothing: %q %v", word, err)
	}
	s.put("/policy.tar.gz", pack(t, rules("one"), delivery.Build{}))
	if word, err := once(t, o); word != "" || err == nil || !strings.Contains(err.Error(), ".signatures.json") {
		t.Errorf("unsigned: %q %v", word, err)
	}
	if _, err := os.Stat(o.Persist); !os.IsNotExist(err) {
		t.Errorf("something was kept: %v", err)
	}
}

// TestPolling has a server that knows nothing of long polling: it is asked again by the clock, with the ETag.
func TestPolling(t *testing.T) {
	signer, key := keyPair(t, "board")
	s := newServer(t)
	asked := make(chan string, 100)
	files := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("If-None-Match")
		if strings.Contains(r.Header.Get("Prefer"), "wait=") {
			t.Errorf("asked to wait: %q", r.Header.Get("Prefer"))
		}
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		files.ServeHTTP(w, r)
	})
	s.put("/policy.tar.gz", pack(t, rules("one"), delivery.Build{Key: &signer}))
	f := follow(t, delivery.Options{
		Service: delivery.Service{URL: s.URL}, Resource: "policy.tar.gz", Persist: t.TempDir(),
		Signing: delivery.Signing{Keys: []delivery.Key{key}}, Polling: delivery.Polling{Min: time.Second, Max: time.Second},
	}, nil)
	f.until("the bundle", func() bool { return slices.Equal(f.words(), []string{"one"}) })
	if first, second, third := <-asked, <-asked, <-asked; first != "" || second == "" || second != third {
		t.Errorf("asked with %q, %q, %q", first, second, third)
	}
	if f.failed() != nil || len(f.words()) != 1 {
		t.Errorf("%v %v", f.words(), f.failed())
	}
}

// TestServiceTLS shows the server a certificate, believes it by its own, and reads its token again at each call.
func TestServiceTLS(t *testing.T) {
	signer, key := keyPair(t, "board")
	dir := t.TempDir()
	certificate, private, pool := selfSigned(t, dir)
	s := newServer(t)
	front := httptest.NewUnstartedServer(s)
	pair, err := tls.LoadX509KeyPair(certificate, private)
	check(t, err)
	var strict atomic.Bool
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
		if strict.Load() {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
		return c, nil
	}}
	front.StartTLS()
	t.Cleanup(front.Close)
	s.put("/policy.tar.gz", pack(t, rules("one"), delivery.Build{Key: &signer}))
	token := filepath.Join(dir, "token")
	check(t, os.WriteFile(token, []byte("first"), 0o600))
	o := delivery.Options{
		Service:  delivery.Service{URL: front.URL, CA: certificate, TokenFile: token},
		Resource: "policy.tar.gz", Persist: t.TempDir(), Signing: delivery.Signing{Keys: []delivery.Key{key}},
	}
	for _, want := range []string{"first", "second"} {
		check(t, os.WriteFile(token, []byte(want), 0o600))
		word, err := once(t, o)
		s.mu.Lock()
		shown := s.tokens["Bearer "+want]
		s.mu.Unlock()
		if word != "one" || err != nil || !shown {
			t.Errorf("%q %v, %q shown: %v", word, err, want, shown)
		}
	}
	o.Service.CA = ""
	if word, err := once(t, o); err == nil || word != "" {
		t.Errorf("a server that nobody certifies: %q", word)
	}
	o.Service = delivery.Service{URL: front.URL, CA: certificate}
	strict.Store(true)
	if word, err := once(t, o); err == nil || word != "" {
		t.Errorf("without a certificate: %q", word)
	}
	o.Service.Certificate, o.Service.Key = certificate, private
	if word, err := once(t, o); word != "one" || err != nil {
		t.Errorf("with a certificate: %q %v", word, err)
	}
}

// selfSigned is a certificate for loopback, of servers and clients.
func selfSigned(t *testing.T, dir string) (certificate, private string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	certificate, private = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	check(t, os.WriteFile(certificate, text, 0o600))
	check(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return certificate, private, pool
}
