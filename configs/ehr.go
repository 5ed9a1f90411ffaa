package configs

import (
	"regexp"
	"strings"
	"time"
)

// EHR is one FHIR server behind the gateway.
type EHR struct {
	// Name is what policies, the access log and metrics call it: lower-case letters, digits, "-", "_" and ".", at most
	// 64. Required, unique. Tokens are bound to it: a renamed EHR opens none of the tokens that it gave out before.
	Name string `yaml:"name"`

	// Path is where it appears below public_url: "/fhir", "/east/r4". Default "/fhir". One EHR's path may not lie below
	// another's.
	Path string `yaml:"path"`

	// BaseURL is the FHIR base URL of the server. Required. https, or http where the host is loopback or insecure_http
	// is set; no user, query or fragment. A trailing slash is dropped.
	BaseURL string `yaml:"base_url"`

	// StandbyURLs are other base URLs at which the same server answers, by the same rules. Default none. Calls go to the one
	// that answered last, base_url first. Another is asked in its place where it cannot be reached or its breaker is open,
	// by reads, and by writes of which nothing can have been sent. All are the server's own names in answers.
	StandbyURLs []string `yaml:"standby_urls"`

	// TLSServerName is what the certificates of base_url and standby_urls have to be for, where these are the addresses of
	// machines and the certificate is the service's. Default none: the host of each URL.
	TLSServerName string `yaml:"tls_server_name"`

	// Aliases are other base URLs by which the server names its own resources, in links, fullUrl and references, each
	// without trailing slash. Default none. Nothing is ever sent to them; they are rewritten like base_url in answers.
	Aliases []string `yaml:"aliases"`

	// Tenant is whose data it holds, by the grammar of name. Default "default". Token keys are derived per tenant and
	// client: EHRs of different tenants share none. Changing it makes tokens given out before useless.
	Tenant string `yaml:"tenant"`

	// RequireBinding is how a client's token has to be bound to it, so that whoever steals the token alone has nothing:
	// "dpop" (a key that signs each call, RFC 9449), "mtls" (a client certificate, RFC 8705; tls.client_auth has to ask for
	// one), "any" of the two, or "none". Default "none". A bound token's proof is always demanded, whatever stands here.
	RequireBinding string `yaml:"require_binding"`

	// Bearer is the gateway's own access token for the server, sent in the Authorization header. Default none. Without bearer
	// and oauth the server is called without a token. A client's own token is not passed on.
	Bearer Secret `yaml:"bearer"`

	// OAuth gets the gateway's access tokens for the server, in place of bearer. Default none.
	OAuth *OAuth `yaml:"oauth"`

	// InsecureForwardCallerToken sends the server the caller's own token, in place of bearer and oauth. Default false.
	// Whoever sees what the server is sent can then act as the caller, at this gateway too, without dataset and record at
	// the server; it is safe only with a server that is trusted like the gateway, and tokens made for both.
	InsecureForwardCallerToken bool `yaml:"insecure_forward_caller_token"`

	// Certificate is a PEM file of the gateway's own certificate, then its intermediates, for servers that ask for one (mTLS);
	// it is shown to the token endpoint as well. Default none.
	Certificate string `yaml:"certificate"`

	// Key is a PEM file of its private key. Required with certificate.
	Key string `yaml:"key"`

	// CA is a PEM file of the authorities that may certify the server. Default none: the system's. With a file, only its
	// authorities count.
	CA string `yaml:"ca"`

	// Timeouts bound each step of a call to the server.
	Timeouts Timeouts `yaml:"timeouts"`

	// Retries is how often a read is asked for again, after a pause that grows, where the server gave no answer, or a 429,
	// 502, 503 or 504; its Retry-After is kept to, or the answer handed on where that is longer than timeouts.header. All
	// within timeouts.total. A write is never sent again. Default 0, to 5.
	Retries int `yaml:"retries"`

	// MaxConnections is how many connections to the server may be open at once, for each of its URLs; calls beyond wait,
	// and those that do in vain are refused (ehr-full). Default 64, from 1 to 10000.
	MaxConnections int `yaml:"max_connections"`

	// Load bounds what the server is asked.
	Load LoadLimits `yaml:"load"`

	// Breaker gives the server a rest when it fails.
	Breaker Breaker `yaml:"breaker"`

	// InsecureLabelPages is for a server that does not know _security:not. Default false: each search asks the server to
	// leave out what has a label that the policy denies, so that its pages are full and tell nothing of it. With true, the
	// gateway alone drops these resources, and a page that is short, or followed by an empty one, tells that there was one:
	// whoever may search can so ask about restricted records; it is safe only where no label is denied.
	InsecureLabelPages bool `yaml:"insecure_label_pages"`

	// InsecureHTTP allows base_url to be plain http on another host than loopback. Default false. Patient data and the
	// bearer then cross that network readable and changeable by anyone on it: only for one that encrypts by other means.
	InsecureHTTP bool `yaml:"insecure_http"`
}

