package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Short, since the CA's key lies beside its certificate.
const (
	developmentCA   = 30 * 24 * time.Hour
	developmentLeaf = 7 * 24 * time.Hour
	developmentName = "Halfdoor development CA"
)

// ErrForeign says that a folder holds a certificate or key that [Development] did not make, and would have replaced.
var ErrForeign = errors.New("not made by the development CA")

// DevelopmentFiles are the files that [Development] made.
type DevelopmentFiles struct {
	CA          string // ca.pem: what clients trust
	Certificate string // server.pem
	Key         string // server-key.pem
}

// Development makes a CA and a server's key pair in dir, for localhost, 127.0.0.1, ::1 and hosts (names or addresses),
// and writes ca.pem, ca-key.pem, server.pem and server-key.pem, keys with mode 0600. A CA that is there and covers the
// hosts for as long as a server's certificate lasts is used again, so that clients which trust it go on; the key pair is
// made anew. The CA may certify only these hosts and names below them: who steals its key impersonates nothing else
// (RFC 5280, section 4.2.1.10). The clock is time.Now where now is nil. The error is [ErrForeign] where files of these
// names are another's.
func Development(dir string, hosts []string, now func() time.Time) (*DevelopmentFiles, error) {
	if now == nil {
		now = time.Now
	}
	d := development{dir: dir, now: now()}
	for _, h := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
		if err := d.add(h); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("development CA: %w", err)
	}
	ca, err := d.authority()
	if err != nil {
		return nil, fmt.Errorf("development CA: %w", err)
	}
	if err := d.server(ca); err != nil {
		return nil, fmt.Errorf("development CA: %w", err)
	}
	return &DevelopmentFiles{CA: d.file("ca"), Certificate: d.file("server"), Key: d.file("server-key")}, nil
}

type development struct {
	dir       string
	names     []string
	addresses []net.IP
	now       time.Time
}

// An empty name among the CA's constraints would permit every name there is.
var hostForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

func (d *development) add(host string) error {
	if ip := net.ParseIP(host); ip != nil {
		if v4 := ip.To4(); v4 != nil {
			ip = v4
		}
		if !slices.ContainsFunc(d.addresses, ip.Equal) {
			d.addresses = append(d.addresses, ip)
		}
		return nil
	}
	host = strings.ToLower(host)
	if !hostForm.MatchString(host) {
		return fmt.Errorf("development CA: %q is neither a host's name nor an address", host)
	}
	if !slices.Contains(d.names, host) {
		d.names = append(d.names, host)
	}
	return nil
}

func (d *development) file(name string) string { return filepath.Join(d.dir, name+".pem") }

// authority returns the CA in the folder, or a new one.
func (d *development) authority() (*tls.Certificate, error) {
	if err := d.ours(); err != nil {
		return nil, err
	}
	if ca, err := tls.LoadX509KeyPair(d.file("ca"), d.file("ca-key")); err == nil && d.covers(ca.Leaf) {
		return &ca, nil
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s, %s", developmentName, d.now.UTC().Format(time.DateOnly))},
		NotBefore:             d.now.Add(-time.Minute),
		NotAfter:              d.now.Add(developmentCA),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         d.names,
	}
	for _, ip := range d.addresses {
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	return d.issue("ca", template, nil)
}

// ours refuses to replace what was not made here.
func (d *development) ours() error {
	for _, name := range []string{"ca", "server"} {
		data, err := os.ReadFile(d.file(name))
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Lstat(d.file(name + "-key")); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s: %w", d.file(name+"-key"), ErrForeign)
			}
			continue
		}
		if err != nil {
			return err
		}
		block, _ := pem.Decode(data)
		if block == nil {
			return fmt.Errorf("%s: %w", d.file(name), ErrForeign)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !strings.HasPrefix(c.Issuer.CommonName, developmentName) {
			return fmt.Errorf("%s: %w", d.file(name), ErrForeign)
		}
	}
	return nil
}

// covers tells whether a CA lasts as long as a server's certificate and may certify all the hosts.
func (d *development) covers(ca *x509.Certificate) bool {
	for _, name := range d.names {
		if !slices.Contains(ca.PermittedDNSDomains, name) {
			return false
		}
	}
	for _, ip := range d.addresses {
		if !slices.ContainsFunc(ca.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) }) {
			return false
		}
	}
	return ca.IsCA && !d.now.Before(ca.NotBefore) && !d.now.Add(developmentLeaf).After(ca.NotAfter)
}

// server makes the key pair.
func (d *development) server(ca *tls.Certificate) error {
	_, err := d.issue("server", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Halfdoor development server"},
		NotBefore:   d.now.Add(-time.Minute),
		NotAfter:    d.now.Add(developmentLeaf),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    d.names,
		IPAddresses: d.addresses,
	}, ca)
	return err
}

// issue makes a key and its certificate, signed by ca or by itself, and writes both.
func (d *development) issue(name string, template *x509.Certificate, ca *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	// The certificate first: alone, it shows on the next run that the folder is ours.
	if err := replace(d.file(name), certificate, 0o644); err != nil {
		return nil, err
	}
	if err := replace(d.file(name+"-key"), secret, 0o600); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, secret)
	return &pair, err
}

// replace writes a file in one rename. It has its mode before it has content.
func replace(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = bytes.NewReader(data).WriteTo(f)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
