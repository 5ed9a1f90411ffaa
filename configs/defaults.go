package configs

import "time"

// Default returns a configuration with every default and nothing else: it lacks what is required.
func Default() *Config {
	c := new(Config)
	c.defaults()
	return c
}

// DefaultEHR returns an EHR with every default, for configurations made in Go.
func DefaultEHR() EHR {
	var e EHR
	e.defaults()
	return e
}

// DefaultIssuer returns an issuer with every default, for configurations made in Go.
func DefaultIssuer() Issuer {
	var i Issuer
	i.defaults()
	return i
}

// A defaulter is a struct that has defaults. The decoder calls it on each value before it reads the document into it,
// so that what the document states wins, zero included.
type defaulter interface{ defaults() }

func (c *Config) defaults() {
	c.Listen = "127.0.0.1:8443"
	c.TLS.defaults()
	c.Admin.Listen = "127.0.0.1:9443"
	c.Policy.Polling.defaults()
	c.AccessLog.SegmentSize = 64 << 20
	c.AccessLog.SegmentAge = Duration(24 * time.Hour)
	c.AccessLog.Compress = true
	c.AccessLog.HoldDays = 30
	c.AccessLog.WitnessEvery = seconds(60)
	c.AccessLog.Reserve, c.AccessLog.LowSpace = 128<<20, 1<<30
	c.Limits = Limits{
		HeaderBytes:        32 << 10,
		URLBytes:           8 << 10,
		RequestBytes:       1 << 20,
		ReadHeaderTimeout:  seconds(10),
		ReadBodyTimeout:    seconds(10),
		IdleTimeout:        seconds(120),
		WriteTimeout:       seconds(30),
		Window:             64 << 10,
		ConcurrentRequests: 1024,
		QueueTime:          Duration(200 * time.Millisecond),
		ClientConcurrency:  256,
		BatchEntries:       100,
		BatchTime:          seconds(120),
		PatientsPerHour:    200,
		BreakGlass:         seconds(15 * 60),
	}
	c.DPoP.MaxAge = seconds(60)
	c.Log = Log{Level: "info", Format: "json"}
	c.ShutdownTimeout = seconds(30)
}

func (t *TLS) defaults() {
	t.MinVersion = "1.3"
	t.ClientAuth = "none"
}

func (e *EHR) defaults() {
	e.Path = "/fhir"
	e.Tenant = "default"
	e.RequireBinding = "none"
	e.Timeouts = Timeouts{Connect: seconds(5), Header: seconds(15), Idle: seconds(15), Total: seconds(60)}
	e.MaxConnections = 64
	e.Load = LoadLimits{Requests: 64, Queue: 64, Wait: seconds(1)}
	e.Breaker = Breaker{Calls: 10, Percent: 50, Within: seconds(30), Rest: seconds(10)}
}

func (i *Issuer) defaults() {
	i.Algorithms = []string{"RS256", "PS256", "ES256", "ES384"}
	i.ClockSkew = seconds(30)
	i.Claims = Claims{
		Roles: "roles", Ticket: "ticket", Category: "ticket_category", Purpose: "purpose_of_use",
		Patient: "patient", Encounter: "encounter", FHIRUser: "fhirUser",
	}
}

func (n *Introspection) defaults() { n.Cache = seconds(60) }

func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }
