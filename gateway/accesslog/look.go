package accesslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// A find is what Open has learned of a folder.
type find struct {
	walk              // where the records end
	fresh    bool     // there was no log
	tip      *signing // where it is newer than the checkpoint
	unsigned int64    // records behind the newest signature
	from     place    // the first of them
	notes    []string // sentences for the recovery record
}

// look reads the signatures and the records behind them. It changes nothing.
func (l *Log) look() (*find, error) {
	of, err := listSegments(l.dir, l.keys)
	if err != nil {
		return nil, err
	}
	old, err := l.readState()
	if err != nil {
		return nil, err
	}
	signed, err := l.readSigned(of, old)
	if err != nil {
		return nil, err
	}
	tip, broken, err := readTip(l.dir, l.keys)
	if err != nil {
		return nil, err
	}
	if signed == nil {
		if tip != nil && tip.size > 0 {
			return nil, fileDamage(checkpointFile, "checkpoint and records are missing although there was a log")
		}
		return &find{walk: *newWalk(l.dir, of), fresh: true}, nil
	}
	var marks []mark
	if signed.size >= 0 {
		marks = append(marks, mark{*signed, "the checkpoint"})
	}
	if tip != nil {
		marks = append(marks, mark{tip.checkpoint, "the tip"})
	}
	f, err := l.lookBehind(signed, old, of, marks)
	if err != nil {
		return nil, err
	}
	if tip != nil && tip.size > signed.size {
		f.tip = tip
	}
	if broken {
		f.notes = append(f.notes, brokenTip)
	}
	return f, nil
}

// lookBehind reads what follows the frontier, or all where that does not work out.
func (l *Log) lookBehind(signed *checkpoint, old *state, of layout, marks []mark) (*find, error) {
	if old == nil {
		f, err := l.read(newWalk(l.dir, of, marks...))
		if err == nil && signed.size > 0 {
			f.notes = append(f.notes, "the file frontier was missing or not this log's: all records were read again")
		}
		return f, err
	}
	marks = append(marks, mark{checkpoint{old.tree.size, old.tree.root()}, "the frontier"})
	f, err := l.readFrom(old, of, marks)
	if f == nil && err == nil {
		// Read all, for the first bad place and its line number. If all is well, the frontier was wrong.
		f, err = l.read(newWalk(l.dir, of, marks...))
		if err == nil {
			f.notes = append(f.notes, "the file frontier did not fit: all records were read again")
		}
	}
	if err != nil {
		return nil, err
	}
	if old.closed && f.tree.size > old.tree.size {
		return nil, fileDamage(stateFile, fmt.Sprintf("the log was closed with %d records, and now has %d: records were added that this gateway did not write, or the folder was copied while in use", old.tree.size, f.tree.size))
	}
	if signed.size < 0 {
		f.notes = append(f.notes, "the file checkpoint was empty, as a power cut may leave it: the signature of the tip or of the frontier was used")
	}
	return f, nil
}

// readFrom goes on from the frontier. It returns nil where that does not work out.
func (l *Log) readFrom(old *state, of layout, marks []mark) (*find, error) {
	if !old.fits(l.dir, of) {
		return nil, nil
	}
	w := newWalk(l.dir, of, marks...)
	w.tree, w.prev, w.at = old.tree.clone(), old.prev, place{old.segment, 1, old.offset}
	f, err := l.read(w)
	var d *Damage
	if errors.As(err, &d) {
		return nil, nil
	}
	return f, err
}

// readState reads the frontier. One that is missing or wrong only costs time.
func (l *Log) readState() (*state, error) {
	message, err := readSmall(filepath.Join(l.dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := parseState(stateFile, message, l.keys)
	if err != nil {
		return nil, nil
	}
	return s, nil
}

// readSigned reads the checkpoint. It returns nil where there never was a log, and size -1 for a
// checkpoint that a power cut has emptied, where the frontier can take its place.
func (l *Log) readSigned(of layout, old *state) (*checkpoint, error) {
	message, err := readSmall(filepath.Join(l.dir, checkpointFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for n := of.first; n <= of.last; n++ {
			f, err := openStored(l.dir, n)
			if err != nil {
				return nil, err
			}
			end, err := lastWritten(f, 0)
			f.Close()
			if err != nil {
				return nil, err
			}
			if end > 0 {
				return nil, fileDamage(checkpointFile, "the checkpoint is missing although the log has records")
			}
		}
		if of.last > 1 || old != nil && old.tree.size > 0 {
			return nil, fileDamage(checkpointFile, "checkpoint and records are missing although there was a log")
		}
		return nil, nil
	case err != nil:
		return nil, err
	case len(bytes.Trim(message, "\x00")) == 0 && old != nil:
		return &checkpoint{size: -1}, nil
	}
	c, err := parseCheckpoint(message, l.keys)
	if err != nil {
		d := checkpointDamage(checkpointFile, err)
		if errors.Is(err, ErrKey) {
			d.Advice = "nothing was changed; start with the key that wrote this log, or with an empty folder"
		}
		return nil, d
	}
	if old != nil && old.tree.size == c.size && old.tree.root() != c.root {
		return nil, fileDamage(checkpointFile, "checkpoint and frontier sign different records: two gateways write with one key, or parts of two logs were put together")
	}
	return &c, nil
}

// read walks to the end and counts what nothing signs.
func (l *Log) read(w *walk) (*find, error) {
	f := &find{}
	signed, _ := w.signed()
	w.each = func([]byte) {
		if w.tree.size == signed+1 {
			f.from = w.at
		}
	}
	if err := w.run(context.Background()); err != nil {
		return nil, err
	}
	if w.torn > maxGroup {
		return nil, w.damage(w.at, w.tree.size, "%d bytes follow that are no complete records, more than a crash can leave", w.torn)
	}
	f.walk = *w
	f.unsigned = w.tree.size - signed
	if f.unsigned > 0 {
		f.notes = append(f.notes, fmt.Sprintf("%d complete records from seq %d on were not signed yet and were adopted", f.unsigned, signed))
	}
	return f, nil
}
