package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Options says how a listener speaks TLS. The words are those of the configuration.
type Options struct {
	KeyPair    *KeyPair         // required
	MinVersion string           // "1.3" or "1.2"; empty: "1.3"
	ClientAuth string           // "none", "request" (verified if shown) or "require"; empty: "none"
	Clients    *ClientPool      // required by "request" and "require"
	Now        func() time.Time // by which client certificates are judged; nil: time.Now
}

// Under TLS 1.2, an ephemeral key exchange and authenticated encryption: RFC 9325, section 4.2. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// ServerConfig returns a listener's configuration, for HTTP/2 and HTTP/1.1. Each handshake takes the key pair and the
// pool as they then are. The result can also be what another configuration's GetConfigForClient returns; it then has
// the key pair in force at each handshake, and the pool that was in force when it was made.
func ServerConfig(o Options) (*tls.Config, error) {
	if o.KeyPair == nil {
		return nil, errors.New("certs: no key pair")
	}
	var version uint16
	switch o.MinVersion {
	case "", "1.3":
		version = tls.VersionTLS13
	case "1.2":
		version = tls.VersionTLS12
	default:
		return nil, fmt.Errorf("certs: no TLS version %q", o.MinVersion)
	}
	var auth tls.ClientAuthType
	switch o.ClientAuth {
	case "", "none":
		auth = tls.NoClientCert
	case "request":
		auth = tls.VerifyClientCertIfGiven
	case "require":
		auth = tls.RequireAndVerifyClientCert
	default:
		return nil, fmt.Errorf("certs: no way of client authentication %q", o.ClientAuth)
	}
	if (auth == tls.NoClientCert) != (o.Clients == nil) {
		// Without a pool, crypto/tls would accept what the system's authorities certify.
		return nil, errors.New("certs: client authentication and a pool of clients' authorities need each other")
	}
	current := func() *tls.Config {
		c := &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.KeyPair.Certificate(), nil },
			MinVersion:     version,
			CipherSuites:   suites,
			NextProtos:     []string{"h2", "http/1.1"},
			ClientAuth:     auth,
			Time:           o.Now,
		}
		if o.Clients != nil {
			c.ClientCAs = o.Clients.Pool()
			// A resumed session is one whose certificate was judged by an earlier pool.
			c.SessionTicketsDisabled = true
		}
		return c
	}
	c := current()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return current(), nil }
	return c, nil
}
