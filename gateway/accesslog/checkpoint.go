package accesslog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const checkpointFile = "checkpoint"

// maxCheckpoint bounds what is read of a checkpoint that others have signed too.
const maxCheckpoint = 64 << 10

// A checkpoint is the signed size and root of a tree (C2SP tlog-checkpoint).
type checkpoint struct {
	size int64
	root tlog.Hash
}

// GenerateKey makes the key pair of a log. The origin names the log in its checkpoints, for example
// "gateway-1.example.org/access"; each gateway that writes a log needs its own. The signer is secret
// and goes into Options.SigningKey, the verifier is public and goes to the reviewers.
func GenerateKey(origin string) (signer, verifier string, err error) {
	if err := checkOrigin(origin); err != nil {
		return "", "", err
	}
	return note.GenerateKey(rand.Reader, origin)
}

// VerifierKey returns the public verifier key of a signing key.
func VerifierKey(signingKey []byte) (string, error) {
	text := strings.TrimSpace(string(signingKey))
	signer, err := note.NewSigner(text)
	if err != nil {
		// The package's errors do not quote the key.
		return "", fmt.Errorf("signing key: %w", err)
	}
	// PRIVATE+KEY+name+hash+base64(algorithm, seed), where the base64 may hold plus signs; NewSigner has
	// checked that the algorithm is Ed25519.
	parts := strings.SplitN(text, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return "", errors.New("signing key: malformed key")
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(signer.Name(), public)
}

// maxOrigin bounds a log's name, in bytes.
const maxOrigin = 512

// checkOrigin holds an origin to what a note's key name may be.
func checkOrigin(origin string) error {
	if len(origin) > maxOrigin {
		return fmt.Errorf("origin of %d bytes: %d are the most", len(origin), maxOrigin)
	}
	if origin == "" || !utf8.ValidString(origin) || strings.Contains(origin, "+") ||
		strings.IndexFunc(origin, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) >= 0 {
		return fmt.Errorf("origin %q: it must be a name without spaces and plus signs", origin)
	}
	return nil
}

// sign encodes and signs a checkpoint. The first line is the origin, which is the key's name.
func (c checkpoint) sign(signers ...note.Signer) ([]byte, error) {
	text := signers[0].Name() + "\n" + strconv.FormatInt(c.size, 10) + "\n" + c.root.String() + "\n"
	return note.Sign(&note.Note{Text: text}, signers...)
}

// nameCheckpoint puts a checkpoint under its name. With durable set a power cut cannot bring back an older one.
func (l *Log) nameCheckpoint(message []byte, durable bool) error {
	err := l.replace(checkpointFile, message, durable)
	if err == nil && durable {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// parseCheckpoint checks the signature, then reads the three lines. Further signatures (of witnesses)
// and extension lines are allowed, as in C2SP; other logs' checkpoints are not.
func parseCheckpoint(message []byte, of keys) (checkpoint, error) {
	text, err := openNote(message, of)
	if err != nil {
		return checkpoint{}, err
	}
	c, err := checkpointOf(text, of.origin())
	if errors.Is(err, errNoCheckpoint) {
		err = errors.New("it is signed by this log's key but is no checkpoint of this log")
	}
	return c, err
}

var errNoCheckpoint = errors.New("it is no checkpoint of this log")

// checkpointOf reads the text of a checkpoint.
func checkpointOf(text, origin string) (checkpoint, error) {
	lines := strings.Split(text, "\n") // the text ends in a newline
	if len(lines) < 4 || lines[0] != origin {
		return checkpoint{}, errNoCheckpoint
	}
	size, err := parseSize(lines[1])
	if err != nil {
		return checkpoint{}, err
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return checkpoint{}, errors.New("its root is not a hash")
	}
	return checkpoint{size, root}, nil
}

// openNote returns the text of a note that one of the keys signed.
func openNote(message []byte, of keys) (string, error) {
	if len(message) > maxCheckpoint {
		return "", errors.New("it is longer than any checkpoint")
	}
	if len(bytes.TrimSpace(message)) == 0 {
		return "", errors.New("it is empty")
	}
	n, err := note.Open(message, note.VerifierList(of...))
	if err == nil {
		for _, s := range n.Sigs {
			// note.Open takes any spelling of the last character.
			if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
				return "", errors.New("its signature is misspelt")
			}
		}
		return n.Text, nil
	}
	var unknown *note.UnverifiedNoteError
	if errors.As(err, &unknown) && len(unknown.Note.UnverifiedSigs) > 0 {
		s := unknown.Note.UnverifiedSigs[0]
		return "", fmt.Errorf("%w: it is signed by %s+%08x, not by %s", ErrKey, s.Name, s.Hash, of)
	}
	var invalid *note.InvalidSignatureError
	if errors.As(err, &invalid) {
		return "", fmt.Errorf("%w: the signature does not fit the text", ErrKey)
	}
	return "", errors.New("it is not a signed note")
}

// parseSize reads a number of records in its only spelling.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, errors.New("its size is not a number")
	}
	return n, nil
}

// checkpointDamage makes a Damage of what is wrong with a checkpoint.
func checkpointDamage(file string, err error) *Damage {
	d := fileDamage(file, err.Error())
	d.err = err
	return d
}
