package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"
)

// progress is how far the log is durable, for those who follow it.
type progress struct {
	size  atomic.Int64
	mu    sync.Mutex
	watch []chan struct{}
}

// moved tells the followers that there are so many records now. It waits for nobody.
func (p *progress) moved(size int64) {
	p.size.Store(size)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.watch {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last one
		}
	}
}

// Durable returns how many records are durable: those before this number.
func (l *Log) Durable() int64 { return l.progress.size.Load() }

// Watch returns a channel that holds a token whenever [Log.Durable] has grown since it was last read.
func (l *Log) Watch() <-chan struct{} {
	c := make(chan struct{}, 1)
	l.progress.mu.Lock()
	defer l.progress.mu.Unlock()
	l.progress.watch = append(l.progress.watch, c)
	return c
}

// A Follower reads the records of a log in order, also while the log is written, and holds each to the one before. It is for
// one goroutine.
type Follower struct {
	dir      string
	numbered bool  // it is known which record comes next, and not where
	next     int64 // the number of the record that comes next
	jump     bool  // records before the first one that is left were removed
	seen     Place // of the record that came last
	file     stored
	in       *lines

	// Of the line that comes next in the segment: in a numbered one, it may be one before the record that comes next.
	number int64
	at     Place
	last   tlog.Hash // of the line before, where chained
	chain  bool
	sealed []byte
}

// Whole is the limit of who wants what is there, whether it is durable or not.
const Whole = -1

// ErrElsewhere is returned for an end that is not, or no longer, in this log.
var ErrElsewhere = errors.New("the log is another one, or has changed, or no longer goes back so far")

// NewFollower begins at the record with this number. Where retention has removed the records that come next, it goes on
// behind them.
func NewFollower(dir string, from int64) *Follower {
	return &Follower{dir: dir, numbered: true, next: from}
}

// FollowFrom begins behind an end. Where that is not in the log, the error is [ErrElsewhere].
func FollowFrom(dir string, from End) (*Follower, error) {
	of, err := listSegments(dir, nil)
	if err != nil {
		return nil, err
	}
	if from == (End{}) {
		from.Next.Segment = of.first
		if of.base != nil {
			from.Records, from.Last = of.base.tree.size, of.base.prev
		}
	} else if !(&state{tree: tree{size: from.Records}, segment: from.Next.Segment, offset: from.Next.Offset, prev: from.Last}).fits(dir, of) {
		return nil, ErrElsewhere
	}
	return &Follower{dir: dir, next: from.Records, number: from.Records, at: from.Next, last: from.Last, chain: true}, nil
}

// Position is the number of the record that comes next.
func (f *Follower) Position() int64 { return f.next }

// Place is where the record that came last has its line.
func (f *Follower) Place() Place { return f.seen }

// End is where a Follower has come to that began at an end.
func (f *Follower) End() End { return End{f.next, f.at, f.last} }

// Next returns the next record and its line, which holds until the next call, or io.EOF where it is not before
// limit, which the caller has from [Log.Durable]. With [Whole] it comes to the end of what is there. What does not
// continue what came before is a [*Damage].
func (f *Follower) Next(limit int64) (*Record, []byte, error) {
	var r *Record
	line, err := f.line(limit, func(line []byte) (err error) {
		r, err = Decode(line)
		return err
	})
	return r, line, err
}

// line is Next for who has no use of the record. What is not taken for a record is damage, and is not passed.
func (f *Follower) line(limit int64, take func([]byte) error) ([]byte, error) {
	if limit != Whole && f.next >= limit {
		return nil, io.EOF
	}
	for looked, more := false, false; ; {
		if f.file == nil {
			if err := f.begin(); err != nil {
				return nil, err
			}
		}
		line, err := f.in.next()
		switch {
		case err == nil:
			if err := f.holds(line); err != nil {
				return nil, err
			}
			seq, at := f.number, f.at
			if seq >= f.next && take != nil {
				if err := take(line); err != nil {
					f.Close()
					return nil, &Damage{File: segmentName(at.Segment), Seq: seq, Offset: at.Offset, Reason: err.Error(), err: err}
				}
			}
			f.number, f.at, f.last, f.chain = seq+1, Place{f.at.Segment, f.in.offset}, tlog.RecordHash(line), true
			if seq < f.next {
				continue
			}
			f.next, f.seen, f.jump = seq+1, at, false
			return line, nil
		case !errors.Is(err, io.EOF) && !errors.Is(err, errTorn):
			return nil, f.damage(err.Error())
		case !looked:
			// What was read ahead of the end may have been written since; and where there is a segment behind this one, all of
			// this one has been.
			more, looked = hasSegment(f.dir, f.at.Segment+1) == nil, true
			f.in.forget()
		case more:
			if err := f.open(Place{Segment: f.at.Segment + 1}); err != nil {
				return nil, err
			}
			looked, more = false, false
		case limit == Whole:
			return nil, io.EOF
		default:
			return nil, f.damage(fmt.Sprintf("record %d is durable and not there", f.next))
		}
	}
}

// holds holds a line to the one before.
func (f *Follower) holds(line []byte) error {
	if f.chain {
		if f.sealed = seal(f.sealed[:0], f.number, f.last); !bytes.HasSuffix(line, f.sealed) {
			return f.damage("the line does not continue the one before")
		}
		return nil
	}
	_, seq, _, ok := parseSeal(line)
	if !ok {
		return f.damage("it has a line that does not end as a record does")
	}
	if seq > f.next && !f.jump {
		return f.damage(fmt.Sprintf("record %d was expected, and %d found", f.next, seq))
	}
	f.number = seq
	return nil
}

// begin opens the segment in which it goes on.
func (f *Follower) begin() error {
	if !f.numbered {
		return f.open(f.at)
	}
	// The one that holds the next record, or the first one that is left. It looks from the end, where it mostly is.
	of, err := listSegments(f.dir, nil)
	if err != nil {
		return err
	}
	for n := of.last; ; n-- {
		if err := f.open(Place{Segment: n}); err != nil {
			return err
		}
		line, err := f.in.next()
		if err == nil {
			_, seq, _, ok := parseSeal(line)
			if !ok {
				return f.damage("it has a line that does not end as a record does")
			}
			if n > of.first && seq > f.next {
				continue
			}
			f.jump = seq > f.next
			f.chain = f.chain && seq == f.number // what did not continue the one before does not on another try
			return f.open(Place{Segment: n})     // from its beginning
		}
		f.Close()
		if !errors.Is(err, io.EOF) && !errors.Is(err, errTorn) || n <= of.first {
			return f.damage("its first record cannot be read")
		}
	}
}

func (f *Follower) open(at Place) error {
	f.Close()
	file, err := openStored(f.dir, at.Segment)
	if errors.Is(err, fs.ErrNotExist) {
		return fileDamage(segmentName(at.Segment), "the segment is missing")
	}
	if err != nil {
		return err
	}
	f.file, f.in, f.at = file, newLines(file, at.Offset), at
	return nil
}

// Close lets go of the file. The follower may go on, and opens it again.
func (f *Follower) Close() {
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.in = nil, nil
}

func (f *Follower) damage(reason string) error {
	f.Close() // the next try looks again
	return &Damage{File: segmentName(f.at.Segment), Seq: f.next, Offset: f.at.Offset, Reason: reason}
}
