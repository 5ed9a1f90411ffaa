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
	maxKinds  = 64 // of which a Sealer keeps what is the same for all tokens of a kind
)

// Sealer makes and opens the tokens of one client at one EHR, for one request. It remembers the tokens it made, up to
// a bound, so that its cost grows with the distinct ids of an answer. It is not safe for concurrent use.
type Sealer struct {
	vault   *Vault
	keys    *clientKeys
	primary *epochKeys
	ehr     string
	memo    *memo  // nil until a token is made, and when it was released
	name    []byte // scratch: what a token is remembered by
	ad      []byte // scratch: associated data
	plain   []byte // scratch: packed value, or decoded token
	sealed  []byte // scratch: sealed value, or opened token
	kinds   []kind // those of which there were tokens
	other   bound  // scratch: where kinds has no place
}

// kind has the primary key's associated data of a kind taken in.
type kind struct {
	name string
	to   bound
}

// AppendToken appends the token of value to dst. kind is the type of the resource whose id the value is, or, with a dot
// in it, the path of another element. On an error (ErrNotID, ErrTooLong, ErrNoMapping, ErrMapping) nothing is appended.
func (s *Sealer) AppendToken(dst []byte, kind string, value []byte) ([]byte, error) {
	remember := len(value) <= memoValue && len(kind) <= memoValue
	var hash uint64
	if remember {
		if s.memo == nil {
			s.memo = s.vault.memos.Get().(*memo)
		}
		s.name = append(appendField(s.name[:0], kind), value...)
		var token []byte
		var ok bool
		if token, hash, ok = s.memo.find(s.name); ok {
			return append(dst, token...), nil
		}
	}
	start := len(dst)
	out, err := s.seal(dst, kind, value)
	if err != nil {
		return dst, err
	}
	if remember {
		s.memo.add(hash, s.name, out[start:])
	}
	return out, nil
}

// Release has the Sealer forget what it made tokens of, so that another can use the memory. It is for the end of the
// request; a Sealer that is used after it begins anew.
func (s *Sealer) Release() {
	if s.memo == nil {
		return
	}
	if s.memo.empty(); cap(s.memo.text) <= memoKept {
		s.vault.memos.Put(s.memo)
	}
	s.memo = nil
}

func (s *Sealer) seal(dst []byte, kind string, value []byte) ([]byte, error) {
	resource := isResource(kind)
	switch {
	case kind == "" || resource && !validID(value):
		return nil, ErrNotID
	case len(value) > MaxValue:
		return nil, ErrTooLong
	}
	s.plain = appendPacked(s.plain[:0], value)
	if resource && 2+encodedLen(sivBytes+len(s.plain)) > maxToken {
		return s.sealLong(dst, kind)
	}
	s.sealed = s.primary.token.seal(s.sealed[:0], s.bound(s.primary, kind), s.plain)
	return appendBase62(append(dst, 't', s.primary.epoch), s.sealed), nil
}

// sealLong names the id in s.plain and makes what opens the name durable.
func (s *Sealer) sealLong(dst []byte, kind string) ([]byte, error) {
	m := s.vault.mapping
	if m == nil {
		return nil, ErrNoMapping
	}
	mac := hmac.New(sha256.New, s.primary.named)
	mac.Write(s.bind(domainLong, kind))
	mac.Write(s.plain)
	name := mapName{epoch: s.primary.epoch, mac: [nameBytes]byte(mac.Sum(nil))}
	start := len(dst)
	dst = name.appendToken(dst)
	s.primary.maps.bind(&s.other, s.bindName(kind, name))
	s.sealed = s.primary.maps.seal(s.sealed[:0], &s.other, s.plain)
	// What is in the file already must be this very id: never a token that opens as another, or not at all.
	switch kept, err := m.get(name); {
	case err != nil:
		return nil, err
	case kept == nil:
		if err := m.add(name, string(dst[start:]), s.sealed); err != nil {
			return nil, err
		}
	case !bytes.Equal(kept, s.sealed):
		return nil, fmt.Errorf("%w: an entry is not what was written", ErrMapping)
	}
	return dst, nil
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
	raw, ok := appendDecoded(s.plain[:0], token[2:])
	s.plain = raw
	if !ok {
		return "", ErrNotToken
	}
	switch {
	case token[0] == 't':
		s.sealed, ok = keys.token.open(s.sealed[:0], s.bound(keys, kind), raw)
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

// bound is what seals and opens the tokens of a kind with keys; the primary ones' is worked out once. It is valid until
// the next call.
func (s *Sealer) bound(keys *epochKeys, name string) *bound {
	to := &s.other
	if keys == s.primary {
		for i := range s.kinds {
			if s.kinds[i].name == name {
				return &s.kinds[i].to
			}
		}
		if len(s.kinds) < maxKinds {
			s.kinds = append(s.kinds, kind{name: name})
			to = &s.kinds[len(s.kinds)-1].to
		}
	}
	keys.token.bind(to, s.bind(domainToken, name))
	return to
}

// bind returns the associated data: purpose, EHR and kind. It is valid until the next call.
func (s *Sealer) bind(domain, kind string) []byte {
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
