package accesslog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// When another key begins to sign a log, the one before introduces it: a record of kind key-rotation
// names both, and the file "key-rotation.<records>" is a note that both keys have signed:
//
//	<origin>/key-rotation
//	<records, the last of which is of kind key-rotation>
//	<root of the tree up to it>
//	<verifier key of the new key>
//
// So who has only the old verifier key comes to the new one, and what the old key signed stays what the
// log has to begin with. Whoever stole the old key can introduce a key as well: a reviewer who fears that
// gives the new key alone.
const introductionPrefix = "key-rotation."

func introductionFile(size int64) string { return introductionPrefix + strconv.FormatInt(size, 10) }

// retire takes the key that signed until now.
func (l *Log) retire(key []byte) error {
	if len(key) == 0 {
		return nil
	}
	public, err := VerifierKey(key)
	if err != nil {
		return fmt.Errorf("retiring %w", err)
	}
	old, err := parseKeys(public)
	if err != nil {
		return err
	}
	if old[0].KeyHash() == l.keys[0].KeyHash() {
		return errors.New("the retiring key is the signing key")
	}
	if err := l.keys.add(old[0]); err != nil {
		return errors.New("the retiring key was made for another origin than the signing key")
	}
	l.retiring, err = newSigner(key)
	return err
}

// introduced says whether the signing key needs no introduction: it has one, or there is no log yet.
func (l *Log) introduced(f *find) (bool, error) {
	if l.retiring == nil || f.fresh {
		return true, nil
	}
	all, err := introductions(l.dir)
	if err != nil {
		return false, err
	}
	for _, i := range all {
		if key, _, err := i.open(l.keys); err == nil && key.KeyHash() == l.keys[0].KeyHash() {
			return true, nil
		}
	}
	return false, nil
}

// introduce records that the signing key is another one, and has the old key sign that.
func (l *Log) introduce() error {
	e := l.entries.get()
	defer l.entries.put(e)
	detail := fmt.Sprintf("%s signs from here on, in place of %s", l.public, keyName(l.keys[1]))
	if err := e.encode(&Record{Kind: KindRotation, Detail: detail}, l.now()); err != nil {
		return err
	}
	if err := l.commit([]*entry{e}); err != nil {
		return err
	}
	// What only the old key has signed would not open once that key is gone. First, since a start that finds
	// the introduction does no more.
	base, err := readRetained(l.dir, l.keys)
	if err != nil {
		return err
	}
	if base != nil {
		if err := l.writeRetained(base, l.signer, l.retiring); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s/key-rotation\n%d\n%s\n%s\n", l.signer.Name(), l.tree.size, l.tree.root(), l.public)
	message, err := note.Sign(&note.Note{Text: text}, l.retiring, l.signer)
	if err != nil {
		return fmt.Errorf("sign the new key: %w", err)
	}
	if err := replaceFile(l.fs, filepath.Join(l.dir, introductionFile(l.tree.size)), message, true); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// An introduction is such a file.
type introduction numberedFile

// introductions reads the files, the oldest first.
func introductions(dir string) ([]introduction, error) {
	files, err := numbered(dir, introductionPrefix)
	var all []introduction
	for _, f := range files {
		all = append(all, introduction(f))
	}
	return all, err
}

// open reads the key that is introduced, and what it was introduced at, if one of the keys signed it.
func (i introduction) open(of keys) (note.Verifier, checkpoint, error) {
	var c checkpoint
	text, err := openNote(i.message, of)
	if err != nil {
		return nil, c, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[0] != of.origin()+"/key-rotation" || lines[1] != strconv.FormatInt(i.size, 10) {
		return nil, c, errors.New("it introduces no key of this log")
	}
	c.size = i.size
	if c.root, err = parseHash(lines[2]); err != nil {
		return nil, c, errors.New("its root is not a hash")
	}
	key, err := note.NewVerifier(lines[3])
	if err != nil || key.Name() != of.origin() {
		return nil, c, errors.New("it introduces no key of this log")
	}
	return key, c, nil
}

// follow adds the keys that the known ones have introduced, and returns what was signed at that, and
// sentences about it.
func (k *keys) follow(dir string) (marks []mark, notes []string, err error) {
	all, err := introductions(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range all {
		key, at, err := i.open(*k)
		if errors.Is(err, ErrKey) {
			continue // of keys that nobody asked about
		}
		if err != nil {
			return nil, nil, checkpointDamage(introductionFile(i.size), err)
		}
		before := len(*k)
		if err := k.add(key); err != nil {
			return nil, nil, err
		}
		if len(*k) > before {
			notes = append(notes, fmt.Sprintf("the key %s was introduced at record %d by a key that was given: it is trusted on that one's word", keyName(key), i.size-1))
		}
		marks = append(marks, mark{at, introductionFile(i.size)})
	}
	return marks, notes, nil
}

// signers names the keys that the introductions which one of the keys has signed are of, and those keys.
func signers(dir string, of keys) ([]string, error) {
	var all []string
	for _, v := range of {
		all = append(all, keyName(v))
	}
	introduced, err := introductions(dir)
	if err != nil {
		return nil, err
	}
	for again := true; again; {
		again = false
		for _, i := range introduced {
			var names []string
			n, err := note.Open(i.message, note.VerifierList())
			var unverified *note.UnverifiedNoteError
			if errors.As(err, &unverified) {
				n = unverified.Note
			}
			if n == nil {
				continue
			}
			for _, s := range n.UnverifiedSigs {
				names = append(names, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
			}
			if !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(all, n) }) {
				continue
			}
			for _, n := range names {
				if !slices.Contains(all, n) {
					all, again = append(all, n), true
				}
			}
		}
	}
	return all, nil
}
