package accesslog

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// minPatientKey is the shortest Options.PatientKey, in bytes.
const minPatientKey = 32

// A Hasher names patients and parameter values in records. Its names do not change when tokens are
// rotated, so that a reviewer can follow a patient over years; without the key nothing can be guessed
// back, although identifiers are few. It holds derived keys only and is safe for concurrent use.
type Hasher struct{ patient, value []byte }

// NewHasher derives the keys of a log from its patient key, at least 32 random bytes. A reviewer's
// query uses it without opening the log.
func NewHasher(patientKey []byte) (*Hasher, error) {
	if len(patientKey) < minPatientKey {
		return nil, fmt.Errorf("patient key has %d bytes, at least %d are needed", len(patientKey), minPatientKey)
	}
	h := new(Hasher)
	for info, key := range map[string]*[]byte{
		"halfdoor access log v1: patient": &h.patient,
		"halfdoor access log v1: value":   &h.value,
	} {
		// RFC 5869: one info string for each use keeps a patient's hash apart from a value's.
		k, err := hkdf.Key(sha256.New, patientKey, nil, info, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive audit key: %w", err)
		}
		*key = k
	}
	return h, nil
}

// Patient returns the keyed hash that names the patient with this real id at this EHR: HMAC-SHA-256
// truncated to 128 bits, in base64url.
func (h *Hasher) Patient(ehr, id string) string {
	// The length keeps ("ab", "c") apart from ("a", "bc").
	b := binary.AppendUvarint(make([]byte, 0, 128), uint64(len(ehr)))
	b = append(b, ehr...)
	return keyed(h.patient, append(b, id...))
}

// Hash returns the keyed hash of a parameter's value, in the form of [Hasher.Patient] but in a domain
// of its own.
func (h *Hasher) Hash(value string) string {
	return keyed(h.value, []byte(value))
}

func keyed(key, message []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(mac.Sum(sum[:0])[:16])
}
