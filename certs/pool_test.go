package certs_test

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/certs"
)

func TestPool(t *testing.T) {
	a, b := newPKI(t, "A"), newPKI(t, "B")
	a.server("leaf")
	ca := a.read("ca.pem")
	both := "# the A\n" + ca + "\nand B:\n" + b.read("ca.pem") + "the end\n"
	for _, tt := range []struct{ name, text, want string }{
		{"one", ca, ""},
		{"two with text", both, ""},
		{"empty", "", "there is none"},
		{"text", "A and B", "there is none"},
		{"a server's", ca + a.read("server.pem"), "certificate 2 is not an authority's"},
		{"a key", ca + a.read("server-key.pem"), "block 2 is no certificate"},
		{"cut", both[:len(both)-40], "certificate 2 is damaged"},
		{"damaged in the middle", strings.Replace(both, "-----END CERTIFICATE-----", "", 1), "certificate 1 is damaged"},
		{"not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1: x509"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.text("pool.pem", tt.text)
			pool, err := certs.Pool(a.at("pool.pem"))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.ca.Verify(x509.VerifyOptions{Roots: pool}); (err == nil) != (tt.text == both) {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, certs.ErrNotAuthorities) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if _, err := certs.LoadClientPool(a.at("pool.pem")); !errors.Is(err, certs.ErrNotAuthorities) {
				t.Errorf("client pool: %v", err)
			}
		})
	}
	if _, err := certs.Pool(a.at("none.pem")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A file that is taken has no certificate that was passed over: x509's own reading finds the same.
func FuzzPool(f *testing.F) {
	a, b := newPKI(f, "A"), newPKI(f, "B")
	a.server("leaf")
	ca := a.read("ca.pem")
	for text, ok := range map[string]bool{ca: true, "text\n" + ca + b.read("ca.pem"): true, strings.ReplaceAll(ca, "\n", "\r\n"): true,
		"": false, ca[:100]: false, ca + a.read("server.pem"): false, ca + a.read("server-key.pem"): false} {
		if _, err := certs.ParsePool([]byte(text)); (err == nil) != ok {
			f.Fatalf("seed: %v", err)
		}
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pool, err := certs.ParsePool(data)
		if err != nil {
			if !errors.Is(err, certs.ErrNotAuthorities) {
				t.Fatal(err)
			}
			return
		}
		want := x509.NewCertPool()
		if !want.AppendCertsFromPEM(data) || !pool.Equal(want) {
			t.Fatal("x509 reads another pool")
		}
	})
}
