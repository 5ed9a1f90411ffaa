package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// A Place is where a record's line begins: in which segment, and at which of its bytes.
type Place struct {
	Segment int
	Offset  int64
}

// An End is where somebody has come to in a log: behind so many records, the last of which has this hash.
// The zero End is the beginning.
type End struct {
	Records int64
	Next    Place // of the next record's line
	Last    [32]byte
}

// ReadFrom is [Read] of what lies behind an end.
func ReadFrom(dir string, from End, queries ...Query) iter.Seq2[*Record, error] {
	return read(dir, from.Next, queries)
}

// Lookup reads single records by their places. It is not for concurrent use.
type Lookup struct {
	dir   string
	open  map[int]stored
	order []int // of open, the oldest first
	buf   []byte
}

// lookupFiles bounds how many segments a Lookup has open.
const lookupFiles = 32

// NewLookup looks records up in a log.
func NewLookup(dir string) *Lookup { return &Lookup{dir: dir, open: map[int]stored{}} }

// Close lets go of the files.
func (l *Lookup) Close() error {
	var all []error
	for _, f := range l.open {
		all = append(all, f.Close())
	}
	l.open, l.order = map[int]stored{}, nil
	return errors.Join(all...)
}

func (l *Lookup) segment(n int) (stored, error) {
	if f := l.open[n]; f != nil {
		return f, nil
	}
	if len(l.order) == lookupFiles {
		l.open[l.order[0]].Close() // it was only read
		delete(l.open, l.order[0])
		l.order = l.order[1:]
	}
	f, err := openStored(l.dir, n)
	if err == nil {
		l.open[n] = f
		l.order = append(l.order, n)
	}
	return f, err
}

// At reads the record with this number at this place, and holds its line to the hash that the next line
// has for it, or, where it is the last before end, to that one's. What does not fit is a [*Damage].
func (l *Lookup) At(seq int64, at Place, end End) (*Record, error) {
	damage := func(reason string) (*Record, error) {
		return nil, &Damage{File: segmentName(at.Segment), Seq: seq, Offset: at.Offset, Reason: reason}
	}
	f, err := l.segment(at.Segment)
	if err != nil {
		return nil, err
	}
	if l.buf == nil {
		l.buf = make([]byte, 8<<10)
	}
	in := &lines{src: f, buf: l.buf, offset: at.Offset}
	line, err := in.next()
	if err != nil {
		return damage("there is no record here: " + err.Error())
	}
	r, err := Decode(line)
	if err != nil || r.Sequence != seq {
		return damage(fmt.Sprintf("it is not record %d", seq))
	}
	hash := tlog.RecordHash(line)
	want := appendHash(nil, hash)
	if seq+1 == end.Records {
		if hash != end.Last {
			return damage("the record was changed: it does not have the hash that it had")
		}
		return r, nil
	}
	next, err := in.next()
	if errors.Is(err, io.EOF) {
		var g stored
		if g, err = l.segment(at.Segment + 1); err == nil {
			next, err = (&lines{src: g, buf: make([]byte, 8<<10)}).next()
		}
	}
	if err != nil {
		return damage("the record behind it, which has its hash, cannot be read")
	}
	if _, n, prev, ok := parseSeal(next); !ok || n != seq+1 || !bytes.Equal(prev, want) {
		return damage("the record was changed: it does not have the hash that the next one holds")
	}
	l.buf = in.buf
	return r, nil
}

// First is the number of the first record that is there: 0, or what retention has left.
func First(dir string) (int64, error) {
	of, err := listSegments(dir, nil)
	if err != nil || of.base == nil {
		return 0, err
	}
	return of.base.tree.size, nil
}
