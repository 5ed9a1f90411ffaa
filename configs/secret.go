package configs

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that must not be seen. The configuration refers to it, as "env:NAME" (an environment variable) or
// "file:PATH" (a file, relative to the configuration's folder; one line end at its end is not part of the value), and
// [Parse] fetches it. Every printed, logged or marshalled form is "[redacted]", whether it is set or not.
//
// The zero Secret is unset.
type Secret struct {
	// On an unexported field fmt calls no methods, and for a verb that does not fit it looks behind one pointer: behind
	// two it prints an address.
	value     **[]byte
	reference string
}

// NewSecret returns a secret with a copy of value, for configurations made in Go. An empty value gives an unset one.
func NewSecret(value []byte) Secret {
	if len(value) == 0 {
		return Secret{}
	}
	var s Secret
	s.set(value)
	return s
}

func (s *Secret) set(value []byte) {
	v := bytes.Clone(value)
	p := &v
	s.value = &p
}

// get returns the value itself, nil where unset.
func (s Secret) get() []byte {
	if s.value == nil {
		return nil
	}
	return **s.value
}

// IsSet tells whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// Bytes returns a copy of the value, nil where unset.
func (s Secret) Bytes() []byte { return bytes.Clone(s.get()) }

// Value returns the value as text, empty where unset.
func (s Secret) Value() string { return string(s.get()) }

// Reference returns where the value came from, "env:NAME" or "file:PATH"; empty for a secret made in Go.
func (s Secret) Reference() string { return s.reference }

// Matches compares the value with what a caller presented, in a time that does not depend on either's content. Nothing
// matches an unset secret.
func (s Secret) Matches(presented string) bool {
	if s.value == nil {
		return false
	}
	want, got := sha256.Sum256(s.get()), sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[redacted]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string. Zerolog's Interface and Any use it.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML returns "[redacted]".
func (s Secret) MarshalYAML() (any, error) { return redacted, nil }

// LogValue returns "[redacted]" to log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
