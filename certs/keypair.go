package certs

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// What is wrong with a key pair that was read. Errors of [LoadKeyPair] and [KeyPair.Reload] wrap one of these, or the
// error of a file or of its PEM.
var (
	ErrExpired     = errors.New("the certificate has expired")
	ErrNotYetValid = errors.New("the certificate is not valid yet")
	ErrNotServer   = errors.New("the certificate cannot stand for a server")
	ErrWeakKey     = errors.New("the key is too weak: want ECDSA, Ed25519, or RSA of at least 2048 bits")
)

// KeyPair is a listener's certificate with its intermediates, and its private key. It is safe for concurrent use.
type KeyPair struct {
	certificate, key string
	now              func() time.Time
	current          atomic.Pointer[tls.Certificate]
}

// LoadKeyPair reads PEM files: the certificate followed by its intermediates, and the private key. The clock is time.Now
// where now is nil.
func LoadKeyPair(certificate, key string, now func() time.Time) (*KeyPair, error) {
	if now == nil {
		now = time.Now
	}
	p := &KeyPair{certificate: certificate, key: key, now: now}
	if err := p.Reload(); err != nil {
		return nil, err
	}
	return p, nil
}

// Reload reads the files again. New handshakes get what it found; on an error, what they had.
func (p *KeyPair) Reload() error {
	chain, err := os.ReadFile(p.certificate)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(p.key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return fmt.Errorf("key pair %s, %s: %w", p.certificate, p.key, err)
	}
	if err := servable(pair.Leaf, p.now()); err != nil {
		return fmt.Errorf("certificate %s: %w", p.certificate, err)
	}
	p.current.Store(&pair)
	return nil
}

// servable says why a client would refuse the certificate whatever it asked for.
func servable(c *x509.Certificate, now time.Time) error {
	switch key, isRSA := c.PublicKey.(*rsa.PublicKey); {
	case now.After(c.NotAfter):
		return fmt.Errorf("%w: its last moment was %s", ErrExpired, c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("%w: its first moment is %s", ErrNotYetValid, c.NotBefore.UTC().Format(time.RFC3339))
	case isRSA && key.N.BitLen() < 2048:
		return ErrWeakKey
	case len(c.DNSNames) == 0 && len(c.IPAddresses) == 0:
		// RFC 9525, section 2: the common name is no longer looked at.
		return fmt.Errorf("%w: it names no host as a subject alternative name", ErrNotServer)
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		return fmt.Errorf("%w: its extended key usage has no serverAuth", ErrNotServer)
	}
	return nil
}

// Certificate returns the pair in force. It must not be changed.
func (p *KeyPair) Certificate() *tls.Certificate { return p.current.Load() }

// NotAfter returns the last moment of the certificate in force, to warn of.
func (p *KeyPair) NotAfter() time.Time { return p.current.Load().Leaf.NotAfter }
