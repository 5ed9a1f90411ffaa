package configs

import "net/netip"

// Config is the whole configuration of one gateway. Each comment says what the key means, its default, its unit, and
// what follows from it. A list element has its own defaults.
type Config struct {
	// PublicURL is the origin by which clients reach the gateway: https://host or https://host:port, without path,
	// query or trailing slash. Required. Every absolute URL that leaves (FHIR links, fullUrl, discovery documents) is
	// built from it, never from a request's Host header.
	PublicURL string `yaml:"public_url"`

	// Listen is the address of the FHIR listener, "host:port" with an IP address, "localhost" or nothing (every
	// interface) as host. Default 127.0.0.1:8443: nobody else on the network is served until it is changed. Port 0
	// takes a free one.
	Listen string `yaml:"listen"`

	// TLS is the FHIR listener's key pair and what it asks of clients. Required: there is no plain listener.
	TLS TLS `yaml:"tls"`

	// Admin is the listener for health, readiness, metrics and administrative acts.
	Admin Admin `yaml:"admin"`

	// EHRs are the FHIR servers behind the gateway, each under its own path. At least one is required.
	EHRs []EHR `yaml:"ehrs"`

	// Issuers are the authorization servers whose access tokens are accepted. At least one is required; a token of any
	// other is refused.
	Issuers []Issuer `yaml:"issuers"`

	// Clients says what particular OAuth clients are trusted with beyond their token. Default none. It is not a list of
	// who may call: a client that is not named here may call with a valid token, and is trusted with nothing more.
	Clients []Client `yaml:"clients"`

	// Policy is where the Rego policies and the datasets come from.
	Policy Policy `yaml:"policy"`

	// Vault keeps the keys that turn identifiers into tokens and back.
	Vault Vault `yaml:"vault"`

	// AccessLog is the durable record of every disclosure and refusal.
	AccessLog AccessLog `yaml:"access_log"`

	// TrustedProxies are the networks of reverse proxies in front of the gateway, as prefixes ("10.2.0.0/16") or single
	// addresses. Default none. Only from these is a forwarded client address believed, for the access log and the
	// policy; a prefix of length 0 is refused, since it would let anyone state any address.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`

	// Limits bound what one client can make the gateway hold or wait for.
	Limits Limits `yaml:"limits"`

	// Log is the operator's log on standard error. It is not the access log and holds no patient data.
	Log Log `yaml:"log"`

	// ShutdownTimeout is how long a drain may take: after it, calls still running are cut. A duration, from 0s to 10m;
	// default 30s. An orchestrator's own grace period must be longer.
	ShutdownTimeout Duration `yaml:"shutdown_timeout"`

	path string // of the configuration file; empty where it was parsed from memory
}

// TLS is a listener's key pair and what it asks of its clients. The files are read again when they change, without
// dropping connections.
type TLS struct {
	// Certificate is a PEM file: the listener's certificate, then its intermediates. Required. An expired one is refused.
	Certificate string `yaml:"certificate"`

	// Key is a PEM file: the private key that belongs to the certificate. Required. A file that others on the machine
	// can read is refused.
	Key string `yaml:"key"`

	// MinVersion is the lowest TLS version spoken: "1.3" or "1.2". Default "1.3". With "1.2", only ECDHE suites with
	// authenticated encryption are offered; older versions are never spoken.
	MinVersion string `yaml:"min_version"`

	// ClientCA is a PEM file of the authorities whose client certificates are accepted. Required by client_auth
	// "request" and "require", refused without them.
	ClientCA string `yaml:"client_ca"`

	// ClientAuth says whether clients show a certificate: "none" (not asked), "request" (asked; one that is shown must
	// be valid) or "require" (a connection without a valid one ends in the handshake). Default "none".
	ClientAuth string `yaml:"client_auth"`
}

