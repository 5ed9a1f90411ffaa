package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

const (
	hashBytes = 16

	// MaxShift is by how many days a patient's dates are moved at most.
	MaxShift = 180
)

// AppendHash appends the hash of value to dst: 'h', the epoch's character, and the base62 text of an HMAC-SHA-256 cut to
// 128 bits; at most 24 characters, which are a FHIR id. The same value gives the same hash to one client, for one kind,
// at one EHR, until another epoch is primary; nothing turns it back.
func (s *Sealer) AppendHash(dst []byte, kind string, value []byte) ([]byte, error) {
	switch {
	case kind == "":
		return dst, ErrNotID
	case len(value) > MaxValue:
		return dst, ErrTooLong
	}
	mac := hmac.New(sha256.New, s.primary.hash)
	mac.Write(s.bind(domainHash, kind))
	mac.Write(value)
	return appendBase62(append(dst, 'h', s.primary.epoch), mac.Sum(nil)[:hashBytes]), nil
}

// Shift returns by how many days the dates of a patient of the EHR are moved: from -MaxShift to MaxShift, and not 0.
// It is the same for every client of the tenant and for every epoch, since whoever saw the same date moved by several
// offsets would know it better with each. It changes when the oldest key is taken out of the keyset.
func (s *Sealer) Shift(patient string) (int, error) {
	if !validID([]byte(patient)) {
		return 0, ErrNotID
	}
	key, err := s.keys.shift()
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(appendField(appendField(nil, s.ehr), patient))
	// 2^64 is so much more than the number of offsets that none is likelier than another.
	days := int(binary.BigEndian.Uint64(mac.Sum(nil))%(2*MaxShift)) - MaxShift
	if days >= 0 {
		days++
	}
	return days, nil
}

// shiftKey derives a tenant's key for Shift.
func shiftKey(set *keyset, tenant string) ([]byte, error) {
	oldest := set.keys[0]
	for _, k := range set.keys[1:] {
		if k.created.Before(oldest.created) || k.created.Equal(oldest.created) && k.epoch < oldest.epoch {
			oldest = k
		}
	}
	info := appendField(appendField(nil, domainShift), tenant)
	key, err := hkdf.Key(sha256.New, oldest.secret[:], nil, string(info), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("vault: derive keys: %w", err)
	}
	return key, nil
}
