package vault

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

const (
	nameBytes = 16 // of the HMAC that names a long id
	maxToken  = 64 // a token for a resource's id is a FHIR id

	scratchKept = 512 << 10 // bytes with which a Sealer's memory is used again
)

// Sealer makes and opens the tokens of one client at one EHR, for one request. It remembers the tokens it made, up to
// a bound, so that its cost grows with the distinct ids of an answer. It is not safe for concurrent use.
type Sealer struct {
	vault    *Vault
	keys     *clientKeys
	primary  *epochKeys
	ehr      string
	*scratch // nil until there is work, and when it was released
}

// scratch is a Sealer's memory, which another uses again, wiped.
type scratch struct {
	memo
	ad     []byte // associated data
	plain  []byte // a packed value, or a decoded token
	sealed []byte // a sealed value, or an opened token
	other  bound  // where the memo has none
}

// ready has memory for the Sealer.
func (s *Sealer) ready() {
	if s.scratch == nil {
		s.scratch = s.vault.scratches.Get().(*scratch)
	}
}

// AppendToken appends the token of value to dst. kind is the type of the resource whose id the value is, or, with a dot
// in it, the path of another element. On an error (ErrNotID, ErrTooLong, ErrNoMapping, ErrMapping) nothing is appended.
func (s *Sealer) AppendToken(dst []byte, kind string, value []byte) ([]byte, error) {
	s.ready()
	k, to := s.bound(s.primary, kind)
	if k < 0 || len(value) > memoValue {
		return s.seal(dst, kind, to, value)
	}
	token, hash := s.find(k, value)
	if token != nil {
		return append(dst, token...), nil
	}
	out, err := s.seal(dst, kind, to, value)
	if err == nil {
		s.add(k, hash, value, out[len(dst):])
	}
	return out, err
}

// Release has the Sealer forget what it made tokens of, so that another can use the memory. It is for the end of the
// request; a Sealer that is used after it begins anew.
func (s *Sealer) Release() {
	if s.scratch == nil {
		return
	}
	if s.wipe(); cap(s.text)+cap(s.plain)+cap(s.sealed) <= scratchKept {
		s.vault.scratches.Put(s.scratch)
	}
	s.scratch = nil
}

// wipe overwrites what was of a patient, or of a client's keys.
func (d *scratch) wipe() {
	d.empty()
	for _, b := range []*[]byte{&d.ad, &d.plain, &d.sealed} {
		clear((*b)[:cap(*b)])
		*b = (*b)[:0]
	}
	d.other = bound{}
}

// seal appends a token that is not remembered; on an error, nothing.
func (s *Sealer) seal(dst []byte, kind string, to *bound, value []byte) ([]byte, error) {
	resource := isResource(kind)
	switch {
	case kind == "" || resource && len(value) > maxID:
		return dst, ErrNotID
	case len(value) > MaxValue:
		return dst, ErrTooLong
	}
	s.plain = appendPacked(s.plain[:0], value)
	switch {
	case resource && s.plain[0] == packRaw:
		return dst, ErrNotID
	case resource && 2+encodedLen(sivBytes+len(s.plain)) > maxToken:
		return s.sealLong(dst, kind)
	}
	s.sealed = s.primary.token.seal(s.sealed[:0], to, s.plain)
	return appendBase62(append(dst, 't', s.primary.epoch), s.sealed), nil
}

// sealLong names the id in s.plain and makes what opens the name durable.
func (s *Sealer) sealLong(dst []byte, kind string) ([]byte, error) {
	m := s.vault.mapping
	if m == nil {
		return dst, ErrNoMapping
	}
	mac := hmac.New(sha256.New, s.primary.named)
	mac.Write(s.bind(domainLong, kind))
	mac.Write(s.plain)
	name := mapName{epoch: s.primary.epoch, mac: [nameBytes]byte(mac.Sum(nil))}
	out := name.appendToken(dst)
	s.primary.maps.bind(&s.other, s.bindName(kind, name))
	s.sealed = s.primary.maps.seal(s.sealed[:0], &s.other, s.plain)
	// What is in the file already must be this very id: never a token that opens as another, or not at all.
	switch kept, err := m.get(name); {
	case err != nil:
		return dst, err
	case kept == nil:
		if err := m.add(name, string(out[len(dst):]), s.sealed); err != nil {
			return dst, err
		}
	case !bytes.Equal(kept, s.sealed):
		return dst, fmt.Errorf("%w: an entry is not what was written", ErrMapping)
	}
	return out, nil
}

// Open returns the value of a token for this kind, or ErrNotToken.
func (s *Sealer) Open(kind, token string) (string, error) {
	if len(token) < 3 || len(token) > 2+encodedLen(sivBytes+1+MaxValue) || kind == "" {
		return "", ErrNotToken
	}
	resource := isResource(kind)
	if resource && len(token) > maxToken {
		return "", ErrNotToken
	}
	i := s.vault.keys.epochs[token[1]]
	if i == 0 {
		return "", ErrNotToken
	}
	keys, err := s.keys.epoch(int(i) - 1)
	if err != nil {
		return "", ErrNotToken
	}
	s.ready()
	raw, ok := appendDecoded(s.plain[:0], token[2:])
	s.plain = raw
	if !ok {
		return "", ErrNotToken
	}
	switch {
	case token[0] == 't':
		_, to := s.bound(keys, kind)
		s.sealed, ok = keys.token.open(s.sealed[:0], to, raw)
	case token[0] == 'v' && resource && s.vault.mapping != nil && len(raw) == nameBytes:
		name := mapName{epoch: keys.epoch, mac: [nameBytes]byte(raw)}
		var sealed []byte
		if sealed, err = s.vault.mapping.get(name); err != nil || sealed == nil {
			return "", ErrNotToken
		}
		keys.maps.bind(&s.other, s.bindName(kind, name))
		s.sealed, ok = keys.maps.open(s.sealed[:0], &s.other, sealed)
	default:
		return "", ErrNotToken
	}
	if !ok {
		return "", ErrNotToken
	}
	value, ok := unpack(s.sealed)
	if !ok {
		return "", ErrNotToken
	}
	return value, nil
}

// bound is what seals and opens the tokens of a kind with keys, and the kind's place in the memo, where it has one. The
// primary keys' is worked out once. It is valid until the next call.
func (s *Sealer) bound(keys *epochKeys, kind string) (int, *bound) {
	k, to := -1, &s.other
	if keys == s.primary {
		if k = s.kind(kind); k >= 0 {
			return k, &s.kinds[k].to
		}
		if k = s.addKind(kind); k >= 0 {
			to = &s.kinds[k].to
		}
	}
	keys.token.bind(to, s.bind(domainToken, kind))
	return k, to
}

// bind returns the associated data: purpose, EHR and kind. It is valid until the next call.
func (s *Sealer) bind(domain, kind string) []byte {
	s.ready()
	s.ad = appendField(s.ad[:0], domain)
	s.ad = appendField(s.ad, s.ehr)
	s.ad = appendField(s.ad, kind)
	return s.ad
}

// bindName is bind for an entry of the mapping file: an entry opens only under its own name.
func (s *Sealer) bindName(kind string, name mapName) []byte {
	s.bind(domainMap, kind)
	s.ad = append(s.ad, name.epoch)
	s.ad = append(s.ad, name.mac[:]...)
	return s.ad
}

// isResource says whether a kind is a resource type, whose tokens are FHIR ids.
func isResource(kind string) bool { return strings.IndexByte(kind, '.') < 0 }

// Format prints no key, whatever the verb.
func (s *Sealer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "sealer [redacted]") }
