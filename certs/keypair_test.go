package certs_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/certs"
)

func TestLoadKeyPair(t *testing.T) {
	p := newPKI(t, "CA")
	now := time.Now()
	leaf := func() *x509.Certificate { return &x509.Certificate{DNSNames: []string{"localhost"}} }
	with := func(change func(*x509.Certificate)) *x509.Certificate {
		c := leaf()
		change(c)
		return c
	}
	// Go itself makes no RSA key as short as this, unless told to.
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	usage := func(u ...x509.ExtKeyUsage) *x509.Certificate {
		return with(func(c *x509.Certificate) { c.ExtKeyUsage = u })
	}
	for _, tt := range []struct {
		name     string
		template *x509.Certificate
		key      crypto.Signer
		want     error
	}{
		{"ecdsa", leaf(), ecKey(t), nil},
		{"rsa", leaf(), strong, nil},
		{"weak rsa", leaf(), weak, certs.ErrWeakKey},
		{"address only", &x509.Certificate{IPAddresses: []net.IP{net.IPv6loopback}}, ecKey(t), nil},
		{"no name", &x509.Certificate{}, ecKey(t), certs.ErrNotServer},
		{"server usage", usage(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth), ecKey(t), nil},
		{"any usage", usage(x509.ExtKeyUsageAny), ecKey(t), nil},
		{"client usage", usage(x509.ExtKeyUsageClientAuth), ecKey(t), certs.ErrNotServer},
		{"expired", with(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour) }), ecKey(t), certs.ErrExpired},
		{"not yet", with(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(time.Hour), now.Add(2*time.Hour) }), ecKey(t), certs.ErrNotYetValid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.pair("server", tt.template, tt.key)
			pair, err := certs.LoadKeyPair(p.at("server.pem"), p.at("server-key.pem"), nil)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if err == nil && !pair.NotAfter().Equal(pair.Certificate().Leaf.NotAfter) {
				t.Error(pair.NotAfter())
			}
		})
	}
}

func TestKeyPairClock(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("a")
	now := time.Now()
	pair, err := certs.LoadKeyPair(p.at("server.pem"), p.at("server-key.pem"), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	now = pair.NotAfter()
	if err := pair.Reload(); err != nil {
		t.Errorf("in its last moment: %v", err)
	}
	now = now.Add(time.Second)
	if err := pair.Reload(); !errors.Is(err, certs.ErrExpired) || !strings.Contains(err.Error(), pair.NotAfter().UTC().Format(time.RFC3339)) {
		t.Errorf("after it: %v", err)
	}
}

// Whatever a file is, a bad one leaves the pair in force as it was, and no error shows what is in it.
func TestKeyPairBadFiles(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("other")
	otherKey := p.read("server-key.pem")
	p.server("good")
	good, goodKey := p.read("server.pem"), p.read("server-key.pem")
	pair, err := certs.LoadKeyPair(p.at("server.pem"), p.at("server-key.pem"), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := pair.Certificate()
	for _, tt := range []struct{ name, certificate, key, want string }{
		{"mismatched", good, otherKey, "private key does not match public key"},
		{"swapped", goodKey, good, "private key"},
		{"empty", "", "", "failed to find any PEM data"},
		{"no key", good, "not a key: s3cret", "failed to find any PEM data in key input"},
		{"half a certificate", good[:len(good)/2], goodKey, "failed to find any PEM data"},
		{"damaged certificate", strings.Replace(good, "MII", "MIJ", 1), goodKey, "x509"},
		{"damaged key", good, strings.Replace(goodKey, "MIG", "MIH", 1), "parse private key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.text("server.pem", tt.certificate)
			p.text("server-key.pem", tt.key)
			for _, err := range []error{pair.Reload(), second(certs.LoadKeyPair(p.at("server.pem"), p.at("server-key.pem"), nil))} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), goodKey[30:60]) {
					t.Errorf("%v, want %s", err, tt.want)
				}
			}
			if pair.Certificate() != before {
				t.Error("the pair in force was replaced")
			}
		})
	}
	for _, names := range [][2]string{{"none.pem", "server-key.pem"}, {"server.pem", "none.pem"}} {
		if _, err := certs.LoadKeyPair(p.at(names[0]), p.at(names[1]), nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", names, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
