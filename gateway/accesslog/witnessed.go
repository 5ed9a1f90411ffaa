package accesslog

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A checkpoint that witnesses have cosigned is kept beside the log's own, as "witnessed.<records>", until each of
// its witnesses has cosigned a larger one. There is one such file where all of them keep up.
const (
	witnessedPrefix = "witnessed."
	// damagedSuffix is behind the name of one that was set aside: no number of records, so nothing reads it.
	damagedSuffix = ".damaged"
)

// Signed is the log's newest checkpoint, as it is shown to witnesses.
type Signed struct {
	Size    int64
	Message []byte
	root    tlog.Hash
}

// Root is the root of the tree that is signed.
func (s *Signed) Root() tlog.Hash { return s.root }

// Checkpoint reads the checkpoint that is in place. The records that it signs are durable.
func (l *Log) Checkpoint() (*Signed, error) {
	s, _, err := newestCheckpoint(l.dir, l.keys)
	if err != nil {
		return nil, err
	}
	return &Signed{s.size, s.message, s.root}, nil
}

// WithCosignatures is a checkpoint with the cosignatures that it has already.
func (l *Log) WithCosignatures(of *Signed) []byte {
	kept, err := readSmall(filepath.Join(l.dir, witnessedFile(of.Size)))
	text := of.Message[:bytes.Index(of.Message, []byte("\n\n"))+2]
	if err != nil || !bytes.HasPrefix(kept, text) || len(kept) > maxCheckpoint/2 {
		return of.Message
	}
	return kept
}

