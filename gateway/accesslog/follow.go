package accesslog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
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

// A Follower reads the records of a log in order, from one of them on, while the log is written. It checks no
// hashes. It is for one goroutine.
type Follower struct {
	dir     string
	next    int64 // the number of the record that comes next
	segment int   // that is open
	jump    bool  // records before the first one that is left were removed
	file    stored
	in      *lines
}

// NewFollower begins at the record with this number. [Follow] is for who has no number but an [End], and can stop anywhere.
func NewFollower(dir string, from int64) *Follower { return &Follower{dir: dir, next: from} }

// Position is the number of the record that comes next.
func (f *Follower) Position() int64 { return f.next }

// Next returns the next record and its line, which holds until the next call, or io.EOF where it is not before
// limit, which the caller has from [Log.Durable]. Where retention has removed the records that come next, it goes on
// behind them, and Position tells.
func (f *Follower) Next(limit int64) (*Record, []byte, error) {
	if f.next >= limit {
		return nil, nil, io.EOF
	}
	for looked := false; ; {
		if f.file == nil {
			if err := f.find(); err != nil {
				return nil, nil, err
			}
		}
		line, err := f.in.next()
		switch {
		case err == nil:
			_, seq, _, ok := parseSeal(line)
			if !ok {
				return nil, nil, f.damage("it has a line that does not end as a record does")
			}
			if seq < f.next {
				continue
			}
			if seq > f.next && !f.jump {
				return nil, nil, f.damage(fmt.Sprintf("record %d was expected, and %d found", f.next, seq))
			}
			r, err := Decode(line)
			if err != nil {
				return nil, nil, f.damage(err.Error())
			}
			f.next, f.jump = seq+1, false
			return r, line, nil
		case !errors.Is(err, io.EOF) && !errors.Is(err, errTorn):
			return nil, nil, f.damage(err.Error())
		case !looked:
			f.in.forget() // what was read ahead of the end may have been written since
			looked = true
		case hasSegment(f.dir, f.segment+1) == nil:
			// What comes next was durable before this call, so it is not in the segment that has just been read to its end.
			if err := f.open(f.segment + 1); err != nil {
				return nil, nil, err
			}
			looked = false
		default:
			return nil, nil, f.damage(fmt.Sprintf("record %d is durable and not there", f.next))
		}
	}
}

// find opens the segment that holds the next record, or the first one that is left. It looks from the end, where a
// follower mostly is.
func (f *Follower) find() error {
	of, err := listSegments(f.dir, nil)
	if err != nil {
		return err
	}
	for n := of.last; ; n-- {
		if err := f.open(n); err != nil {
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
			return f.open(n) // from its beginning
		}
		f.Close()
		if !errors.Is(err, io.EOF) && !errors.Is(err, errTorn) || n <= of.first {
			return f.damage("its first record cannot be read")
		}
	}
}

func (f *Follower) open(n int) error {
	f.Close()
	file, err := openStored(f.dir, n)
	if errors.Is(err, fs.ErrNotExist) {
		return fileDamage(segmentName(n), "the segment is missing")
	}
	if err != nil {
		return err
	}
	f.file, f.in, f.segment = file, newLines(file, 0), n
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
	d := &Damage{File: segmentName(f.segment), Seq: f.next, Reason: reason}
	if f.in != nil {
		d.Offset = f.in.offset
	}
	f.Close() // the next try looks again
	return d
}
