package accesslog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// cosignatureType is the signature type of a cosignature/v1 by Ed25519 (C2SP signed-note, tlog-cosignature).
const cosignatureType = 0x04

// lastSecond ends the year 9999. A cosignature of a later time is none: RFC 3339 has no form for it.
const lastSecond = 253402300799

// A Cosigner is the public key of a witness (C2SP tlog-cosignature, Ed25519). Its signature says that at a
// time, in its eyes, this checkpoint was the largest of the log, and extended all that it had cosigned before.
// It is a [note.Verifier].
type Cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

var errCosigner = errors.New(`want a witness's verifier key, "<name>+<hash>+<key>", of type 4 (cosignature/v1 with Ed25519)`)

// ParseCosigner reads a witness's verifier key. A key of another type is refused: a log's own key must not pass
// for a witness's.
func ParseCosigner(vkey string) (*Cosigner, error) {
	// The base64 may hold plus signs, the name may not.
	parts := strings.SplitN(strings.TrimSpace(vkey), "+", 3)
	if len(parts) != 3 || checkOrigin(parts[0]) != nil || len(parts[1]) != 8 {
		return nil, errCosigner
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	key, decoding := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || decoding != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureType {
		return nil, errCosigner
	}
	// C2SP signed-note: the key's hash is over name, newline, type and key.
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if want := binary.BigEndian.Uint32(sum[:4]); uint32(hash) != want {
		return nil, fmt.Errorf("the hash in the witness's verifier key does not fit its key")
	}
	return &Cosigner{parts[0], uint32(hash), key[1:]}, nil
}

// Name is the witness's name.
func (c *Cosigner) Name() string { return c.name }

// KeyHash is the short hash by which a note names the key.
func (c *Cosigner) KeyHash() uint32 { return c.hash }

// Verify reports whether sig is the witness's cosignature of a checkpoint's text: its time in seconds, 8 bytes
// with the highest first, and the Ed25519 signature over that time and the text.
func (c *Cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	if at > lastSecond {
		return false
	}
	message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at)
	return ed25519.Verify(c.key, append(message, text...), sig[8:])
}

// A Cosigned is a checkpoint that a witness has cosigned.
type Cosigned struct {
	Witness string // its name
	Size    int64  // of the checkpoint, in records
	Time    time.Time
	Behind  int64 // records of the log that came later; set by [Verify]
	mark    mark
}

// errNotCosigned is returned for a checkpoint that holds nothing of this witness.
var errNotCosigned = errors.New("it holds no cosignature of this witness's key")

// open reads a checkpoint of a log that the witness has cosigned. The log's own signature is not looked at: a
// witness signs what has one, and the log's key may have been rotated since.
func (c *Cosigner) open(message []byte, origin string) (*Cosigned, error) {
	if len(message) > maxCheckpoint {
		return nil, errors.New("it is longer than any checkpoint")
	}
	n, err := note.Open(message, note.VerifierList(c))
	var unknown *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unknown):
		return nil, errNotCosigned
	case errors.As(err, &invalid):
		return nil, fmt.Errorf("%w: the cosignature of %s does not fit the text", ErrCosignature, keyName(c))
	case err != nil:
		return nil, errors.New("it is not a signed note")
	}
	signed, err := checkpointOf(n.Text, origin)
	if err != nil {
		return nil, err
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return nil, errors.New("its cosignature is misspelt")
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(sig[4:])), 0).UTC() // behind the key's hash
	return &Cosigned{Witness: c.name, Size: signed.size, Time: at, mark: mark{signed, "what the witness " + c.name + " has cosigned"}}, nil
}

// Add puts a witness's cosignatures, as lines, under a checkpoint, and returns it with what it holds. Lines of
// other keys are left away (C2SP tlog-witness).
func (c *Cosigner) Add(message, lines []byte, origin string) ([]byte, *Cosigned, error) {
	prefix := []byte("— " + c.name + " ")
	for line := range bytes.Lines(lines) {
		if !bytes.HasPrefix(line, prefix) || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		with := append(bytes.Clone(message), line...)
		at, err := c.open(with, origin)
		if errors.Is(err, errNotCosigned) {
			continue // another key of that name
		}
		if err != nil {
			return nil, nil, err
		}
		return with, at, nil
	}
	return nil, nil, errNotCosigned
}
