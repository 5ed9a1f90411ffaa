package vault

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A keyset file is JSON:
//
//	{
//	  "version": 1,
//	  "keys": [
//	    {"epoch": "1", "key": "<32 bytes, base64>", "created": "2026-01-31T00:00:00Z", "status": "enabled"},
//	    {"epoch": "2", "key": "<32 bytes, base64>", "created": "2026-07-31T00:00:00Z", "status": "primary"}
//	  ]
//	}
//
// Exactly one key is primary: it seals. Enabled ones only open. Removing a key makes its tokens strange to the gateway.
// An epoch's character must never be given to another key. Nothing of the file's content appears in an error.

const (
	keyBytes    = 32
	maxKeyset   = 64 << 10
	createdSkew = 24 * time.Hour // a clock that is off by less than this refuses no keyset
)

type masterKey struct {
	epoch   byte
	secret  secret
	created time.Time
}

// keyset is a parsed keyset file; immutable.
type keyset struct {
	keys    []masterKey
	primary int        // index into keys
	epochs  [256]uint8 // epoch character → index into keys + 1; 0: no such epoch
}

type keysetFile struct {
	Version int         `json:"version"`
	Keys    []keysetKey `json:"keys"`
}

type keysetKey struct {
	Epoch   string `json:"epoch"`
	Key     string `json:"key"`
	Created string `json:"created"`
	Status  string `json:"status"`
}

// NewKeyset returns the content of a keyset file with one new primary key, read from rand (crypto/rand.Reader).
func NewKeyset(rand io.Reader, now time.Time) ([]byte, error) {
	key := make([]byte, keyBytes)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, fmt.Errorf("vault: new key: %w", err)
	}
	doc, err := json.Marshal(keysetFile{Version: 1, Keys: []keysetKey{{
		Epoch:   "1",
		Key:     base64.StdEncoding.EncodeToString(key),
		Created: now.UTC().Format(time.RFC3339),
		Status:  "primary",
	}}}, jsontext.WithIndent("  "))
	if err != nil {
		return nil, err
	}
	return append(doc, '\n'), nil
}

// parseKeyset checks a keyset file and reports every problem at once.
func parseKeyset(doc []byte, now func() time.Time) (*keyset, error) {
	if now == nil {
		now = time.Now
	}
	if len(doc) > maxKeyset {
		return nil, fmt.Errorf("vault: keyset: longer than %d bytes", maxKeyset)
	}
	var file keysetFile
	if err := json.Unmarshal(doc, &file, json.RejectUnknownMembers(true)); err != nil {
		// The decoder's own text may quote the document.
		return nil, fmt.Errorf("vault: keyset: %s", place(err))
	}
	var problems []error
	problem := func(format string, a ...any) {
		problems = append(problems, fmt.Errorf("vault: keyset: "+format, a...))
	}
	if file.Version != 1 {
		problem("version is %d, and must be 1", file.Version)
	}
	if len(file.Keys) == 0 {
		problem("has no keys")
	}
	ks := &keyset{primary: -1}
	seen := map[secret]int{}
	primaries := 0
	for i, k := range file.Keys {
		m, ok := masterKey{}, false
		if len(k.Epoch) != 1 || digitValue[k.Epoch[0]] == noDigit {
			problem("keys[%d]: epoch must be one letter or digit", i)
		} else if m.epoch = k.Epoch[0]; ks.epochs[m.epoch] != 0 {
			problem("keys[%d]: epoch %q is given twice", i, k.Epoch)
		} else {
			ok = true
		}
		if raw, err := base64.StdEncoding.Strict().DecodeString(k.Key); err != nil || len(raw) != keyBytes {
			problem("keys[%d]: key must be %d bytes in base64", i, keyBytes)
		} else if m.secret = secret(raw); m.secret == (secret{}) {
			problem("keys[%d]: key is all zero", i)
		} else if j, twice := seen[m.secret]; twice {
			problem("keys[%d]: same key as keys[%d]", i, j)
		} else {
			seen[m.secret] = i
		}
		if t, err := time.Parse(time.RFC3339, k.Created); err != nil {
			problem("keys[%d]: created must be a time like 2026-01-31T00:00:00Z", i)
		} else if t.After(now().Add(createdSkew)) {
			problem("keys[%d]: created lies in the future", i)
		} else {
			m.created = t
		}
		switch k.Status {
		case "primary":
			primaries++
			ks.primary = len(ks.keys)
		case "enabled":
		default:
			problem("keys[%d]: status must be \"primary\" or \"enabled\"", i)
		}
		if ok {
			ks.keys = append(ks.keys, m)
			ks.epochs[m.epoch] = uint8(len(ks.keys))
		}
	}
	if primaries != 1 {
		problem("has %d primary keys, and must have one", primaries)
	}
	if len(problems) != 0 {
		return nil, errors.Join(problems...)
	}
	return ks, nil
}

// place says where a document stopped making sense, without quoting it.
func place(err error) string {
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("not valid JSON at byte %d", syntax.ByteOffset)
	case errors.As(err, &semantic):
		return fmt.Sprintf("unknown member or wrong type of value near byte %d", semantic.ByteOffset)
	}
	return "not a keyset"
}

// secret is a master key. It does not print.
type secret [keyBytes]byte

// Format prints no key, whatever the verb.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// MarshalText keeps a key out of JSON and log lines.
func (secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
