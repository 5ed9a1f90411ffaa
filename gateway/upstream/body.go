package upstream

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// An unread rest of a body is read when it is closed, so that the connection can be used again, where it is this short
// and comes this soon.
const (
	drainBytes = 16 << 10
	drainTime  = 50 * time.Millisecond
)

// body reads an answer's body, each read in its time.
type body struct {
	ehr    *EHR
	src    io.ReadCloser // nil: there was no answer
	ctx    context.Context
	cancel context.CancelCauseFunc
	total  *time.Timer
	close  sync.Once

	reading sync.Mutex // held during a read; guards what follows
	idle    *time.Timer
	left    int64 // of Options.MaxBody; unused where that is 0
	err     error // of the last read
}

func (b *body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	bounded := b.ehr.o.MaxBody > 0
	if bounded && int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed, to see whether there is more
	}
	if b.idle == nil {
		b.idle = time.AfterFunc(b.ehr.o.IdleTimeout, func() { b.cancel(errIdle) })
	} else {
		b.idle.Reset(b.ehr.o.IdleTimeout)
	}
	n, err := b.src.Read(p)
	b.idle.Stop()
	if bounded && int64(n) > b.left {
		n, err = int(b.left), &Error{Kind: TooLarge, EHR: b.ehr.o.Name, Reason: "the answer is longer than its bound"}
	}
	b.left -= int64(n)
	if err != nil {
		b.err = b.failure(err)
	}
	return n, b.err
}

// failure says why a read has failed. An end of file is one only where the framing has it.
func (b *body) failure(err error) error {
	var ours *Error
	if err == io.EOF || errors.As(err, &ours) {
		return err
	}
	if stopped := b.ehr.stopped(b.ctx); stopped != nil {
		return stopped
	}
	return &Error{Kind: Cut, EHR: b.ehr.o.Name, Reason: "the answer ended early"}
}

// Close gives the connection back, or drops it where more of the body is to come than is worth waiting for. It may be
// called while another goroutine reads, which then fails.
func (b *body) Close() error {
	b.close.Do(func() {
		b.total.Stop()
		if b.src != nil && b.reading.TryLock() {
			b.drain()
			b.reading.Unlock()
		}
		b.cancel(errClosed)
		if b.src != nil {
			_ = b.src.Close()
		}
	})
	return nil
}

func (b *body) drain() {
	if b.err != nil || b.ctx.Err() != nil {
		return
	}
	late := time.AfterFunc(drainTime, func() { b.cancel(errClosed) })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, b.src, drainBytes)
}
