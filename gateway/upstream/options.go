package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say which server to ask, and how long to wait for it.
type Options struct {
	// Name is what errors call the server: lower-case letters, digits, "-", "_" and ".", at most 64. Required.
	Name string
	// BaseURL is the server's FHIR base URL: https, or http where the host is loopback or InsecureHTTP is set; no user,
	// query, fragment or escape. A trailing slash is dropped. Required.
	BaseURL string
	// Standbys are other base URLs at which the same server answers, by the same grammar. One is asked where those before it
	// cannot be reached, or fail too often. The access tokens are sent to them as well.
	Standbys []string
	// ServerName is what the certificate of each address has to be for. Default: the host of the address.
	ServerName string
	// Aliases are other base URLs by which the server names its own resources, by the same grammar. Nothing is sent to
	// them, so they may be http.
	Aliases []string
	// Bearer is the gateway's own access token for the server (RFC 6750, section 2.1). Empty: none is sent.
	Bearer Secret
	// OAuth gets access tokens for the server, in place of Bearer.
	OAuth *OAuth
	// InsecureForwardCaller sends the caller's own token (Call.Caller), in place of Bearer. Whoever can read what the server
	// is sent can then act as the caller wherever that token is taken, at this gateway too. It is safe only with a server
	// that is trusted like the gateway, and tokens whose audience both are.
	InsecureForwardCaller bool
	// Certificate is the gateway's own for TLS, shown to the server and to the token endpoint where they ask. Nil: none.
	Certificate *tls.Certificate
	// RootCAs certify the server. Nil: the system's.
	RootCAs *x509.CertPool
	// ConnectTimeout is for connecting, and again for the TLS handshake. Default 5 s.
	ConnectTimeout time.Duration
	// HeaderTimeout is from the request sent to the answer's header. Default 15 s. Waiting for a free connection,
	// connecting and the header together may take ConnectTimeout and HeaderTimeout.
	HeaderTimeout time.Duration
	// IdleTimeout is the longest that one read of the body may wait. Default 15 s. The pauses that the reader makes
	// do not count.
	IdleTimeout time.Duration
	// TotalTimeout is for a call as a whole, the reader's pauses included. Default 1 min.
	TotalTimeout time.Duration
	// Retries is how often a GET or HEAD is sent again, after a pause, where no answer came or a 429, 502, 503 or 504 did.
	// TotalTimeout is for all of it. Default 0.
	Retries int
	// MaxConnections is how many connections may be open at once; calls beyond wait. Default 64.
	MaxConnections int
	// Load bounds what the server is asked, at all its addresses together.
	Load Load
	// Breaker gives an address that fails a rest. Nil: none does.
	Breaker *Breaker
	// Changed is told of each change of an address's breaker, before the next call. Nil: nobody is.
	Changed func(address string, from, to State) `json:"-"`
	// Previous is the same server under the configuration before. Its access tokens, what is under way, the rate and the
	// breakers go on, each where its own settings are the same.
	Previous *EHR `json:"-"`
	// MaxBody is the longest body, in bytes, decoded. Default 0: any; a body takes constant memory however long it is.
	MaxBody int64
	// MaxExpansion is how many bytes a content coding may make of each of its own, beyond the first MiB. Default 200;
	// Bundles of Synthea stay below 50 in the closest codings.
	MaxExpansion int64
	// MaxHeader is the longest header of an answer, in bytes. Default 64 KiB.
	MaxHeader int64
	// Product is sent as User-Agent. Default "Halfdoor".
	Product string
	// ProxyFromEnvironment sends the requests through the proxy that HTTPS_PROXY and NO_PROXY name.
	ProxyFromEnvironment bool
	// InsecureHTTP allows BaseURL to be http on another host than loopback. Patient data and the bearer token then cross
	// that network readable and changeable by anyone on it; it is safe only on one that encrypts by other means.
	InsecureHTTP bool
	// Now is the clock by which tokens expire. Default time.Now.
	Now func() time.Time `json:"-"`
}

