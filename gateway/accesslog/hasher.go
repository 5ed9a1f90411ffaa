package accesslog

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// minPatientKey is the shortest Options.PatientKey, in bytes.
const minPatientKey = 32

// HashLength is the length of what a [Hasher] returns. No token is as short.
const HashLength = 22

// A Hasher names patients and parameter values in records. Its names do not change when tokens are
// rotated, so that a reviewer can follow a patient over years; without the key nothing can be guessed
// back, although identifiers are few. It holds derived keys only and is safe for concurrent use.
type Hasher struct{ patient, value domain }

// domain hashes with one key. Its states are used again: each has the key worked in.
type domain struct {
	key    []byte
	states sync.Pool
}

// NewHasher derives the keys of a log from its patient key, at least 32 random bytes. A reviewer's
// query uses it without opening the log.
func NewHasher(patientKey []byte) (*Hasher, error) {
	if len(patientKey) < minPatientKey {
		return nil, fmt.Errorf("patient key has %d bytes, at least %d are needed", len(patientKey), minPatientKey)
	}
	h := new(Hasher)
	for info, d := range map[string]*domain{
		"halfdoor access log v1: patient": &h.patient,
		"halfdoor access log v1: value":   &h.value,
	} {
		// RFC 5869: one info string for each use keeps a patient's hash apart from a value's.
		k, err := hkdf.Key(sha256.New, patientKey, nil, info, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive audit key: %w", err)
		}
		d.key = k
	}
	return h, nil
}

// Patient returns the keyed hash that names the patient with this real id at this EHR: HMAC-SHA-256
// truncated to 128 bits, in base64url.
func (h *Hasher) Patient(ehr, id string) string {
	// The length keeps ("ab", "c") apart from ("a", "bc").
	b := binary.AppendUvarint(make([]byte, 0, 128), uint64(len(ehr)))
	b = append(b, ehr...)
	return h.patient.hash(append(b, id...))
}

// Hash returns the keyed hash of a parameter's value, in the form of [Hasher.Patient] but in a domain
// of its own.
func (h *Hasher) Hash(value string) string {
	var b [128]byte
	return h.value.hash(append(b[:0], value...))
}

// keyed is an HMAC with room for what it needs.
type keyed struct {
	hash.Hash
	message []byte
	sum     [sha256.Size]byte
	text    [HashLength]byte
}

func (d *domain) hash(message []byte) string {
	s, ok := d.states.Get().(*keyed)
	if !ok {
		s = &keyed{Hash: hmac.New(sha256.New, d.key)}
	}
	s.Reset()
	s.message = append(s.message[:0], message...) // so that the caller's does not escape
	s.Write(s.message)
	base64.RawURLEncoding.Encode(s.text[:], s.Hash.Sum(s.sum[:0])[:16])
	clear(s.message)
	text := string(s.text[:])
	d.states.Put(s)
	return text
}