// Timeouts bound a call to an EHR. A call that exceeds one is answered 504, or cut where bytes have already left.
type Timeouts struct {
	// Connect is for connecting, TLS handshake included. A duration, from 10ms to 10m; default 5s.
	Connect Duration `yaml:"connect"`

	// Header is from the request sent to the answer's header. A duration, from 10ms to 10m; default 15s.
	Header Duration `yaml:"header"`

	// Idle is the longest pause between two reads of the answer's body. A duration, from 10ms to 10m; default 15s.
	Idle Duration `yaml:"idle"`

	// Total is for the whole call, body included. A duration, from 10ms to 1h, at least as long as each of the others;
	// default 1m.
	Total Duration `yaml:"total"`
}

// LoadLimits bound what a server is asked, so that one that is slow holds no more of the gateway than its share: calls to
// another EHR go on.
type LoadLimits struct {
	// Requests is how many may be under way at once, each until its answer has been read. Default 64, from 1 to 10000. With
	// HTTP/1.1 more than max_connections is of no use.
	Requests int `yaml:"requests"`

	// Queue is how many calls beyond may wait for their turn; further ones are answered 503 with Retry-After. Default 64,
	// to 10000; 0: none waits.
	Queue int `yaml:"queue"`

	// Wait is how long a call may wait for its turn; then the answer is 503 with Retry-After. A duration, to 1m; default 1s.
	Wait Duration `yaml:"wait"`

	// PerSecond is how many requests the server is sent in a second, in the mean; what is beyond waits like the others.
	// Default 0: no limit; to 100000.
	PerSecond int `yaml:"per_second"`

	// Burst is how many of them may be sent at once. Default 0: as many as per_second; to 100000.
	Burst int `yaml:"burst"`
}

// Breaker says when a server is left alone. While it is, calls are answered 503 with Retry-After at once, instead of each
// waiting for a timeout, and a server that starts is not met by all of them. Each URL of a server has its own.
//
// A call counts as failed where there is no connection, no answer in time, a cut or malformed one, or a status of 500 and
// above. What the server says of the call (400 to 499, 501), and calls that their clients end, do not.
type Breaker struct {
	// Calls is how many calls there have to be, within the time below, for a verdict. Default 10, to 10000; 0: no breaker.
	Calls int `yaml:"calls"`

	// Percent is how many of a hundred calls have to fail. Default 50, from 1 to 100.
	Percent int `yaml:"percent"`

	// Within is the time that the calls are counted for. A duration, from 1s to 10m; default 30s.
	Within Duration `yaml:"within"`

	// Rest is how long nothing is sent. Then two calls are let through; if both are answered, all are, and if one fails the
	// rest begins anew. A duration, from 100ms to 10m; default 10s. A 503 with Retry-After begins a rest of that length as
	// well, of at most a minute.
	Rest Duration `yaml:"rest"`
}

// validateEHRs judges the FHIR servers, each by itself and against the others.
func (c *Config) validateEHRs(r *report) {
	if len(c.EHRs) == 0 {
		r.add("ehrs", "at least one is required")
	}
	for i := range c.EHRs {
		e, at := &c.EHRs[i], index("ehrs", i)
		e.validate(at, r)
		c.validateBinding(at+".require_binding", e.RequireBinding, r)
		for j, other := range c.EHRs[:i] {
			if e.Name != "" && e.Name == other.Name {
				r.add(at+".name", "the name of ehrs[%d] too", j)
			}
			if below, above := e.Path+"/", other.Path+"/"; strings.HasPrefix(below, above) || strings.HasPrefix(above, below) {
				r.add(at+".path", "overlaps with that of ehrs[%d], %s", j, other.Path)
			}
		}
	}
	c.validatePublished(r)
}

var (
	nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	// No encoded characters and no dot segments: whatever a client writes, one path is one EHR.
	pathForm = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)
)

