package certs

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNotClient is wrapped by the error of [LoadIdentity] for a certificate by which nobody can say who they are as a client.
var ErrNotClient = errors.New("the certificate cannot stand for a client")

// LoadIdentity reads what the gateway itself shows a server that asks for a certificate: PEM files of the certificate
// followed by its intermediates, and of the private key. The clock is time.Now where now is nil.
func LoadIdentity(certificate, key string, now func() time.Time) (*tls.Certificate, error) {
	if now == nil {
		now = time.Now
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("key pair %s, %s: %w", certificate, key, err)
	}
	c := pair.Leaf
	switch public, isRSA := c.PublicKey.(*rsa.PublicKey); {
	case now().After(c.NotAfter):
		err = fmt.Errorf("%w: its last moment was %s", ErrExpired, c.NotAfter.UTC().Format(time.RFC3339))
	case now().Before(c.NotBefore):
		err = fmt.Errorf("%w: its first moment is %s", ErrNotYetValid, c.NotBefore.UTC().Format(time.RFC3339))
	case isRSA && public.N.BitLen() < 2048:
		err = ErrWeakKey
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) &&
		!slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		err = fmt.Errorf("%w: its extended key usage has no clientAuth", ErrNotClient)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", certificate, err)
	}
	return &pair, nil
}
