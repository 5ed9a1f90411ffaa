package vault

import (
	"encoding/base64"
	"fmt"
)

// MaxLink is the longest content of a sealed link, in bytes.
const MaxLink = 32 << 10

// linkText refuses set bits after the last byte, so that a link has one text.
var linkText = base64.RawURLEncoding.Strict()

// SealLink seals content that the client is to hand back, such as the EHR's link to the next page, into URL-safe text.
// It is encrypted with XChaCha20-Poly1305 under a random nonce, so two links of the same content differ, and opens
// only for the same tenant, client, EHR and bound (what it was issued for: the caller, the dataset).
func (s *Sealer) SealLink(plain []byte, bound string) (string, error) {
	if len(plain) > MaxLink {
		return "", ErrTooLong
	}
	sealed, err := s.primary.link.Encrypt(plain, s.bind(domainLink, bound))
	if err != nil {
		return "", fmt.Errorf("vault: seal link: %w", err)
	}
	out := make([]byte, 1, 1+linkText.EncodedLen(len(sealed)))
	out[0] = s.primary.epoch
	return string(linkText.AppendEncode(out, sealed)), nil
}

// OpenLink returns the content of a sealed link, or ErrNotLink.
func (s *Sealer) OpenLink(sealed, bound string) ([]byte, error) {
	const overhead = 24 + 16 // nonce and tag
	if len(sealed) < 2 || len(sealed) > 1+linkText.EncodedLen(MaxLink+overhead) {
		return nil, ErrNotLink
	}
	i := s.vault.keys.epochs[sealed[0]]
	if i == 0 {
		return nil, ErrNotLink
	}
	keys, err := s.keys.epoch(int(i) - 1)
	if err != nil {
		return nil, ErrNotLink
	}
	// The decoder skips line breaks, which would give a link a second text.
	for _, c := range []byte(sealed[1:]) {
		if c == '\r' || c == '\n' {
			return nil, ErrNotLink
		}
	}
	raw, err := linkText.DecodeString(sealed[1:])
	if err != nil {
		return nil, ErrNotLink
	}
	plain, err := keys.link.Decrypt(raw, s.bind(domainLink, bound))
	if err != nil {
		return nil, ErrNotLink
	}
	return plain, nil
}
