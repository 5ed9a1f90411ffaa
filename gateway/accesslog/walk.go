package accesslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// A place is where a line begins.
type place struct {
	segment int
	line    int64 // from 1
	offset  int64
}

// A mark is a signed checkpoint that the log must agree with on the way.
type mark struct {
	checkpoint
	name string // "the checkpoint", for sentences
}

// A walk reads the lines of a log in order, checks each against the one before, and the tree's root at
// every mark. Up to the largest mark nothing may be missing. Behind it every complete line must chain;
// what follows the last of them, in the last segment, is left in torn.
type walk struct {
	dir string
	layout
	marks  []mark
	each   func(line []byte) // called for every line that was found good; at is its place
	tree   tree              // the lines so far
	prev   tlog.Hash         // of the last of them
	at     place             // of the next line
	before place             // of the line before; segment 0 where the walk has seen none
	torn   int64             // bytes behind the last line that are not zero
	seal   []byte
}

// newWalk begins at the first record that is there.
func newWalk(dir string, of layout, marks ...mark) *walk {
	w := &walk{dir: dir, layout: of, marks: marks, at: place{of.first, 1, 0}}
	if of.base != nil {
		w.tree, w.prev = of.base.tree.clone(), of.base.prev
	}
	return w
}

// signed is the largest mark: the number of records that must be there.
func (w *walk) signed() (size int64, name string) {
	for _, m := range w.marks {
		if m.size >= size {
			size, name = m.size, m.name
		}
	}
	return size, name
}

func (w *walk) run(ctx context.Context) error {
	if err := w.checkRoot(); err != nil {
		return err
	}
	for w.at.segment <= w.layout.last {
		if err := w.walkSegment(ctx); err != nil {
			return err
		}
		if w.at.segment == w.layout.last {
			break
		}
		w.at = place{w.at.segment + 1, 1, 0}
	}
	if signed, name := w.signed(); w.tree.size < signed {
		return w.damage(w.at, w.tree.size, "the log ends here with %d records, but %s signs %d: its tail was cut", w.tree.size, name, signed)
	}
	return nil
}

func (w *walk) walkSegment(ctx context.Context) error {
	f, err := openStored(w.dir, w.at.segment)
	if errors.Is(err, errCompressed) {
		return w.damage(w.at, w.tree.size, "%v", err)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := newLines(f, w.at.offset)
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := in.next()
		if err != nil {
			return w.endSegment(f, err)
		}
		if err := w.check(line, in); err != nil {
			return err
		}
		w.before = w.at
		w.at.line++
		w.at.offset = in.offset
	}
}

// endSegment judges what lies behind the last complete line.
func (w *walk) endSegment(f stored, why error) error {
	switch {
	case errors.Is(why, errCompressed):
		return w.damage(w.at, w.tree.size, "%v", why)
	case errors.Is(why, errLong):
		return w.damage(w.at, w.tree.size, "the line is longer than any record")
	case !errors.Is(why, io.EOF) && !errors.Is(why, errTorn):
		return why
	}
	size, err := f.size()
	if err != nil {
		return err
	}
	end, err := lastWritten(f, w.at.offset)
	if err != nil {
		return err
	}
	final := w.at.segment == w.layout.last
	signed, _ := w.signed()
	switch {
	case end > w.at.offset && errors.Is(why, errTorn) && (!final || w.tree.size < signed):
		return w.damage(w.at, w.tree.size, "the line is incomplete, or holds a zero byte")
	case end > w.at.offset && (!final || w.tree.size < signed):
		return w.damage(w.at, w.tree.size, "records were overwritten with zeros")
	case !final && size > w.at.offset:
		return w.damage(w.at, w.tree.size, "zeros follow the last record, although the segment is closed")
	}
	w.torn = end - w.at.offset
	return nil
}

// check takes one line into the chain and the tree.
func (w *walk) check(line []byte, in *lines) error {
	w.seal = seal(w.seal[:0], w.tree.size, w.prev)
	if !bytes.HasSuffix(line, w.seal) {
		return w.blame(bytes.Clone(line), in)
	}
	w.prev = tlog.RecordHash(line)
	w.tree.append(w.prev)
	if err := w.checkRoot(); err != nil {
		return err
	}
	if w.each != nil {
		w.each(line)
	}
	return nil
}

// checkRoot compares the tree with the marks of its size.
func (w *walk) checkRoot() error {
	for _, m := range w.marks {
		if m.size == w.tree.size && m.root != w.tree.root() {
			return w.damage(w.at, w.tree.size-1,
				"the %d records up to this one do not have the root that %s signs: this record was changed, or records before it were and the chain was made anew", m.size, m.name)
		}
	}
	return nil
}

// blame finds which line is wrong where one does not continue the chain.
func (w *walk) blame(line []byte, in *lines) error {
	at, seq, prev, ok := parseSeal(line)
	switch {
	case !ok:
		return w.damage(w.at, w.tree.size, "the line does not end as a record does: it was changed")
	case seq > w.tree.size:
		return w.damage(w.at, w.tree.size, "record %d was expected here and %d found: a line was removed, moved or changed", w.tree.size, seq)
	case seq < w.tree.size:
		return w.damage(w.at, w.tree.size, "record %d was expected here and %d found: a line was repeated, moved or changed", w.tree.size, seq)
	}
	const changed = "the record was changed: it does not have the hash that the next one holds"
	const relinked = "the record was changed: it does not hold the hash of the one before"
	if w.before.segment == 0 || bytes.Equal(prev, appendHash(nil, w.prev)) {
		// No line before to blame, or only the spelling differs.
		return w.damage(w.at, w.tree.size, relinked)
	}
	// Either the line before was changed, or prev in this one. With prev put right, this line has the
	// hash that the next line or the checkpoint holds for it only in the second case.
	restored := tlog.RecordHash(seal(line[:at:at], w.tree.size, w.prev))
	t := w.tree.clone()
	t.append(restored)
	for _, m := range w.marks {
		if m.size == t.size && m.root == t.root() {
			return w.damage(w.at, w.tree.size, relinked)
		}
	}
	if _, _, p, ok := parseSeal(w.peek(in)); ok && bytes.Equal(p, appendHash(nil, restored)) {
		return w.damage(w.at, w.tree.size, relinked)
	}
	return w.damage(w.before, w.tree.size-1, changed)
}

// peek returns the line behind the one that in has just read, in the next segment where need be.
func (w *walk) peek(in *lines) []byte {
	next, err := in.next()
	if err == nil {
		return next
	}
	f, err := openStored(w.dir, w.at.segment+1)
	if err != nil {
		return nil
	}
	defer f.Close()
	next, _ = newLines(f, 0).next()
	return next
}

func (w *walk) damage(at place, seq int64, format string, args ...any) *Damage {
	return &Damage{File: segmentName(at.segment), Line: at.line, Seq: seq, Offset: at.offset, Reason: fmt.Sprintf(format, args...)}
}
