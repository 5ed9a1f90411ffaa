package configs

import (
	"strings"
	"time"
)

// Policy is where policies and datasets come from: the bundle inside the program, a folder or tarball, or a bundle server.
// Whichever it is, a bundle is checked wholly (syntax, types, datasets, its own tests) before it goes live; one that fails
// leaves the policies in force as they were, and readiness, /status and halfdoor_policy_current say so.
type Policy struct {
	// Bundle is a folder with Rego policies and datasets, or a tarball of one (".tar.gz" or ".tgz", as OPA's tools make it).
	// Default none: the bundle inside the program. It is watched.
	Bundle string `yaml:"bundle"`

	// Shadow is a candidate for the next bundle, a folder or tarball: it is asked about the same calls, off their way, and where
	// it would decide otherwise is counted and logged, without any effect. Default none. It is watched. One that does not
	// compile, or fails its own tests, is told of, and leaves everything as it is.
	Shadow string `yaml:"shadow"`

	// Server is an HTTP server from which the bundle comes, in place of bundle. Default none. This and what it goes by last as
	// long as the process: a reload that changes them is refused. With the server down, a start takes the last good bundle of
	// persist; without one the gateway is not ready, and refuses every call as policy-missing until a bundle came.
	Server *BundleServer `yaml:"server"`

	// Resource is the bundle's path below server.url: "bundles/halfdoor.tar.gz". Required with server, unless there is a
	// discovery.
	Resource string `yaml:"resource"`

	// Polling says how often the server is asked. An answer that has not changed (ETag) costs no more than the question.
	Polling Polling `yaml:"polling"`

	// Signing says by whom a bundle has to be signed. Required with server, possible with a tarball; the signature of a
	// folder is not checked.
	Signing *Signing `yaml:"signing"`

	// InsecureUnsignedBundle takes bundles from a server without a signature. Default false. Whoever can answer for the
	// server then decides who may see what; it is safe only with a server and a way to it that are trusted like the gateway.
	InsecureUnsignedBundle bool `yaml:"insecure_unsigned_bundle"`

	// Persist is the folder in which the last good bundle is kept. Required with server; made if missing. Its signature is
	// verified again when it is read.
	Persist string `yaml:"persist"`

	// Discovery is the path of a discovery bundle below server.url, in place of resource: signed in the same way, it says
	// where the bundle is (its data: bundles.halfdoor.resource and .polling) and labels, and nothing else. Default none.
	Discovery string `yaml:"discovery"`

	// Status reports to the server which bundle is live, and why another is not (OPA's status API). Default false.
	Status bool `yaml:"status"`

	// DecisionLogs sends decisions to a security team's collector as well. Default: to nobody.
	DecisionLogs DecisionLogs `yaml:"decision_logs"`
}

// BundleServer is an HTTP server with bundles. What is said there is OPA's protocol: any web server with files will do.
type BundleServer struct {
	// URL is its base. Required. https; http on loopback, or for what needs no secrecy: bundles that are signed, without
	// bearer, status and decision logs.
	URL string `yaml:"url"`

	// Bearer is an access token that it is shown. Default none. A file is read again at each call.
	Bearer Secret `yaml:"bearer"`

	// Certificate is a PEM file of the gateway's own certificate, for a server that asks for one (mTLS). Default none.
	Certificate string `yaml:"certificate"`

	// Key is a PEM file of its private key. Required with certificate.
	Key string `yaml:"key"`

	// CA is a PEM file of the authorities that may certify the server. Default none: the system's.
	CA string `yaml:"ca"`
}

// Polling says how often a bundle server is asked. Whole seconds.
type Polling struct {
	// Min is the shortest pause; one between it and max is chosen by chance. A duration, from 1s to 1h; default 30s.
	Min Duration `yaml:"min"`

	// Max is the longest pause, after failures as well. A duration, from 1s to 1h; default 1m.
	Max Duration `yaml:"max"`

	// LongPollingTimeout is how long a server that can do so may wait for something new before it answers, so that a new
	// bundle comes at once. A duration, from 1s to 1h; default 0s: it is not asked to.
	LongPollingTimeout Duration `yaml:"long_polling_timeout"`
}

// Signing says by whom a bundle has to be signed.
type Signing struct {
	// Keys are the public keys; a bundle is signed by one of them, which its signature names. At least one is required. To
	// rotate: add the new one, sign by it, drop the old one.
	Keys []SigningKey `yaml:"keys"`

	// Scope is what the signature has to state as its scope, so that a bundle for another system is not taken. Default none:
	// it must state none.
	Scope string `yaml:"scope"`
}

// SigningKey is a public key that bundles are signed for.
type SigningKey struct {
	// ID is its name in signatures. Required.
	ID string `yaml:"id"`

	// Algorithm is the only one that it is used with: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or ES512.
	// Default "ES256".
	Algorithm string `yaml:"algorithm"`

	// File is a PEM file of the public key, or of a certificate with it. Required.
	File string `yaml:"file"`
}

// DecisionLogs is OPA's decision log: each decision with what the policy was told, without ids of patients. It drops events
// when its buffer is full or its mask (data.system.log.mask) fails, and it is never the access record: that is access_log.
type DecisionLogs struct {
	// Server sends them to the bundle server's /logs. Default false.
	Server bool `yaml:"server"`

	// Console writes them into the operator's log. Default false.
	Console bool `yaml:"console"`
}

