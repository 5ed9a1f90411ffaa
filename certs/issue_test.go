package certs_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A pki issues what the tests need: a CA of its own in a folder of its own.
type pki struct {
	t    testing.TB
	dir  string
	ca   *x509.Certificate
	key  crypto.Signer
	pool *x509.CertPool
}

func newPKI(t testing.TB, name string) *pki {
	t.Helper()
	p := &pki{t: t, dir: t.TempDir(), key: ecKey(t), pool: x509.NewCertPool()}
	p.ca = p.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, p.key)
	p.pool.AddCert(p.ca)
	p.write("ca.pem", "CERTIFICATE", p.ca.Raw)
	return p
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (p *pki) at(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) write(name, kind string, der []byte) {
	p.t.Helper()
	p.text(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func (p *pki) text(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.at(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pki) read(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(p.at(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// sign makes a certificate of the template, which lasts an hour if it does not say otherwise.
func (p *pki) sign(template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	p.t.Helper()
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent := p.ca
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// pair writes name.pem and name-key.pem.
func (p *pki) pair(name string, template *x509.Certificate, key crypto.Signer) {
	p.t.Helper()
	p.write(name+".pem", "CERTIFICATE", p.sign(template, key).Raw)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name+"-key.pem", "PRIVATE KEY", der)
}

// server writes server.pem and server-key.pem for localhost, with a name by which a test knows it.
func (p *pki) server(name string) {
	p.t.Helper()
	p.pair("server", &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}}, ecKey(p.t))
}

// client returns a client's key pair.
func (p *pki) client(name string) *tls.Certificate {
	p.t.Helper()
	p.pair("client", &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ecKey(p.t))
	pair, err := tls.LoadX509KeyPair(p.at("client.pem"), p.at("client-key.pem"))
	if err != nil {
		p.t.Fatal(err)
	}
	return &pair
}
