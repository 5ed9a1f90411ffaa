// Package vault turns identifiers into tokens and tokens back into identifiers.
//
// A token stands for one value of one kind at one EHR, for one client of one tenant. The same value gives the same
// token every time, so a client can compare, store and send it back; another client, tenant, EHR or kind gets an
// unrelated token, and a token opens only where all four are the same. Whoever holds no key learns nothing from a
// token but the form of its value (a decimal number, a UUID, other) and, for the other forms, its length.
//
// The id of a resource becomes a token that is itself a valid FHIR id (R4, section 2.24.0.1: at most 64 of
// A-Z a-z 0-9 - .), so that any FHIR client can use it as one:
//
//   - 't', the epoch's character, and the base62 text of the AES-SIV-sealed id (RFC 5297), where that fits: a decimal
//     number takes 36 characters, a UUID 47, any other id of up to 38 characters at most 64;
//   - 'v', the epoch's character, and the base62 text of an HMAC-SHA-256 for a longer id. What opens it is kept in a
//     file (see mapping.go), sealed, and on disk before the token is handed out. Tokens of that form open only where
//     that file is.
//
// The value of any other element (kind has a dot: "Patient.identifier.value") may be any bytes, and its token may be
// longer than 64 characters; it is never kept in a file.
//
// What need not be turned back is hashed (AppendHash), and the dates of a patient are moved by days that a key says
// (Shift); see disguise.go.
//
// Keys are derived with HKDF-SHA-256 (RFC 5869) for each tenant, client, epoch and purpose from the master key of an
// epoch; see keyset.go. The primary epoch seals, the others only open; the days by which dates move are the tenant's, and
// of the oldest epoch.
//
// Refused: a resource id that is no FHIR id; a long id without a file, or once writing the file has failed; every
// token text but the one that AppendToken gives, always with ErrNotToken, whatever was wrong with it.
package vault

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

var (
	// ErrNotToken says that a text is no token of this client, for this kind, at this EHR. There is one such error, so
	// that it tells nobody which of these it was.
	ErrNotToken = errors.New("vault: not a token")
	// ErrNotLink is ErrNotToken for sealed links.
	ErrNotLink = errors.New("vault: not a sealed link")
	// ErrNotID says that the id of a resource is not a valid FHIR id, or that a kind is empty.
	ErrNotID = errors.New("vault: not a FHIR id")
	// ErrTooLong says that a value is longer than MaxValue, or the content of a link longer than MaxLink.
	ErrTooLong = errors.New("vault: value too long")
	// ErrNoMapping says that an id is too long to be sealed into its token and that Options.Dir is empty.
	ErrNoMapping = errors.New("vault: long id, and no folder to map it in")
	// ErrMapping says that the mapping of a long id could not be made durable. It stays: after one failure no long id
	// is tokenised until the vault is opened anew.
	ErrMapping = errors.New("vault: mapping of long ids failed")
	// ErrLocked says that another process, or another Vault, has the mapping file open.
	ErrLocked = errors.New("vault: mapping file is in use")
	// ErrClosed says that the vault has been closed.
	ErrClosed = errors.New("vault: closed")
)

// MaxValue is the longest value of an element, in bytes.
const MaxValue = 64 << 10

// Options say where a vault has its keys and its file.
type Options struct {
	// Keyset is the content of a keyset file, as NewKeyset writes it. Required.
	Keyset []byte
	// Dir is the folder of the mapping file for long ids; it is made where it does not exist. Empty: none, and ids that
	// need it are refused.
	Dir string
	// Now is the clock, for the check of the keyset's dates. Default time.Now.
	Now func() time.Time
}

// Vault holds the keys of all clients. It is safe for concurrent use.
type Vault struct {
	keys      *keyset
	clients   *clientCache
	mapping   *mapping  // nil: no folder
	scratches sync.Pool // of *scratch
	close     func() error
}

// Open checks the keyset, reporting all that is wrong with it, and loads the mapping file. ErrLocked means that
// another process has it.
func Open(o Options) (*Vault, error) {
	ks, err := parseKeyset(o.Keyset, o.Now)
	if err != nil {
		return nil, err
	}
	if o.Dir == "" {
		return newVault(ks, nil), nil
	}
	m, err := openMapping(o.Dir)
	if err != nil {
		return nil, err
	}
	return newVault(ks, m), nil
}

// Reload returns a vault with another keyset and the mapping file of this one, which stays open until both are closed:
// so that a new generation can be built while requests are served by the old one.
func (v *Vault) Reload(o Options) (*Vault, error) {
	ks, err := parseKeyset(o.Keyset, o.Now)
	if err != nil {
		return nil, err
	}
	if o.Dir == "" || v.mapping == nil || !v.mapping.in(o.Dir) {
		return Open(o)
	}
	if err := v.mapping.retain(); err != nil {
		return nil, err
	}
	return newVault(ks, v.mapping), nil
}

func newVault(ks *keyset, m *mapping) *Vault {
	v := &Vault{keys: ks, clients: newClientCache(ks), mapping: m, scratches: sync.Pool{New: func() any { return new(scratch) }}}
	v.close = sync.OnceValue(func() error {
		if v.mapping == nil {
			return nil
		}
		return v.mapping.release()
	})
	return v
}

// Err is nil while the vault can make the mapping of a long id durable, or has none to make. A vault with an error
// still opens tokens and seals short ids; it is for readiness.
func (v *Vault) Err() error {
	if v.mapping == nil {
		return nil
	}
	return v.mapping.failure()
}

// Damaged counts the complete lines of the mapping file that were unreadable when it was opened. The tokens that they
// held do not open; each is written again when its id is next tokenised.
func (v *Vault) Damaged() int {
	if v.mapping == nil {
		return 0
	}
	return v.mapping.damaged
}

// Close releases the mapping file. Long ids are then neither tokenised nor opened; the rest goes on working, for the
// requests that are still under way.
func (v *Vault) Close() error { return v.close() }

// Sealer returns a Sealer for one request by a client of tenant (may be empty) at the named EHR. The client's keys are
// derived at its first request and remembered for later ones.
func (v *Vault) Sealer(tenant, client, ehr string) (*Sealer, error) {
	if client == "" || ehr == "" {
		return nil, errors.New("vault: a sealer needs a client and an EHR")
	}
	keys := v.clients.get(tenant, client)
	primary, err := keys.epoch(v.keys.primary)
	if err != nil {
		return nil, err
	}
	return &Sealer{vault: v, keys: keys, primary: primary, ehr: ehr}, nil
}

// Format prints no key, whatever the verb.
func (v *Vault) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault [redacted]") }
