package configs

import (
	"regexp"
	"slices"
	"strings"
)

// Witness is a server that cosigns the access log's checkpoints (C2SP tlog-witness), and so remembers what the log
// was: who puts the log back, even with its signing key, cannot put that back. It learns the log's origin, how many
// records there are and their hash, and no record. It has to know the log's public key, which "halfdoor check" prints.
type Witness struct {
	// Key is the witness's public verifier key, "<name>+<hash>+<key>", for cosignatures by Ed25519. Required; each has its
	// own.
	Key string `yaml:"key"`

	// URL is the witness's submission prefix, to which "/add-checkpoint" is added: https, or http where the host is loopback.
	// Required.
	URL string `yaml:"url"`

	// CA is a PEM file of the authorities that may certify the witness. Default: those of the system.
	CA string `yaml:"ca"`
}

// witnessKey is the form of a verifier key; the gateway checks the key itself when it starts.
var witnessKey = regexp.MustCompile(`^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{43,}=*$`)

func (c *Config) validateWitnesses(r *report) {
	var names []string
	for i, w := range c.AccessLog.Witnesses {
		at := index("access_log.witnesses", i)
		if r.required(at+".key", w.Key) {
			name, _, _ := strings.Cut(w.Key, "+")
			switch {
			case !witnessKey.MatchString(w.Key):
				r.add(at+".key", `want a verifier key, "<name>+<hash>+<key>"`)
			case slices.Contains(names, name):
				r.add(at+".key", "another witness has this name")
			}
			names = append(names, name)
		}
		if r.required(at+".url", w.URL) {
			if u := r.url(at+".url", w.URL, true); u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
				r.add(at+".url", "want https, or a host on loopback")
			}
		}
	}
}