// Tarball tells whether bundle names a tarball.
func (p *Policy) Tarball() bool { return tarball(p.Bundle) }

func tarball(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

func bundleKind(name string) fileKind {
	if tarball(name) {
		return publicFile
	}
	return readDir
}

func (p *Polling) defaults() {
	p.Min, p.Max = seconds(30), seconds(60)
}

func (k *SigningKey) defaults() { k.Algorithm = "ES256" }

// validatePolicy judges where policies come from, and that what comes from elsewhere is signed.
func (c *Config) validatePolicy(r *report) {
	p := &c.Policy
	r.second("policy.polling.min", p.Polling.Min)
	r.second("policy.polling.max", p.Polling.Max)
	if p.Polling.Max < p.Polling.Min {
		r.add("policy.polling.max", "less than policy.polling.min")
	}
	if p.Polling.LongPollingTimeout != 0 {
		r.second("policy.polling.long_polling_timeout", p.Polling.LongPollingTimeout)
	}
	if p.Signing != nil {
		p.Signing.validate(r)
	}
	if p.Server != nil {
		c.validateServer(r)
		return
	}
	if p.Signing != nil && !p.Tarball() {
		r.add("policy.signing", "of no effect without a server or a tarball: the signature of a folder is not checked")
	}
	for _, of := range []struct {
		key string
		set bool
	}{
		{"resource", p.Resource != ""}, {"insecure_unsigned_bundle", p.InsecureUnsignedBundle}, {"persist", p.Persist != ""},
		{"discovery", p.Discovery != ""}, {"status", p.Status}, {"decision_logs.server", p.DecisionLogs.Server}, {"decision_logs.console", p.DecisionLogs.Console},
	} {
		if of.set {
			r.add("policy."+of.key, "of no effect without policy.server")
		}
	}
}

func (c *Config) validateServer(r *report) {
	p := &c.Policy
	const at = "policy.server"
	if p.Bundle != "" {
		r.add("policy.bundle", "of no effect with policy.server; leave out one of them")
	}
	s := p.Server
	r.header(at+".bearer", s.Bearer)
	if (s.Certificate == "") != (s.Key == "") {
		r.add(at+".certificate", "certificate and key need each other")
	}
	if s.Certificate != "" && s.Bearer.IsSet() {
		r.add(at+".bearer", "of no effect with certificate; leave out one of them")
	}
	if r.required(at+".url", s.URL) {
		u := r.url(at+".url", s.URL, true)
		if u != nil && u.Scheme == "http" && !loopback(u.Hostname()) &&
			(p.Signing == nil || s.Bearer.IsSet() || p.Status || p.DecisionLogs.Server) {
			r.add(at+".url", "want https: over http anyone on the way reads and changes what is not signed")
		}
	}
	switch {
	case p.Resource == "" && p.Discovery == "":
		r.add("policy.resource", "required with policy.server")
	case p.Resource != "" && p.Discovery != "":
		r.add("policy.resource", "of no effect with policy.discovery; leave out one of them")
	}
	r.below("policy.resource", p.Resource)
	r.below("policy.discovery", p.Discovery)
	r.required("policy.persist", p.Persist)
	if overlap(p.Persist, c.AccessLog.Dir) || overlap(p.Persist, c.Vault.Dir) {
		r.add("policy.persist", "must be apart from vault.dir and access_log.dir")
	}
	switch {
	case p.Signing == nil && !p.InsecureUnsignedBundle:
		r.add("policy.signing", "required with policy.server: anyone could change an unsigned bundle on its way (insecure_unsigned_bundle allows it)")
	case p.Signing != nil && p.InsecureUnsignedBundle:
		r.add("policy.insecure_unsigned_bundle", "of no effect with policy.signing; leave out one of them")
	}
}

func (s *Signing) validate(r *report) {
	const at = "policy.signing"
	if len(s.Keys) == 0 {
		r.add(at+".keys", "at least one is required")
	}
	if !printable(s.Scope) {
		r.add(at+".scope", "want printable ASCII, at most 256")
	}
	for i, k := range s.Keys {
		at := index(at+".keys", i)
		if r.required(at+".id", k.ID) && !printable(k.ID) {
			r.add(at+".id", "want printable ASCII, at most 256")
		}
		for j, other := range s.Keys[:i] {
			if k.ID != "" && other.ID == k.ID {
				r.add(at+".id", "the id of keys[%d] too", j)
			}
		}
		r.oneOf(at+".algorithm", k.Algorithm, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
		r.required(at+".file", k.File)
	}
}

// below reports a path that does not lie below the server's URL.
func (r *report) below(path, value string) {
	if strings.Contains(value, "://") || strings.HasPrefix(value, "file:") {
		r.add(path, "want a path below policy.server.url")
	}
}

// second reports a duration that is not of whole seconds, up to an hour.
func (r *report) second(path string, d Duration) {
	if r.between(path, d, time.Second, time.Hour); time.Duration(d)%time.Second != 0 {
		r.add(path, "want whole seconds")
	}
}
