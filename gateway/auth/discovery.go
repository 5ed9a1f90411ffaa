package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// maxDocument bounds what is read of an issuer's answer.
const maxDocument = 1 << 20

// Server is what an issuer says of itself (OpenID Connect Discovery 1.0, section 3; RFC
// 8414, section 2). All but Issuer and Keys may be missing.
type Server struct {
	Issuer        string   `json:"issuer"`
	Keys          string   `json:"jwks_uri"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Introspection string   `json:"introspection_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	GrantTypes    []string `json:"grant_types_supported"`
	Scopes        []string `json:"scopes_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	SigningAlgs   []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	ProofAlgs     []string `json:"dpop_signing_alg_values_supported"` // RFC 9449, section 5.1
}

// discover asks the issuer about itself, and so where its keys are. go-oidc refuses a
// document that names another issuer.
func discover(ctx context.Context, client *http.Client, issuer string) (*Server, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	if err != nil {
		var other *oidc.IssuerMismatchError
		if errors.As(err, &other) {
			return nil, errors.New("discovery: the document names another issuer")
		}
		return nil, fmt.Errorf("discovery: %w", err)
	}
	server := new(Server)
	if err := provider.Claims(server); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	// A trusted issuer over TLS must not lead to keys without it.
	if !secure(server.Keys) || scheme(issuer) == "https" && scheme(server.Keys) != "https" {
		return nil, errors.New("discovery: jwks_uri is not an https URL")
	}
	return server, nil
}

// download gets the document at a URL.
func download(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Cache-Control", "no-cache")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// bounded is the transport of every question to an issuer. Only a 200 is an answer:
// redirects are not followed, and no other body is read, or quoted in an error.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("answered with status %d", resp.StatusCode)
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxDocument}
	return resp, nil
}

func (b bounded) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errors.New("the answer is too long")
	}
	return n, err
}

// boundedClient makes an issuer's client from what was configured.
func boundedClient(c *http.Client) *http.Client {
	out := &http.Client{}
	next := http.RoundTripper(nil)
	if c != nil {
		out.Timeout, next = c.Timeout, c.Transport
	}
	if next == nil {
		next = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: 5 * time.Second,
			IdleConnTimeout:     time.Minute,
		}
	}
	out.Transport = bounded{next: next}
	return out
}

// secure admits https, and http on loopback alone, for development.
func secure(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

func scheme(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Scheme
}