func (e *EHR) validate(at string, r *report) {
	if r.required(at+".name", e.Name) {
		r.name(at+".name", e.Name)
	}
	r.name(at+".tenant", e.Tenant)
	if len(e.Path) > 128 || !pathForm.MatchString(e.Path) {
		r.add(at+".path", `want a path like "/fhir" or "/east/r4": letters, digits and "-._~", no trailing slash`)
	}
	if r.required(at+".base_url", e.BaseURL) {
		e.validateBase(at, r)
	}
	r.list(at+".standby_urls", e.StandbyURLs)
	for j, standby := range e.StandbyURLs {
		e.validateAddress(index(at+".standby_urls", j), standby, r)
		if standby == e.BaseURL {
			r.add(index(at+".standby_urls", j), "is base_url")
		}
	}
	if e.TLSServerName != "" && !hostForm.MatchString(e.TLSServerName) {
		r.add(at+".tls_server_name", "want the name of a host, without port")
	}
	r.list(at+".aliases", e.Aliases)
	for j, alias := range e.Aliases {
		// An alias is only compared and rewritten, never called: how it would be reached does not matter.
		r.base(index(at+".aliases", j), alias, true)
	}
	e.validateCredentials(at, r)
	t := at + ".timeouts"
	r.between(t+".connect", e.Timeouts.Connect, 10*time.Millisecond, 10*time.Minute)
	r.between(t+".header", e.Timeouts.Header, 10*time.Millisecond, 10*time.Minute)
	r.between(t+".idle", e.Timeouts.Idle, 10*time.Millisecond, 10*time.Minute)
	r.between(t+".total", e.Timeouts.Total, 10*time.Millisecond, time.Hour)
	if e.Timeouts.Total < max(e.Timeouts.Connect, e.Timeouts.Header, e.Timeouts.Idle) {
		r.add(t+".total", "want at least the longest of connect, header and idle, %s",
			max(e.Timeouts.Connect, e.Timeouts.Header, e.Timeouts.Idle))
	}
	r.count(at+".retries", e.Retries, 0, 5)
	r.count(at+".max_connections", e.MaxConnections, 1, 10_000)
	e.Load.validate(at+".load", r)
	e.Breaker.validate(at+".breaker", r)
}

func (l *LoadLimits) validate(at string, r *report) {
	r.count(at+".requests", l.Requests, 1, 10_000)
	r.count(at+".queue", l.Queue, 0, 10_000)
	r.between(at+".wait", l.Wait, 0, time.Minute)
	r.count(at+".per_second", l.PerSecond, 0, 100_000)
	r.count(at+".burst", l.Burst, 0, 100_000)
	if l.Burst > 0 && l.PerSecond == 0 {
		r.add(at+".burst", "of no effect without per_second")
	}
}

func (b *Breaker) validate(at string, r *report) {
	r.count(at+".calls", b.Calls, 0, 10_000)
	r.count(at+".percent", b.Percent, 1, 100)
	r.between(at+".within", b.Within, time.Second, 10*time.Minute)
	r.between(at+".rest", b.Rest, 100*time.Millisecond, 10*time.Minute)
}

func (e *EHR) validateBase(at string, r *report) {
	plain, ok := e.validateAddress(at+".base_url", e.BaseURL, r)
	for _, standby := range e.StandbyURLs {
		plain = plain || strings.HasPrefix(standby, "http:")
	}
	if ok && !plain && e.InsecureHTTP {
		r.add(at+".insecure_http", "of no effect with an https base_url; leave it out")
	}
}

// validateAddress judges a URL to which patient data and credentials are sent, and says whether it is plain http.
func (e *EHR) validateAddress(at, value string, r *report) (plain, ok bool) {
	host, plain := r.base(at, value, true)
	if plain && host != "" && !loopback(host) && !e.InsecureHTTP {
		r.add(at, "want https: over http, patient data and the bearer cross the network in the clear "+
			"(insecure_http: true allows it)")
	}
	return plain, host != ""
}

// base reads a FHIR base URL, and returns its host and whether it is plain http; no host where it is none.
func (r *report) base(path, value string, plain bool) (string, bool) {
	u := r.url(path, value, plain)
	if u == nil {
		return "", false
	}
	if u.Path != "" && !pathForm.MatchString(u.EscapedPath()) {
		r.add(path, `want a path of letters, digits and "-._~", without empty or dot segments`)
		return "", false
	}
	return u.Hostname(), u.Scheme == "http"
}

func (r *report) name(path, value string) {
	if !nameForm.MatchString(value) {
		r.add(path, `want lower-case letters, digits, "-", "_" and ".", a letter or digit first, at most 64`)
	}
}
