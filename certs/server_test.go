package certs_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"

	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/certs"
)

// serve runs a TLS server that sends each line back, after the name of the client, and returns its address.
func serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					name := "nobody"
					if shown := c.(*tls.Conn).ConnectionState().PeerCertificates; len(shown) > 0 {
						name = shown[0].Subject.CommonName
					}
					_, _ = io.WriteString(c, name+": "+lines.Text()+"\n")
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// dial connects, and makes sure that the server has taken the connection too: under TLS 1.3 it judges the client only
// after the client's part of the handshake is over.
func dial(t *testing.T, address string, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	config.ServerName = "localhost"
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = echo(c, "hello")
	return c, err
}

func echo(c net.Conn, text string) (string, error) {
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		return "", err
	}
	var line []byte
	for b := make([]byte, 1); ; line = append(line, b[0]) {
		if _, err := c.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
	}
}

func serverName(c *tls.Conn) string {
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func load(t *testing.T, p *pki) *certs.KeyPair {
	t.Helper()
	pair, err := certs.LoadKeyPair(p.at("server.pem"), p.at("server-key.pem"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func config(t *testing.T, o certs.Options) *tls.Config {
	t.Helper()
	c, err := certs.ServerConfig(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReloadKeepsConnections(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("first")
	pair := load(t, p)
	address := serve(t, config(t, certs.Options{KeyPair: pair}))
	trust := func() *tls.Config { return &tls.Config{RootCAs: p.pool} }
	open, err := dial(t, address, trust())
	if err != nil || serverName(open) != "first" {
		t.Fatal(err)
	}

	p.server("second")
	if c, err := dial(t, address, trust()); err != nil || serverName(c) != "first" {
		t.Fatalf("before the reload: %v", err)
	}
	if err := pair.Reload(); err != nil {
		t.Fatal(err)
	}
	if c, err := dial(t, address, trust()); err != nil || serverName(c) != "second" {
		t.Fatalf("after it: %v", err)
	}
	if got, err := echo(open, "still here"); err != nil || got != "nobody: still here" {
		t.Errorf("the open connection: %q, %v", got, err)
	}

	p.text("server.pem", "half a file")
	if err := pair.Reload(); err == nil {
		t.Fatal("half a file is a key pair")
	}
	if c, err := dial(t, address, trust()); err != nil || serverName(c) != "second" {
		t.Fatalf("after a bad reload: %v", err)
	}
	if got, err := echo(open, "still here"); err != nil || got != "nobody: still here" {
		t.Errorf("the open connection: %q, %v", got, err)
	}
}

// Handshakes and reloads at once: each gets one pair or the other, none an error.
func TestReloadWhileServing(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("a")
	pair := load(t, p)
	address := serve(t, config(t, certs.Options{KeyPair: pair}))
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 20 {
				if _, err := dial(t, address, &tls.Config{RootCAs: p.pool}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		if err := pair.Reload(); err != nil {
			t.Error(err)
		}
	}
	clients.Wait()
}

func TestVersionsAndSuites(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("server")
	pair := load(t, p)
	for _, tt := range []struct {
		name, min string
		client    *tls.Config
		ok        bool
	}{
		{"1.3", "", &tls.Config{}, true},
		{"1.2 by default", "", &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"1.2 to 1.3", "1.3", &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"1.2 on request", "1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"1.3 where 1.2 will do", "1.2", &tls.Config{}, true},
		{"1.1 to 1.2", "1.2", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"1.1 to 1.3", "1.3", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"1.0", "1.2", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false},
		{"1.2 GCM", "1.2", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, true},
		{"1.2 ChaCha", "1.2", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}}, true},
		{"1.2 CBC", "1.2", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := serve(t, config(t, certs.Options{KeyPair: pair, MinVersion: tt.min}))
			tt.client.RootCAs = p.pool
			if _, err := dial(t, address, tt.client); (err == nil) != tt.ok {
				t.Error(err)
			}
		})
	}
}

// Without client certificates, a session is resumed, and one of before a reload too.
func TestResumption(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("server")
	pair := load(t, p)
	address := serve(t, config(t, certs.Options{KeyPair: pair}))
	client := &tls.Config{RootCAs: p.pool, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	for i := range 3 {
		c, err := dial(t, address, client)
		if err != nil || c.ConnectionState().DidResume != (i > 0) {
			t.Fatalf("connection %d: %v", i, err)
		}
		if err := pair.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}

// net/http serves both of its versions with it, also where it is what another GetConfigForClient returns.
func TestHTTP(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("server")
	own := config(t, certs.Options{KeyPair: load(t, p), MinVersion: "1.2"})
	outer := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return own, nil }}
	for name, served := range map[string]*tls.Config{"own": own, "returned": outer} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{TLSConfig: served, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 20 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })}
		var done sync.WaitGroup
		done.Go(func() { _ = server.ServeTLS(l, "", "") })
		var got []string
		for _, h2 := range []bool{true, false} {
			transport := &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{RootCAs: p.pool, ServerName: "localhost"}}
			resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get("https://" + l.Addr().String())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(body))
			transport.CloseIdleConnections()
		}
		if !slices.Equal(got, []string{"HTTP/2.0", "HTTP/1.1"}) {
			t.Errorf("%s: %q", name, got)
		}
		_ = server.Close()
		done.Wait()
	}
}

func TestServerConfigRefuses(t *testing.T) {
	p := newPKI(t, "CA")
	p.server("server")
	pair := load(t, p)
	pool, err := certs.LoadClientPool(p.at("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]certs.Options{
		"no key pair":         {},
		`no TLS version`:      {KeyPair: pair, MinVersion: "1.1"},
		"no way of client":    {KeyPair: pair, ClientAuth: "maybe", Clients: pool},
		"need each other":     {KeyPair: pair, ClientAuth: "require"},
		"a pool of clients'":  {KeyPair: pair, Clients: pool},
		"authentication and ": {KeyPair: pair, ClientAuth: "request"},
	} {
		if c, err := certs.ServerConfig(o); c != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
