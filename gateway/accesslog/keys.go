package accesslog

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// keys are the public keys of one log: the one that signs now, and those that did before.
type keys []note.Verifier

// parseKeys reads verifier keys, one or several between white space. All must be of one origin.
func parseKeys(text string) (keys, error) {
	var all keys
	for _, one := range strings.Fields(text) {
		v, err := note.NewVerifier(one)
		if err != nil {
			return nil, fmt.Errorf("verifier key: %w", err)
		}
		if err := all.add(v); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, errors.New("verifier key: there is none")
	}
	return all, nil
}

// add takes one more key, once.
func (k *keys) add(v note.Verifier) error {
	for _, known := range *k {
		if known.Name() != v.Name() {
			return fmt.Errorf("verifier key: %s and %s are keys of two logs", known.Name(), v.Name())
		}
		if known.KeyHash() == v.KeyHash() {
			return nil
		}
	}
	*k = append(*k, v)
	return nil
}

// origin is the log's name.
func (k keys) origin() string { return k[0].Name() }

func (k keys) String() string {
	names := make([]string, len(k))
	for i, v := range k {
		names[i] = keyName(v)
	}
	return strings.Join(names, " or ")
}

// keyName is how sentences name a key.
func keyName(v note.Verifier) string { return fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash()) }

// signed reports whether one of the keys signed the note.
func (k keys) signed(message []byte) bool {
	_, err := openNote(message, k)
	return err == nil
}
