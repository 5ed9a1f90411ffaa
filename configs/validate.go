package configs

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// validate reports every value that is missing, out of bounds or at odds with another. It looks at nothing outside the
// configuration.
func (c *Config) validate(r *report) {
	c.validateListeners(r)
	c.validateCORS(r)
	c.validateEHRs(r)
	c.validateIssuers(r)
	c.validateClients(r)
	c.validateStores(r)
	c.validateWitnesses(r)
	c.validateSinks(r)
	c.validatePolicy(r)
	c.validateLimits(r)
	r.between("dpop.max_age", c.DPoP.MaxAge, 5*time.Second, 5*time.Minute)
	r.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	r.oneOf("log.format", c.Log.Format, "json", "console")
	r.between("shutdown_timeout", c.ShutdownTimeout, 0, 10*time.Minute)
}

// validateStores judges the keys and folders of the vault and the access log.
func (c *Config) validateStores(r *report) {
	r.requiredSecret("vault.keyset", c.Vault.Keyset)
	r.required("vault.dir", c.Vault.Dir)
	r.required("access_log.dir", c.AccessLog.Dir)
	r.requiredSecret("access_log.signing_key", c.AccessLog.SigningKey)
	r.requiredSecret("access_log.patient_key", c.AccessLog.PatientKey)
	r.long("access_log.patient_key", c.AccessLog.PatientKey)
	r.size("access_log.segment_size", c.AccessLog.SegmentSize, 64<<10, 4<<30)
	r.between("access_log.segment_age", c.AccessLog.SegmentAge, time.Minute, 8760*time.Hour)
	r.count("access_log.retention_days", c.AccessLog.RetentionDays, 0, 36500)
	r.count("access_log.hold_days", c.AccessLog.HoldDays, 0, 3650)
	r.size("access_log.reserve", c.AccessLog.Reserve, 0, 64<<30)
	r.size("access_log.low_space", c.AccessLog.LowSpace, 0, 1<<40)
	r.between("access_log.witness_every", c.AccessLog.WitnessEvery, time.Second, 24*time.Hour)
	if r.required("access_log.origin", c.AccessLog.Origin) {
		switch origin := c.AccessLog.Origin; {
		case strings.Contains(origin, "://"):
			r.add("access_log.origin", "want host and path without scheme")
		case len(origin) > 128 || !originForm.MatchString(origin):
			r.add("access_log.origin", `want host and path, like "gw.example/audit", of letters, digits and "-._~"`)
		}
	}
	// The log's growth would look like a change of the bundle, and one store's clean-up could meet the other's files.
	if overlap(c.Vault.Dir, c.AccessLog.Dir) {
		r.add("access_log.dir", "one folder lies in the other: vault.dir and access_log.dir must be apart")
	}
	if overlap(c.Policy.Bundle, c.AccessLog.Dir) || overlap(c.Policy.Bundle, c.Vault.Dir) {
		r.add("policy.bundle", "must be apart from vault.dir and access_log.dir")
	}
	if overlap(c.Policy.Shadow, c.AccessLog.Dir) || overlap(c.Policy.Shadow, c.Vault.Dir) {
		r.add("policy.shadow", "must be apart from vault.dir and access_log.dir")
	}
}

func (c *Config) validateLimits(r *report) {
	l := c.Limits
	r.size("limits.header_bytes", l.HeaderBytes, 4<<10, 1<<20)
	r.size("limits.url_bytes", l.URLBytes, 256, l.HeaderBytes)
	r.size("limits.request_bytes", l.RequestBytes, 1<<10, 64<<20)
	r.between("limits.read_header_timeout", l.ReadHeaderTimeout, 100*time.Millisecond, 5*time.Minute)
	r.between("limits.read_body_timeout", l.ReadBodyTimeout, 100*time.Millisecond, 5*time.Minute)
	r.between("limits.idle_timeout", l.IdleTimeout, 100*time.Millisecond, time.Hour)
	r.between("limits.write_timeout", l.WriteTimeout, 100*time.Millisecond, time.Hour)
	r.size("limits.window", l.Window, 4<<10, 1<<20)
	if l.ResponseBytes != 0 && l.ResponseBytes < l.Window {
		r.add("limits.response_bytes", "want 0B, for no bound, or at least limits.window, %s", l.Window)
	}
	r.count("limits.concurrent_requests", l.ConcurrentRequests, 1, 1_000_000)
	r.between("limits.queue_time", l.QueueTime, 0, 10*time.Second)
	r.count("limits.client_concurrency", l.ClientConcurrency, 0, 1_000_000)
	r.count("limits.batch_entries", l.BatchEntries, 1, 10_000)
	r.between("limits.batch_time", l.BatchTime, 100*time.Millisecond, time.Hour)
	r.count("limits.patients_per_hour", l.PatientsPerHour, 0, 1_000_000)
	r.count("limits.calls_per_minute", l.CallsPerMinute, 0, 1_000_000)
	r.count("limits.source_calls_per_minute", l.SourceCallsPerMinute, 0, 1_000_000)
	r.between("limits.break_glass", l.BreakGlass, time.Minute, 4*time.Hour)
}

var originForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*$`)

// overlap tells whether two folders are one, or one lies in the other.
func overlap(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	inside := func(dir, base string) bool {
		rel, err := filepath.Rel(base, dir)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	}
	return inside(a, b) || inside(b, a)
}

func (r *report) required(path, value string) bool {
	if value == "" {
		r.add(path, "required")
	}
	return value != ""
}

func (r *report) requiredSecret(path string, s Secret) {
	if !s.IsSet() {
		r.add(path, "required")
	}
}

// long reports a set secret that is too short to keep anyone from guessing it.
func (r *report) long(path string, s Secret) {
	if s.IsSet() && len(s.get()) < 32 {
		r.add(path, "shorter than 32 characters")
	}
}

// header reports a set secret that cannot stand in an Authorization header: RFC 6750, section 2.1, b64token.
func (r *report) header(path string, s Secret) {
	if s.IsSet() && !b64token.Match(s.get()) {
		r.add(path, `want letters, digits and "-._~+/" alone, then perhaps "="`)
	}
}

var b64token = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

func (r *report) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.add(path, "want %s, not %q", either(allowed), value)
	}
}

// either writes a list as a choice: `"a", "b" or "c"`.
func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	last := len(quoted) - 1
	if last == 0 {
		return quoted[0]
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// list reports entries that are empty or given twice.
func (r *report) list(path string, values []string) {
	for i, v := range values {
		switch {
		case v == "":
			r.add(index(path, i), "empty")
		case slices.Contains(values[:i], v):
			r.add(index(path, i), "given twice")
		}
	}
}

func (r *report) between(path string, d Duration, least, most time.Duration) {
	if time.Duration(d) < least || time.Duration(d) > most {
		r.add(path, "want %s to %s, not %s", Duration(least), Duration(most), d)
	}
}

func (r *report) size(path string, b, least, most Bytes) {
	if b < least || b > most {
		r.add(path, "want %s to %s, not %s", least, most, b)
	}
}

func (r *report) count(path string, n, least, most int) {
	if n < least || n > most {
		r.add(path, "want %d to %d, not %d", least, most, n)
	}
}