// KeepWitnessed puts a checkpoint with its cosignatures beside the log, in one step, in place of what it had of that size. What fails
// here poisons nothing.
func (l *Log) KeepWitnessed(size int64, message []byte) error {
	if err := replaceFile(l.fs, filepath.Join(l.dir, witnessedFile(size)), message, true); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// SetAsideWitnessed renames a file that [Witnessed] found damaged, and has a record of it durable before. The witness
// can be asked again; whoever is to find out what happened still has the file. It returns what became of it.
func (l *Log) SetAsideWitnessed(d *Damage) error {
	name := filepath.Join(l.dir, d.File)
	sum := "cannot be read"
	if content, err := readSmall(name); err == nil {
		sum = fmt.Sprintf("has the SHA-256 %x", sha256.Sum256(content))
	}
	aside := d.File + damagedSuffix
	detail := fmt.Sprintf("%s is not what a witness has cosigned (%s); it %s, and is set aside as %s", d.File, d.Reason, sum, aside)
	if _, err := l.Append(&Record{Kind: KindAdmin, Code: "witnessed-damaged", Detail: detail}); err != nil {
		return err
	}
	if err := l.fs.Rename(name, filepath.Join(l.dir, aside)); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// ForgetWitnessed removes what witnesses have cosigned, but for these sizes, and what a crash has left of writing it. It is not
// for use beside [Log.KeepWitnessed].
func (l *Log) ForgetWitnessed(but ...int64) error {
	torn, err := filepath.Glob(filepath.Join(l.dir, witnessedPrefix+"*.tmp"))
	if err != nil {
		return err
	}
	for _, name := range torn {
		if err := l.fs.Remove(name); err != nil {
			return err
		}
	}
	all, err := witnessed(l.dir)
	if err != nil {
		return err
	}
	for _, w := range all {
		if slices.Contains(but, w.size) {
			continue
		}
		if err := l.fs.Remove(filepath.Join(l.dir, witnessedFile(w.size))); err != nil {
			return err
		}
	}
	return nil
}

func witnessedFile(size int64) string { return witnessedPrefix + strconv.FormatInt(size, 10) }

// witnessed reads the files, the largest tree first.
func witnessed(dir string) ([]numberedFile, error) {
	all, err := numbered(dir, witnessedPrefix)
	slices.Reverse(all)
	return all, err
}

// Witnessed is the largest checkpoint in a log's folder that the witness has cosigned; nil where there is none. A
// cosignature in the witness's name that it has not made is a [*Damage].
func Witnessed(dir, origin string, by *Cosigner) (*Cosigned, error) {
	all, err := witnessed(dir)
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		c, err := by.open(w.message, origin)
		if errors.Is(err, errNotCosigned) {
			continue
		}
		if err == nil && c.Size != w.size {
			err = fmt.Errorf("it is of %d records", c.Size)
		}
		if err != nil {
			return nil, checkpointDamage(witnessedFile(w.size), err)
		}
		return c, nil
	}
	return nil, nil
}

// Root is the root of the tree that was cosigned.
func (c *Cosigned) Root() tlog.Hash { return c.mark.root }

// witnesses reads what the witnesses have cosigned, and demands that enough of them have.
func (v *Verified) witnesses(o VerifyOptions) ([]mark, error) {
	var marks []mark
	var known []*Cosigner
	if len(o.Witnesses) > 0 {
		aside, err := filepath.Glob(filepath.Join(o.Dir, witnessedPrefix+"*"+damagedSuffix))
		if err != nil {
			return nil, err
		}
		for _, name := range aside {
			v.Notes = append(v.Notes, filepath.Base(name)+" was found damaged and set aside: a record of the code witnessed-damaged says when")
		}
	}
	for _, key := range o.Witnesses {
		by, err := ParseCosigner(key)
		if err != nil {
			return nil, err
		}
		// One witness that is named twice is still one.
		if slices.ContainsFunc(known, func(k *Cosigner) bool { return k.key.Equal(by.key) }) {
			return nil, fmt.Errorf("the witness %s is named twice", by.name)
		}
		known = append(known, by)
		c, err := Witnessed(o.Dir, v.Origin, by)
		if err != nil {
			return nil, err
		}
		if c == nil {
			v.Notes = append(v.Notes, "the witness "+by.name+" has cosigned nothing that is in this folder")
			continue
		}
		v.Witnessed = append(v.Witnessed, *c)
		marks = append(marks, c.mark)
	}
	needed := o.WitnessesNeeded
	if needed == 0 {
		needed = len(known)
	}
	if needed < 0 || needed > len(known) {
		return nil, fmt.Errorf("%d witnesses are needed, and %d are named", needed, len(known))
	}
	if len(marks) < needed {
		return nil, fmt.Errorf("%w: %d of the %d that are needed; %s", ErrUnwitnessed, len(marks), needed, strings.Join(v.Notes[len(v.Notes)-(len(known)-len(marks)):], "; "))
	}
	return marks, nil
}

// witnessedBeyond says what the cosignatures do not prove, of a log with so many records.
func (v *Verified) witnessedBeyond(records int64) error {
	for i := range v.Witnessed {
		c := &v.Witnessed[i]
		c.Behind = records - c.Size
		if c.Size < v.Removed {
			return fmt.Errorf("%w: all %d records that %s has cosigned are removed by retention, so that nothing can be compared with it", ErrUnwitnessed, c.Size, c.Witness)
		}
	}
	return nil
}

// A numberedFile is a signed note, in a file whose name ends in a number of records.
type numberedFile struct {
	size    int64
	message []byte
}

// numbered reads the files of a folder whose names are a prefix and a number of records, the smallest first.
func numbered(dir, prefix string) ([]numberedFile, error) {
	names, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return nil, err
	}
	var all []numberedFile
	for _, name := range names {
		size, err := parseSize(strings.TrimPrefix(filepath.Base(name), prefix))
		if err != nil {
			continue // of another name: a file that is being written
		}
		message, err := readSmall(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // superseded just now
		}
		if err != nil {
			if p := (*fs.PathError)(nil); errors.As(err, &p) {
				err = p.Err // the name is the damage's
			}
			return nil, checkpointDamage(filepath.Base(name), fmt.Errorf("it cannot be read: %w", err))
		}
		all = append(all, numberedFile{size, message})
	}
	slices.SortFunc(all, func(a, b numberedFile) int { return cmp.Compare(a.size, b.size) })
	return all, nil
}
