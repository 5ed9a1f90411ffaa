package accesslog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// advice is what an operator does with a log that does not open.
const advice = "nothing was changed; keep this folder for the reviewers, run “halfdoor audit verify” on it, and let the gateway begin an empty folder until it is explained; “halfdoor audit repair” cuts the log back to what is proven and goes on from there"

// start brings the log to where the next record goes.
func (l *Log) start() error {
	f, err := l.look()
	if err != nil {
		var d *Damage
		if errors.As(err, &d) && d.Advice == "" {
			d.Advice = advice
		}
		return err
	}
	l.tree, l.prev = f.tree, f.prev
	l.number, l.offset = f.at.segment, f.at.offset
	if l.offset > 0 && l.keep.age > 0 {
		if l.begun, err = firstTime(l.dir, l.number); err != nil {
			return err
		}
	}
	if f.fresh {
		// First of all, so that a folder with segments and without a checkpoint has lost it.
		if err := l.writeCheckpoint(); err != nil {
			return err
		}
	}
	if f.tip != nil {
		// What was signed last, before the tip is made anew.
		if err := l.nameCheckpoint(f.tip.message, true); err != nil {
			return err
		}
	}
	if err := l.beginTip(); err != nil {
		return err
	}
	if err := l.openSegment(f); err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	// A frontier that says "closed" must be gone before a record follows it. But one that signs adopted
	// records must not be there before the record that tells of them.
	if f.unsigned == 0 {
		if err := l.beginState(); err != nil {
			return err
		}
	}
	if len(f.notes) > 0 {
		e := l.entries.get()
		defer l.entries.put(e)
		if err := e.encode(&Record{Kind: KindRecovery, Detail: strings.Join(f.notes, "; ")}, l.now()); err != nil {
			return err
		}
		if err := l.commit([]*entry{e}); err != nil {
			return err
		}
	}
	if f.unsigned > 0 {
		if err := l.beginState(); err != nil {
			return err
		}
	}
	known, err := l.introduced(f)
	if err != nil {
		return err
	}
	if !known {
		if err := l.introduce(); err != nil {
			return fmt.Errorf("introduce the signing key: %w", err)
		}
	}
	if l.retiring != nil || !l.renewal.durable {
		l.retiring = nil
		if err := l.writeCheckpoint(); err != nil {
			return err
		}
		l.renewal.durable = true
	}
	l.keep.closed.Store(int64(l.number - 1))
	l.renewal.synced = time.Now()
	return nil
}

// firstTime is the time of a segment's first record.
func firstTime(dir string, n int) (time.Time, error) {
	f, err := openStored(dir, n)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	line, err := newLines(f, 0).next()
	if err != nil {
		return time.Time{}, err
	}
	return timeOf(line)
}

func (l *Log) beginState() error {
	if err := l.writeState(false); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// openSegment opens the last segment, or makes the first, without anything behind its last record.
func (l *Log) openSegment(f *find) (err error) {
	name := filepath.Join(l.dir, segmentName(l.number))
	if l.file, err = l.fs.OpenFile(name, os.O_RDWR|os.O_CREATE); err != nil {
		return err
	}
	if f.torn > 0 {
		if err := l.cut(f, name); err != nil {
			return err
		}
	}
	if f.unsigned > 0 {
		if err := l.rewrite(f, name); err != nil {
			return err
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if err := fillZeros(l.file, max(info.Size(), l.offset), l.segment); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// cut keeps the bytes of the incomplete group in a file of their own. Nobody waits for an answer to
// them, but an investigation may want to see them. They are zeroed by the same write that brings the
// recovery record, so that no crash in between can hide the cut.
func (l *Log) cut(f *find, name string) error {
	torn, err := readRange(name, l.offset, f.torn)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(torn)
	kept := fmt.Sprintf("%06d.%d.%x.torn", l.number, l.offset, sum[:4])
	if err := replaceFile(l.fs, filepath.Join(l.dir, kept), torn, true); err != nil {
		return err
	}
	l.torn = f.torn
	f.notes = append(f.notes, fmt.Sprintf("%d bytes of incomplete records were cut from %s at byte %d and kept in %s, SHA-256 %x",
		len(torn), segmentName(l.number), l.offset, kept, sum))
	return nil
}

// rewrite writes the adopted records of this segment once more and syncs them: where a sync had
// failed before the crash, what is read here may be in memory only and count as written.
func (l *Log) rewrite(f *find, name string) error {
	offset := int64(0)
	if f.from.segment == l.number {
		offset = f.from.offset
	}
	adopted, err := readRange(name, offset, l.offset-offset)
	if err != nil {
		return err
	}
	if err := writeAt(l.file, adopted, offset); err != nil {
		return err
	}
	return l.file.Datasync()
}

func readRange(name string, offset, size int64) ([]byte, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	_, err = f.ReadAt(b, offset)
	return b, err
}