// check fills in the defaults and parses BaseURL and Standbys, reporting every problem at once. A problem quotes no value.
func (o *Options) check() ([]*url.URL, error) {
	var problems []error
	problem := func(format string, a ...any) {
		problems = append(problems, fmt.Errorf("upstream: "+format, a...))
	}
	if !validName(o.Name) {
		problem("Name must be 1 to 64 lower-case letters, digits, '-', '_' or '.'")
	}
	bases := []*url.URL{o.address("BaseURL", o.BaseURL, problem)}
	o.Standbys = slices.Clone(o.Standbys)
	for i, standby := range o.Standbys {
		bases = append(bases, o.address(fmt.Sprintf("Standbys[%d]", i), standby, problem))
	}
	if len(o.ServerName) > 253 || !visible(o.ServerName, "") {
		problem("ServerName must be the name of a host")
	}
	o.Load.check(problem)
	if o.Breaker != nil {
		o.Breaker.check(problem)
	}
	o.Aliases = slices.Clone(o.Aliases)
	for i, alias := range o.Aliases {
		if _, err := parseBase(alias); err != nil {
			problem("Aliases[%d] %w", i, err)
		}
	}
	if !o.Bearer.valid() {
		problem("Bearer is not of the grammar of RFC 6750")
	}
	if o.OAuth != nil {
		o.OAuth.check(o.Certificate, o.InsecureHTTP, problem)
	}
	if o.Bearer != "" && (o.OAuth != nil || o.InsecureForwardCaller) || o.OAuth != nil && o.InsecureForwardCaller {
		problem("of Bearer, OAuth and InsecureForwardCaller one can say who asks")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"ConnectTimeout", &o.ConnectTimeout, 5 * time.Second},
		{"HeaderTimeout", &o.HeaderTimeout, 15 * time.Second},
		{"IdleTimeout", &o.IdleTimeout, 15 * time.Second},
		{"TotalTimeout", &o.TotalTimeout, time.Minute},
	} {
		if *d.value < 0 {
			problem("%s must not be negative", d.name)
		} else if *d.value == 0 {
			*d.value = d.unset
		}
	}
	if o.MaxConnections < 0 || o.MaxBody < 0 || o.MaxExpansion < 0 || o.MaxHeader < 0 {
		problem("MaxConnections, MaxBody, MaxExpansion and MaxHeader must not be negative")
	}
	if o.Retries < 0 {
		problem("Retries must not be negative")
	}
	if o.MaxExpansion == 0 {
		o.MaxExpansion = 200
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 64
	}
	if o.MaxHeader == 0 {
		o.MaxHeader = 64 << 10
	}
	if o.Product == "" {
		o.Product = "Halfdoor"
	}
	if !visible(o.Product, " ") {
		problem("Product must be printable ASCII")
	}
	return bases, errors.Join(problems...)
}

// address reads a base URL that is asked.
func (o *Options) address(name, text string, problem func(string, ...any)) *url.URL {
	base, err := parseBase(text)
	switch {
	case err != nil:
		problem(name+" %w", err)
	case base.Scheme == "http" && !o.InsecureHTTP && !loopback(base.Hostname()):
		problem("%s must be https, or InsecureHTTP be set", name)
	}
	return base
}

// bases lists BaseURL, Standbys and Aliases once each, without trailing slash, the longest first.
func (o *Options) bases() []string {
	var out []string
	for _, b := range slices.Concat([]string{o.BaseURL}, o.Standbys, o.Aliases) {
		if b = strings.TrimSuffix(b, "/"); !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// parseBase reads an absolute base URL.
func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil: // its text quotes the URL
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "":
		return nil, errors.New("must be an absolute https URL")
	case u.User != nil:
		return nil, errors.New("must not hold a user or password")
	case strings.ContainsAny(text, "?#"):
		return nil, errors.New("must have no query or fragment")
	case u.Hostname() == "" || !visible(u.Host, "") || strings.ContainsAny(u.Host, `%\"<>^{|}`+"`"):
		return nil, errors.New("must name a host")
	case u.Port() == "" && strings.HasSuffix(u.Host, ":"):
		return nil, errors.New("must have a port after the colon")
	}
	if u.Port() != "" {
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return nil, errors.New("must have a port from 1 to 65535")
		}
	}
	path := strings.TrimSuffix(u.Path, "/")
	if path != "" && (u.RawPath != "" || strings.Contains(text, "%") || !validPath(strings.TrimPrefix(path, "/"))) {
		return nil, errors.New("must have a plain path: no escapes, dot segments or empty segments")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}, nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func validName(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// Secret is a token that does not print.
type Secret string

// Format prints no token, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// MarshalText keeps a token out of JSON and log lines.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// valid says whether a token is empty or of RFC 6750's b64token.
func (s Secret) valid() bool {
	body := strings.TrimRight(string(s), "=")
	if body == "" {
		return s == ""
	}
	for i := range len(body) {
		if c := body[i]; !letterOrDigit(c) && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return true
}
