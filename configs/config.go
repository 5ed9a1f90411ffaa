package configs

import "net/netip"

// Config is the whole configuration of one gateway. Each comment says what the key means, its default, its unit, and
// what follows from it. A list element has its own defaults.
//
// A changed file counts for the calls that come after the reload, but for listen, admin.listen, access_log, sinks and
// limits.concurrent_requests: these last as long as the process, and a reload that changes one is refused.
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

	// Sinks are where the records of the access log are handed on to. Default none.
	Sinks []Sink `yaml:"sinks"`

	// TrustedProxies are the networks of reverse proxies in front of the gateway, as prefixes ("10.2.0.0/16") or single
	// addresses. Default none. Only from these is a forwarded client address believed, for the access log and the
	// policy; a prefix of length 0 is refused, since it would let anyone state any address.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`

	// DPoP says how proofs of possession are judged (RFC 9449), which clients send with tokens that are bound to a key.
	DPoP DPoP `yaml:"dpop"`

	// CORS says which web pages a browser lets call the gateway.
	CORS CORS `yaml:"cors"`

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

// DPoP says how proofs of possession are judged. A proof is good for one call; which were used is remembered in this
// process, so that another replica behind the same name would take a proof once more within max_age.
type DPoP struct {
	// MaxAge is how long a proof is good after it was made, by the client's clock. A duration, from 5s to 5m; default 1m.
	// A proof is never taken from more than 30 seconds in the future.
	MaxAge Duration `yaml:"max_age"`

	// RequireNonce demands that a proof has a nonce that the gateway handed out within the last minutes, so that nobody can
	// make proofs for later use. Default false: a client's first call costs it a 401 that tells the nonce, which not every
	// client understands.
	RequireNonce bool `yaml:"require_nonce"`
}

