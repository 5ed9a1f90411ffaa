package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// retain removes the oldest segments, as far as every record in them is older than the retention. First a
// record says so, then the place behind what goes is signed (the file "retained"), and only then files are
// removed: wherever a crash comes, what is there verifies.
func (l *Log) retain() error {
	if l.keep.retention == 0 {
		return nil
	}
	of, err := listSegments(l.dir, l.keys)
	if err != nil {
		return err
	}
	if err := l.removeBefore(of.first); err != nil { // what a crash has left of the last time
		return err
	}
	holders, known := l.keep.holders()
	if !known {
		return nil
	}
	d, err := l.due(of, holders)
	if err != nil {
		return err
	}
	if d.before > of.first {
		if err := l.removeDue(of, d); err != nil {
			return err
		}
	}
	if d.held != nil {
		return d.held
	}
	return nil
}

// removeDue removes the segments that go.
func (l *Log) removeDue(of layout, d due) error {
	base, err := placeBehind(l, of, d.before)
	if err != nil {
		return err
	}
	before := int64(0)
	if of.base != nil {
		before = of.base.tree.size
	}
	detail := fmt.Sprintf("records %d to %d are removed, the last of them of %s; the tree up to there has the root %s%s",
		before, base.tree.size-1, d.last.Format(time.RFC3339), base.tree.root(), d.without())
	if _, err := l.Append(&Record{Kind: KindAdmin, Code: "retention", Detail: detail}); err != nil {
		return err
	}
	if err := l.writeRetained(base, l.signer); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	return l.removeBefore(d.before)
}

func (l *Log) writeRetained(base *state, signers ...note.Signer) error {
	message, err := base.sign(retainedFile, signers...)
	if err != nil {
		return fmt.Errorf("sign what is retained: %w", err)
	}
	return replaceFile(l.fs, filepath.Join(l.dir, retainedFile), message, true)
}

// placeBehind reads the segments before first, and returns the place where that one begins.
func placeBehind(l *Log, of layout, first int) (*state, error) {
	old := of
	old.last = first - 1
	w := newWalk(l.dir, old)
	if err := w.run(l.keep.ctx); err != nil {
		return nil, err
	}
	// The chain holds the hash of each: where the next record continues it, all of them are what was signed.
	f, err := openStored(l.dir, first)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	next, err := newLines(f, 0).next()
	if err != nil || !bytes.HasSuffix(next, seal(nil, w.tree.size, w.prev)) {
		return nil, w.damage(place{first, 1, 0}, w.tree.size, "it does not continue the segment before, which therefore is not removed")
	}
	return &state{tree: w.tree, segment: first, prev: w.prev}, nil
}

// removeBefore removes the segments before one, the oldest first, in either form.
func (l *Log) removeBefore(first int) error {
	removed := false
	for n := first - 1; n > 0; n-- {
		if errors.Is(hasSegment(l.dir, n), os.ErrNotExist) {
			break
		}
		for _, name := range []string{segmentName(n), compressedName(n)} {
			err := l.fs.Remove(filepath.Join(l.dir, name))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return l.fs.SyncDir(l.dir)
}