// Admin is the administrative listener: /healthz, /readyz, /metrics and acts that change something.
type Admin struct {
	// Listen is its address, as for the FHIR listener. Default 127.0.0.1:9443.
	Listen string `yaml:"listen"`

	// Token is what a caller must present as a bearer token for an act that changes something; at least 32 characters.
	// Default none: then those acts are off, and only health and metrics answer. With a token, a listener that is not on
	// loopback must have tls.
	Token Secret `yaml:"token"`

	// TLS is the listener's own key pair. Default none: plain HTTP.
	TLS *TLS `yaml:"tls"`
}

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

	// Aliases are other base URLs by which the server names its own resources, in links, fullUrl and references, each
	// without trailing slash. Default none. Nothing is ever sent to them; they are rewritten like base_url in answers.
	Aliases []string `yaml:"aliases"`

	// Tenant is whose data it holds, by the grammar of name. Default "default". Token keys are derived per tenant and
	// client: EHRs of different tenants share none. Changing it makes tokens given out before useless.
	Tenant string `yaml:"tenant"`

	// Bearer is the gateway's own access token for the server, sent in the Authorization header. Default none: the
	// server is called without credentials. A client's own token is never passed on.
	Bearer Secret `yaml:"bearer"`

	// CA is a PEM file of the authorities that may certify the server. Default none: the system's. With a file, only its
	// authorities count.
	CA string `yaml:"ca"`

	// Timeouts bound each step of a call to the server.
	Timeouts Timeouts `yaml:"timeouts"`

	// MaxConnections is how many connections to the server may be open at once; calls beyond wait. Default 64, from 1
	// to 10000.
	MaxConnections int `yaml:"max_connections"`

	// InsecureHTTP allows base_url to be plain http on another host than loopback. Default false. Patient data and the
	// bearer then cross that network readable and changeable by anyone on it: only for a network that encrypts by other means.
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
	// default 60s.
	Total Duration `yaml:"total"`
}

// Issuer is an authorization server whose access tokens are accepted.
type Issuer struct {
	// URL is the issuer's identifier, exactly as the tokens' "iss" has it, trailing slash included. Required, unique.
	// https, or http where the host is loopback. Discovery and keys are fetched below it.
	URL string `yaml:"url"`

	// Audiences are the values of "aud" by which a token is meant for this gateway; one of them must be in the token.
	// At least one is required: without it, any service's token would open the gateway.
	Audiences []string `yaml:"audiences"`

	// Algorithms are the signature algorithms accepted: RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA.
	// Default RS256, PS256, ES256, ES384. Symmetric ones and "none" are refused. The token's own header chooses among
	// these only.
	Algorithms []string `yaml:"algorithms"`

	// ClockSkew is by how much the issuer's clock may differ when "exp", "nbf" and "iat" are judged. A duration, from 0s
	// to 5m; default 30s. A token lives longer by as much.
	ClockSkew Duration `yaml:"clock_skew"`

	// CA is a PEM file of the authorities that may certify the issuer. Default none: the system's. With a file, only its
	// authorities count.
	CA string `yaml:"ca"`

	// Claims says where the issuer's tokens hold what policies ask for.
	Claims Claims `yaml:"claims"`
}

// Claims are places in a token: names joined by dots ("realm_access.roles"), a dot inside a name written "\.".
// Wildcards, queries and modifiers are refused. What is not there is empty.
type Claims struct {
	// Roles holds the caller's roles: a list, or one text with roles separated by spaces. Default "roles".
	Roles string `yaml:"roles"`

	// Ticket holds the helpdesk ticket's id, if the issuer binds tokens to tickets. Default "ticket". It then outranks the
	// Ticket-Id header.
	Ticket string `yaml:"ticket"`

	// Category holds the ticket's category. Default "ticket_category".
	Category string `yaml:"category"`

	// Purpose holds the purpose of use (HL7 v3 PurposeOfUse). Default "purpose_of_use".
	Purpose string `yaml:"purpose"`
}

// Client says what one OAuth client is trusted with beyond its token.
type Client struct {
	// ID is the client's id, as the token has it. Required; unique per issuer.
	ID string `yaml:"id"`

	// Issuer is the url of one of issuers. Default: the only issuer, where there is one; required where there are more,
	// since two issuers may know different clients by one id.
	Issuer string `yaml:"issuer"`

	// TrustHeaders are the statements believed from this client by header: "category" (Ticket-Category) and "purpose"
	// (Purpose-Of-Use). Default none: then both come from the token's claims alone. Whoever holds this client's tokens
	// can then state them.
	TrustHeaders []string `yaml:"trust_headers"`
}