// CORS says which web pages a browser lets call the gateway (Fetch standard, "CORS protocol"). Calls are
// authenticated by bearer token alone; no cookie is ever read, and credentials are never allowed.
type CORS struct {
	// Origins are those of the pages, exactly as browsers send them: https://app.example, without path, and without the
	// port where it is the default one; http on loopback only. Default none: no page of another origin can read an
	// answer. There is no wildcard.
	Origins []string `yaml:"origins"`
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

	// Switches is the file in which is kept what administrators switched off (POST /switches, "halfdoor switch"), so that a
	// restart does not switch it on. Default none: switches.json in vault.dir. One that cannot be read keeps the gateway from
	// starting; where a reload names another, what is off is kept there from then on.
	Switches string `yaml:"switches"`
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

	// SegmentAge is how old a segment's first record may be when the next segment is begun. A duration, from 1m to 8760h;
	// default 24h.
	SegmentAge Duration `yaml:"segment_age"`

	// Compress replaces each segment that is not written any more by a compressed one (*.jsonl.zst, which any zstd
	// unpacks), once that was read back. Default true.
	Compress bool `yaml:"compress"`

	// RetentionDays is for how many days records are kept: segments of which every record is older are removed, and what is
	// left still verifies, from there on. From 1 to 36500; default 0, which keeps everything. HIPAA asks for six years (2192).
	RetentionDays int `yaml:"retention_days"`

	// HoldDays is for how many days longer than retention_days a segment is kept that a sink has not delivered, or a witness
	// not cosigned. It is given up sooner while less than low_space is free, or the reserve is spent: the record of the
	// removal then says who had not got what. From 0, which waits for nobody, to 3650; default 30.
	HoldDays int `yaml:"hold_days"`

	// RetiringKey is the key that signed the log until now, where signing_key is a new one: the first start with both has
	// the old key introduce the new one, and may then go on without it. Default none.
	RetiringKey Secret `yaml:"retiring_key"`

	// Reserve is space that the log holds on its disk, in the file "reserve", and gives up when no more than that is left:
	// from then on refusals before authentication are only summed, so that authenticated calls still have room for their
	// records. Bytes, to 64GiB; default 128MiB. 0 holds none.
	Reserve Bytes `yaml:"reserve"`

	// LowSpace is how much free space on the log's disk is told of: a warning in the operator's log, a metric, and
	// readiness, which says "degraded". Bytes, to 1024GiB; default 1GiB. 0 tells of none.
	LowSpace Bytes `yaml:"low_space"`

	// Witnesses are shown the log's checkpoint, and cosign it. Default none.
	Witnesses []Witness `yaml:"witnesses"`

	// WitnessEvery is how long the gateway waits before it shows the witnesses the newest checkpoint again: at most so much
	// of the log can be put back unseen, while they answer. A duration, from 1s to 24h; default 1m.
	WitnessEvery Duration `yaml:"witness_every"`
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

	// RequestBytes is the largest request body; beyond it the answer is 413. A call holds its body whole, and it is read
	// from authenticated callers alone. Bytes, from 1KiB to 64MiB; default 1MiB.
	RequestBytes Bytes `yaml:"request_bytes"`

	// ReadBodyTimeout is how long a client may take to send a request's body; then the answer is 408. A duration, from
	// 100ms to 5m; default 10s.
	ReadBodyTimeout Duration `yaml:"read_body_timeout"`

	// IdleTimeout is how long a connection is kept between two requests. A duration, from 100ms to 1h; default 2m.
	IdleTimeout Duration `yaml:"idle_timeout"`

	// WriteTimeout is how long a client may take to accept one window of an answer; then the connection is cut. A
	// duration, from 100ms to 1h; default 30s. It bounds a pause, not the whole answer.
	WriteTimeout Duration `yaml:"write_timeout"`

	// Window is how much of an answer is filtered, recorded and released at a time, and what a stream holds. Bytes, from
	// 4KiB to 1MiB; default 64KiB. An answer that fits one needs a single access record; a failure within the first is a
	// clean error. Each window is a record that is made durable, and what comes of a slow EHR waits until one is full: with
	// 192KiB answers of 200 KB and more took a tenth less processor time, and each call that much more memory.
	Window Bytes `yaml:"window"`

	// ResponseBytes is the largest answer taken from an EHR; beyond it the stream is cut. Bytes, at least window; default
	// 0: no bound, since answers are streamed.
	ResponseBytes Bytes `yaml:"response_bytes"`

	// ConcurrentRequests is how many calls are served at once; beyond it the answer is 503 with Retry-After. Default
	// 1024, from 1 to 1000000.
	ConcurrentRequests int `yaml:"concurrent_requests"`

	// QueueTime is how long a call waits for another to end where concurrent_requests are served; an eighth of as many may
	// wait. A duration from 0s, nobody waits, to 10s; default 200ms.
	QueueTime Duration `yaml:"queue_time"`

	// ClientConcurrency is how many calls one client of an issuer may have under way at once; beyond it the answer is 429
	// with Retry-After. So a client that takes its answers slowly, or asks a slow EHR, leaves room for others. Default 256,
	// from 0, no limit, to 1000000.
	ClientConcurrency int `yaml:"client_concurrency"`

	// BatchEntries is how many entries a batch or transaction may have; beyond it the answer is 413. Default 100, from 1
	// to 10000. A batch is one of the concurrent requests, however many it has: they are served one after the other.
	BatchEntries int `yaml:"batch_entries"`

	// BatchTime is how long all entries of a batch may take together; those that are left then are answered 504, each in
	// its place. A transaction that is not ready to be sent to the EHR by then is refused. A duration, from 100ms to 1h;
	// default 2m.
	BatchTime Duration `yaml:"batch_time"`

	// PatientsPerHour is of how many distinct patients one actor (a subject at a client of an issuer) may be told within
	// any sixty minutes; beyond it the answer is 429, or is cut before the window that names one more. Default 200, from
	// 1 to 1000000; 0 is no limit. A list counts each patient that it names; one who was named within the hour costs
	// nothing. It is counted in memory: a restart begins anew.
	PatientsPerHour int `yaml:"patients_per_hour"`

	// CallsPerMinute is how many calls one client of an issuer may make in a minute, with a minute's calls at once at
	// most; beyond it the answer is 429 with Retry-After. Default 0: no limit; at most 1000000.
	CallsPerMinute int `yaml:"calls_per_minute"`

	// SourceCallsPerMinute is the same for one network address (of IPv6, a /64), judged before the caller is known, so
	// that whoever tries out tokens is slowed down. Default 0: no limit; at most 1000000. Everyone behind one proxy
	// shares an address, unless it is among trusted_proxies.
	SourceCallsPerMinute int `yaml:"source_calls_per_minute"`

	// BreakGlass is how long emergency access, which a caller asks for by the header Break-Glass and a policy grants, lasts
	// for that account and ticket; it can be opened again 12 hours after its end. A duration, from 1m to 4h; default 15m. It is
	// remembered in memory: a restart begins anew.
	BreakGlass Duration `yaml:"break_glass"`
}

// Log is the operator's log.
type Log struct {
	// Level is the least severe message written: "debug", "info", "warn" or "error". Default "info".
	Level string `yaml:"level"`

	// Format is "json", one object a line, or "console", for reading by people. Default "json".
	Format string `yaml:"format"`
}
