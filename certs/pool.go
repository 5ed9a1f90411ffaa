package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// ErrNotAuthorities says that a file is not a list of authorities' certificates in PEM.
var ErrNotAuthorities = errors.New("not a list of CA certificates in PEM")

// Pool reads a PEM file of authorities. Every certificate in it must be readable and an authority's; text between
// certificates is passed over.
func Pool(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	pool, err := parsePool(data)
	if err != nil {
		return nil, fmt.Errorf("authorities %s: %w", file, err)
	}
	return pool, nil
}

func parsePool(data []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	n := 0
	for {
		block, rest := pem.Decode(data)
		// A block that pem cannot read is passed over by it: what it skipped must not have been one.
		if begun := bytes.Count(data[:len(data)-len(rest)], []byte("-----BEGIN ")); block != nil && begun != 1 ||
			block == nil && bytes.Contains(data, []byte("-----BEGIN ")) {
			return nil, fmt.Errorf("%w: certificate %d is damaged", ErrNotAuthorities, n+1)
		}
		if block == nil {
			break
		}
		n++
		data = rest
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: block %d is no certificate", ErrNotAuthorities, n)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrNotAuthorities, n, err)
		}
		// RFC 5280, section 4.2.1.9. Version 1 roots, which have no extensions, are let through.
		if c.Version > 1 && !c.IsCA {
			return nil, fmt.Errorf("%w: certificate %d is not an authority's", ErrNotAuthorities, n)
		}
		pool.AddCert(c)
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: there is none", ErrNotAuthorities)
	}
	return pool, nil
}

// ClientPool is the authorities whose client certificates a listener accepts. It is safe for concurrent use.
type ClientPool struct {
	file    string
	current atomic.Pointer[x509.CertPool]
}

// LoadClientPool reads a PEM file of authorities, as [Pool] does.
func LoadClientPool(file string) (*ClientPool, error) {
	p := &ClientPool{file: file}
	if err := p.Reload(); err != nil {
		return nil, err
	}
	return p, nil
}

// Reload reads the file again. New handshakes are judged by what it found; on an error, by what was in force.
func (p *ClientPool) Reload() error {
	pool, err := Pool(p.file)
	if err != nil {
		return err
	}
	p.current.Store(pool)
	return nil
}

// Pool returns the authorities in force. It must not be changed.
func (p *ClientPool) Pool() *x509.CertPool { return p.current.Load() }
