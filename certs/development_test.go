package certs_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/certs"
)

func develop(t *testing.T, dir string, now time.Time, hosts ...string) *certs.DevelopmentFiles {
	t.Helper()
	f, err := certs.Development(dir, hosts, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDevelopment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "tls")
	f := develop(t, dir, time.Now(), "Gateway.test", "10.1.2.3", "localhost", "127.0.0.1")
	modes := map[string]os.FileMode{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		modes[e.Name()] = info.Mode()
	}
	if want := map[string]os.FileMode{"ca.pem": 0o644, "ca-key.pem": 0o600, "server.pem": 0o644, "server-key.pem": 0o600}; !maps.Equal(modes, want) {
		t.Errorf("files %v, want %v", modes, want)
	}
	pair, err := certs.LoadKeyPair(f.Certificate, f.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := certs.Pool(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.LoadKeyPair(f.CA, filepath.Join(dir, "ca-key.pem"), nil); !errors.Is(err, certs.ErrNotServer) {
		t.Errorf("the CA as a server: %v", err)
	}
	address := serve(t, config(t, certs.Options{KeyPair: pair}))
	for host, ok := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "gateway.test": true, "10.1.2.3": true,
		"other.test": false, "10.1.2.4": false} {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: host})
		if (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

// Who has the CA's key can certify the hosts that it was made for, and none else.
func TestDevelopmentConstraints(t *testing.T) {
	dir := t.TempDir()
	f := develop(t, dir, time.Now(), "gateway.test")
	ca, err := tls.LoadX509KeyPair(f.CA, filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := certs.Pool(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	p := newPKI(t, "unused")
	p.ca, p.key = ca.Leaf, ca.PrivateKey.(crypto.Signer)
	for name, ok := range map[string]bool{"gateway.test": true, "a.gateway.test": true, "localhost": true, "ehr.example": false} {
		c := p.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "stolen"}, DNSNames: []string{name}}, ecKey(t))
		if _, err := c.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDevelopmentAgain(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	f := develop(t, dir, now, "a.test", "b.test")
	read := func() (ca, server string) {
		a, err := os.ReadFile(f.CA)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(f.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		return string(a), string(b)
	}
	key := filepath.Join(dir, "ca-key.pem")
	remove := func(files ...string) func() {
		return func() {
			for _, file := range files {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, tt := range []struct {
		name   string
		before func()
		after  time.Duration
		hosts  []string
		same   bool
	}{
		{"the same hosts", nil, 0, []string{"a.test", "b.test"}, true},
		{"fewer hosts", nil, 0, []string{"b.test"}, true},
		{"later", nil, 20 * 24 * time.Hour, nil, true},
		{"another name", nil, 0, []string{"c.test"}, false},
		{"another address", nil, 0, []string{"10.0.0.1"}, false},
		{"no server", remove(f.Certificate, f.Key), 0, nil, true},
		{"no key of the CA", remove(key), 0, nil, false},
		{"no CA", remove(f.CA, key), 0, nil, false},
		{"near the end", nil, 24 * 24 * time.Hour, nil, false},
		{"long after", nil, 365 * 24 * time.Hour, nil, false},
		{"a clock put back", nil, 0, nil, false},
	} {
		ca, server := read()
		if tt.before != nil {
			tt.before()
		}
		develop(t, dir, now.Add(tt.after), tt.hosts...)
		nextCA, next := read()
		if (ca == nextCA) != tt.same || server == next {
			t.Errorf("%s: the CA is the same: %t, want %t; the server: %t", tt.name, ca == nextCA, tt.same, server == next)
		}
		pair, err := certs.LoadKeyPair(f.Certificate, f.Key, func() time.Time { return now.Add(tt.after) })
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		pool, err := certs.Pool(f.CA)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Certificate().Leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: pair.NotAfter()}); err != nil {
			t.Errorf("%s, in its last moment: %v", tt.name, err)
		}
	}
}

// What another made is not replaced.
func TestDevelopmentForeign(t *testing.T) {
	p := newPKI(t, "a real CA")
	p.server("a real server")
	for _, files := range [][]string{{"ca.pem"}, {"server.pem"}, {"server-key.pem"}, {"server.pem", "server-key.pem"}} {
		dir := t.TempDir()
		for _, name := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(p.read(name)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := certs.Development(dir, nil, nil); !errors.Is(err, certs.ErrForeign) {
			t.Errorf("%q: %v", files, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != len(files) {
			t.Errorf("%q: %d files are left, %v", files, len(entries), err)
		}
		for _, name := range files {
			if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != p.read(name) {
				t.Errorf("%q: %s was changed, %v", files, name, err)
			}
		}
	}
	dir := t.TempDir()
	for _, host := range []string{"", "*", "*.test", "a b", "a..b", ".a", "fe80::1%eth0", "localhost:8443", "-a"} {
		if _, err := certs.Development(dir, []string{host}, nil); err == nil {
			t.Errorf("a host %q", host)
		}
	}
}
