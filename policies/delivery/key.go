package delivery

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// check finds a key that is none, or not of its algorithm. OPA would only notice at the first bundle, and would take a
// private key as well, which has no place in a gateway.
func (k Key) check() error {
	bad := func(what string) error { return fmt.Errorf("bundle signing: key %s: %s", k.ID, what) }
	block, _ := pem.Decode([]byte(k.PEM))
	if block == nil {
		return bad("want a public key in PEM")
	}
	var public any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = c.PublicKey
		}
	default:
		return bad("want a public key, not " + strings.ToLower(block.Type))
	}
	if err != nil {
		return bad("cannot be read")
	}
	switch p := public.(type) {
	case *rsa.PublicKey:
		if p.N.BitLen() < 2048 {
			return bad("an RSA key needs 2048 bits")
		}
		if k.Algorithm[0] == 'E' {
			return bad("an RSA key cannot be for " + k.Algorithm)
		}
	case *ecdsa.PublicKey:
		if want := map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[k.Algorithm]; p.Curve.Params().BitSize != want {
			return bad("its curve is not that of " + k.Algorithm)
		}
	default:
		return bad("want RSA or EC")
	}
	return nil
}
