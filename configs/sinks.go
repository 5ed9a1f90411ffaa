package configs

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
)

// Sink is where the records of the access log are handed on to, beside the log itself. It reads the log from a cursor of
// its own, in the folder access_log.dir with ".sinks" behind its name: a sink that is slow or down delays nobody and goes on where it was. Each
// record is delivered at least once, with the log's origin and its number.
type Sink struct {
	// Name is the sink's, in metrics, in /status and of its cursor. Required; each has its own. A new name begins with the
	// first record of the log.
	Name string `yaml:"name"`

	// Kind is what it hands records to: "syslog" (RFC 5424 over TLS, RFC 5425), "fhir" (AuditEvents of IHE BALP, on a
	// server that lets clients give ids), "otlp" (logs, to an OpenTelemetry collector by HTTP in JSON) or "postgres" (rows by
	// origin and number, which "halfdoor audit … --postgres" asks). Required.
	Kind string `yaml:"kind"`

	// Address is host and port of the syslog server; the port is mostly 6514. Required there, and of no use elsewhere.
	Address string `yaml:"address"`

	// URL is the base URL of the FHIR server, or the collector's for logs with its path, mostly /v1/logs: https, or http
	// where the host is loopback; or the database's, postgres://user@host:5432/database, whose only query is sslmode:
	// verify-full (default), or disable on loopback. It holds no password. Required there, and of no use elsewhere.
	URL string `yaml:"url"`

	// Bearer is sent to the FHIR server or collector as a bearer token. Default none.
	Bearer Secret `yaml:"bearer"`

	// Password is the database user's. Default none, for one that is known by its certificate.
	Password Secret `yaml:"password"`

	// CA is a PEM file of the authorities that may certify the server. Default: those of the system.
	CA string `yaml:"ca"`

	// Certificate and Key are PEM files by which the gateway proves to the server who it is. Default none; each needs the
	// other.
	Certificate string `yaml:"certificate"`
	// Key is the certificate's private key.
	Key string `yaml:"key"`
}

func (c *Config) validateSinks(r *report) {
	var names []string
	for i := range c.Sinks {
		s, at := &c.Sinks[i], index("sinks", i)
		if r.required(at+".name", s.Name) {
			r.name(at+".name", s.Name)
			if slices.Contains(names, s.Name) {
				r.add(at+".name", "another sink has this name, and its cursor")
			}
			names = append(names, s.Name)
		}
		if r.required(at+".kind", s.Kind) {
			r.oneOf(at+".kind", s.Kind, "syslog", "fhir", "otlp", "postgres")
		}
		s.validate(at, r)
	}
}

func (s *Sink) validate(at string, r *report) {
	useless := func(key string, set bool) {
		if set {
			r.add(at+"."+key, "of no use for the kind %s", s.Kind)
		}
	}
	switch s.Kind {
	case "syslog":
		if r.required(at+".address", s.Address) {
			r.remote(at+".address", s.Address)
		}
		useless("url", s.URL != "")
		useless("bearer", s.Bearer.IsSet())
		useless("password", s.Password.IsSet())
	case "fhir", "otlp":
		if r.required(at+".url", s.URL) {
			if u := r.url(at+".url", s.URL, true); u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
				r.add(at+".url", "want https, or a host on loopback")
			}
		}
		useless("address", s.Address != "")
		useless("password", s.Password.IsSet())
		r.header(at+".bearer", s.Bearer)
	case "postgres":
		if r.required(at+".url", s.URL) {
			r.database(at+".url", s.URL)
		}
		useless("address", s.Address != "")
		useless("bearer", s.Bearer.IsSet())
	}
	if (s.Certificate == "") != (s.Key == "") {
		r.add(at+".certificate", "certificate and key need each other")
	}
}

// database judges the URL of a PostgreSQL database. What was written is not repeated: it may hold a password.
func (r *report) database(path, value string) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || !hostForm.MatchString(u.Hostname()) && net.ParseIP(u.Hostname()) == nil || len(u.Path) < 2 || u.User.Username() == "" {
		r.add(path, `want "postgres://user@host:5432/database"`)
		return
	}
	if _, has := u.User.Password(); has {
		r.add(path, "want no password in a URL: it is a setting of its own")
	}
	switch mode := u.Query().Get("sslmode"); {
	case u.RawQuery != "" && u.RawQuery != "sslmode="+mode || u.Fragment != "":
		r.add(path, "want no query but sslmode")
	case u.RawQuery != "" && mode != "verify-full" && (mode != "disable" || !loopback(u.Hostname())):
		r.add(path, "want sslmode=verify-full, or disable where the host is loopback")
	}
}

// remote judges host and port of another machine.
func (r *report) remote(path, value string) {
	host, port, err := net.SplitHostPort(value)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if _, ipErr := netip.ParseAddr(host); err != nil || portErr != nil || n == 0 || ipErr != nil && !hostForm.MatchString(host) {
		r.add(path, `want "host:port", like "siem.example:6514"`)
	}
}
