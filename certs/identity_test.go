package certs_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/certs"
)

func TestLoadIdentity(t *testing.T) {
	p := newPKI(t, "CA")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	client := x509.Certificate{Subject: pkix.Name{CommonName: "gateway"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range []struct {
		name string
		make func()
		want error
	}{
		{"client", func() { p.client("gateway") }, nil},
		{"any use", func() { p.pair("client", &x509.Certificate{Subject: client.Subject}, ecKey(t)) }, nil},
		{"server", func() {
			p.pair("client", &x509.Certificate{Subject: client.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ecKey(t))
		}, certs.ErrNotClient},
		{"expired", func() {
			c := client
			c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
			p.pair("client", &c, ecKey(t))
		}, certs.ErrExpired},
		{"not yet", func() {
			c := client
			c.NotBefore, c.NotAfter = now.Add(time.Hour), now.Add(2*time.Hour)
			p.pair("client", &c, ecKey(t))
		}, certs.ErrNotYetValid},
		{"weak", func() { c := client; p.pair("client", &c, weak) }, certs.ErrWeakKey},
		{"missing", func() { _ = os.Remove(p.at("client-key.pem")) }, os.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.make()
			pair, err := certs.LoadIdentity(p.at("client.pem"), p.at("client-key.pem"), nil)
			if !errors.Is(err, c.want) || (pair == nil) != (c.want != nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