// Policy is where policies and datasets come from.
type Policy struct {
	// Bundle is a folder with Rego policies and datasets. Default none: the bundle inside the program. The folder is
	// watched; a change that does not compile leaves the policies in force as they were.
	Bundle string `yaml:"bundle"`
}

// Vault keeps the keys that turn identifiers into tokens and back.
type Vault struct {
	// Keyset is the token keys, as text made by the gateway's own command. Required. Who has it can turn every token
	// into the identifier behind it; if it is lost, no token opens again.
	Keyset Secret `yaml:"keyset"`

	// Dir is the folder for identifiers too long to fit a token, sealed. Required; made if missing. Replicas do not
	// share it.
	Dir string `yaml:"dir"`
}

// AccessLog is the durable record of disclosures and refusals. Without it nothing leaves: a log that cannot be written
// makes the gateway answer 503.
type AccessLog struct {
	// Dir is the folder of the log's segments. Required; made if missing. One gateway writes to it, on a disk that
	// survives the machine's restart. It is not among the files watched.
	Dir string `yaml:"dir"`

	// Origin is the log's name in its signed checkpoints, host and path without scheme ("gw.example/audit"). Required.
	// It is part of the signing key, and each replica has its own.
	Origin string `yaml:"origin"`

	// SigningKey signs the log's checkpoints, as text made for origin by the gateway's own command. Required. Who has it
	// can forge the log.
	SigningKey Secret `yaml:"signing_key"`

	// PatientKey keys the hashes by which the log names patients and parameter values: text of at least 32 characters,
	// used as it is. Required. It must outlive the log: with another key, a patient's past accesses are not found.
	PatientKey Secret `yaml:"patient_key"`

	// SegmentSize is what each segment file takes on disk from its start. Bytes, from 64KiB to 4GiB; default 64MiB.
	SegmentSize Bytes `yaml:"segment_size"`
}

// Limits bound what one client can make the gateway hold or wait for.
type Limits struct {
	// HeaderBytes is the largest request header, request line included; beyond it the answer is 431. Bytes, from 4KiB to
	// 1MiB; default 32KiB.
	HeaderBytes Bytes `yaml:"header_bytes"`

	// URLBytes is the longest request target; beyond it the answer is 414. Bytes, from 256B to header_bytes; default 8KiB.
	URLBytes Bytes `yaml:"url_bytes"`

	// ReadHeaderTimeout is how long a client may take to send a request's header. A duration, from 100ms to 5m; default 10s.
	ReadHeaderTimeout Duration `yaml:"read_header_timeout"`

	// IdleTimeout is how long a connection is kept between two requests. A duration, from 100ms to 1h; default 2m.
	IdleTimeout Duration `yaml:"idle_timeout"`

	// WriteTimeout is how long a client may take to accept one window of an answer; then the connection is cut. A
	// duration, from 100ms to 1h; default 30s. It bounds a pause, not the whole answer.
	WriteTimeout Duration `yaml:"write_timeout"`

	// Window is how much of an answer is filtered, recorded and released at a time, and what a stream holds. Bytes, from
	// 4KiB to 1MiB; default 64KiB. An answer that fits one needs a single access record; a failure within the first is a
	// clean error.
	Window Bytes `yaml:"window"`

	// ResponseBytes is the largest answer taken from an EHR; beyond it the stream is cut. Bytes, at least window; default
	// 0: no bound, since answers are streamed.
	ResponseBytes Bytes `yaml:"response_bytes"`

	// ConcurrentRequests is how many calls are served at once; beyond it the answer is 503 with Retry-After. Default
	// 1024, from 1 to 1000000.
	ConcurrentRequests int `yaml:"concurrent_requests"`
}

// Log is the operator's log.
type Log struct {
	// Level is the least severe message written: "debug", "info", "warn" or "error". Default "info".
	Level string `yaml:"level"`

	// Format is "json", one object a line, or "console", for reading by people. Default "json".
	Format string `yaml:"format"`
}
