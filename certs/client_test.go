package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/certs"
)

func TestClientAuth(t *testing.T) {
	p, stranger := newPKI(t, "CA"), newPKI(t, "stranger")
	p.server("server")
	pair := load(t, p)
	pool, err := certs.LoadClientPool(p.at("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := p.client("desk"), stranger.client("desk")
	p.pair("serving", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ecKey(t))
	wrongUsage, err := tls.LoadX509KeyPair(p.at("serving.pem"), p.at("serving-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().Add(24 * time.Hour) }
	for _, tt := range []struct {
		name, auth string
		client     *tls.Certificate
		now        func() time.Time
		want       string // whom the server takes the client for; empty: refused
	}{
		{"none, absent", "none", nil, nil, "nobody"},
		{"none, shown", "none", known, nil, "nobody"},
		{"request, absent", "request", nil, nil, "nobody"},
		{"request, shown", "request", known, nil, "desk"},
		{"request, of another CA", "request", unknown, nil, ""},
		{"require, absent", "require", nil, nil, ""},
		{"require, shown", "require", known, nil, "desk"},
		{"require, of another CA", "require", unknown, nil, ""},
		{"require, a server's", "require", &wrongUsage, nil, ""},
		{"require, expired", "require", known, later, ""},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+", "+tls.VersionName(version), func(t *testing.T) {
				o := certs.Options{KeyPair: pair, MinVersion: "1.2", ClientAuth: tt.auth, Now: tt.now}
				if tt.auth != "none" {
					o.Clients = pool
				}
				address := serve(t, config(t, o))
				c, err := dial(t, address, &tls.Config{RootCAs: p.pool, MaxVersion: version,
					// Shown whichever authorities the server names.
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						if tt.client == nil {
							return new(tls.Certificate), nil
						}
						return tt.client, nil
					}})
				if (err == nil) != (tt.want != "") {
					t.Fatal(err)
				}
				if err == nil {
					if got, err := echo(c, "who?"); err != nil || got != tt.want+": who?" {
						t.Errorf("%q, %v", got, err)
					}
				}
			})
		}
	}
}

// A client of an authority that was removed is refused from then on, though it holds a session of before; what is open
// stays open.
func TestClientPoolReload(t *testing.T) {
	p, next := newPKI(t, "CA"), newPKI(t, "next CA")
	p.server("server")
	pool, err := certs.LoadClientPool(p.at("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, config(t, certs.Options{KeyPair: load(t, p), MinVersion: "1.2", ClientAuth: "require", Clients: pool}))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			trusted := p.read("ca.pem")
			defer func() {
				p.text("ca.pem", trusted)
				if err := pool.Reload(); err != nil {
					t.Error(err)
				}
			}()
			client := func(c *tls.Certificate) *tls.Config {
				return &tls.Config{RootCAs: p.pool, Certificates: []tls.Certificate{*c}, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
			}
			old, young := client(p.client("old")), client(next.client("young"))
			open, err := dial(t, address, old)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dial(t, address, young); err == nil {
				t.Fatal("taken before its authority was")
			}
			p.text("ca.pem", next.read("ca.pem"))
			if err := pool.Reload(); err != nil {
				t.Fatal(err)
			}
			if _, err := dial(t, address, old); err == nil {
				t.Error("its authority was removed")
			}
			if _, err := dial(t, address, young); err != nil {
				t.Errorf("its authority was added: %v", err)
			}
			if got, err := echo(open, "still here"); err != nil || got != "old: still here" {
				t.Errorf("the open connection: %q, %v", got, err)
			}
			p.text("ca.pem", "")
			if err := pool.Reload(); err == nil {
				t.Fatal("an empty file is a pool")
			}
			if _, err := dial(t, address, young); err != nil {
				t.Errorf("after a bad reload: %v", err)
			}
		})
	}
}
