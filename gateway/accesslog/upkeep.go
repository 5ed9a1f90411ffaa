package accesslog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// spacePeriod is how often free space is looked at.
	spacePeriod = time.Second
	// tidyPeriod is how often closed segments are, beside each time that one is closed.
	tidyPeriod = time.Hour
)

// keep is what is done to closed segments, and to the reserve, by goroutines apart from the writer: an
// append never waits for it, and what fails in it poisons nothing, since no record is in danger.
type keep struct {
	compress  bool
	retention time.Duration
	hold      time.Duration
	holders   func() ([]Holder, bool)
	age       time.Duration
	noticed   func(Space, error)

	closed  atomic.Int64  // segments up to this one are closed
	tidy    chan struct{} // holds one token: look at the closed segments
	ctx     context.Context
	stop    context.CancelFunc
	ended   sync.WaitGroup
	telling sync.Mutex // noticed is called by one at a time
	neglect atomic.Pointer[error]
}

func (l *Log) beginUpkeep() {
	k := &l.keep
	k.tidy = make(chan struct{}, 1)
	k.ctx, k.stop = context.WithCancel(context.Background())
	l.watchSpace()
	k.ended.Go(l.upkeep)
	k.ended.Go(l.lookAfterSpace)
}

// endUpkeep waits for what is under way.
func (l *Log) endUpkeep() {
	l.keep.stop()
	l.keep.ended.Wait()
}

// segmentClosed tells of a segment that is not written any more.
func (l *Log) segmentClosed(n int) {
	l.keep.closed.Store(int64(n))
	l.Tidy()
}

func (l *Log) upkeep() {
	k := &l.keep
	again := time.NewTicker(tidyPeriod)
	defer again.Stop()
	l.tidyUp()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-again.C:
			l.tidyUp()
		case <-k.tidy:
			l.tidyUp()
		}
	}
}

// lookAfterSpace goes on while a segment is compressed.
func (l *Log) lookAfterSpace() {
	look := time.NewTicker(spacePeriod)
	defer look.Stop()
	for {
		select {
		case <-l.keep.ctx.Done():
			return
		case <-look.C:
			if l.watchSpace() {
				l.notice()
				var held *Held
				if errors.As(l.Neglect(), &held) {
					l.Tidy() // what is held may have to go
				}
			}
		}
	}
}

// tidyUp removes and compresses closed segments.
func (l *Log) tidyUp() {
	err := l.retain()
	var held *Held
	if (err == nil || errors.As(err, &held)) && l.keep.compress {
		if failed := l.compressClosed(); failed != nil {
			err = failed
		}
	}
	if l.keep.ctx.Err() != nil {
		return // it was not given the time
	}
	before := l.Neglect()
	l.keep.neglect.Store(&err)
	if subject(before) != subject(err) {
		l.notice()
	}
}

func (l *Log) compressClosed() error {
	of, err := listSegments(l.dir, l.keys)
	if err != nil {
		return err
	}
	for n := of.first; n <= int(l.keep.closed.Load()); n++ {
		if _, err := os.Stat(filepath.Join(l.dir, segmentName(n))); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			return err
		}
		if err := compress(l.fs, l.dir, n, l.keep.ctx.Done()); err != nil {
			return err
		}
		if l.keep.ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

// Neglect returns why closed segments could not be compressed or removed the last time, a [*Held] where they wait for
// somebody, or nil. Records are not in danger by it, but the disk will be.
func (l *Log) Neglect() error {
	if err := l.keep.neglect.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *Log) notice() {
	if l.keep.noticed != nil {
		l.keep.telling.Lock()
		defer l.keep.telling.Unlock()
		l.keep.noticed(l.Space(), l.Neglect())
	}
}
