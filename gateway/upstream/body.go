package upstream

import (
	"context"
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

// body reads an answer's body out of its coding, each read in its time.
type body struct {
	ehr    *EHR
	src    io.ReadCloser // nil: there was no answer
	ctx    context.Context
	cancel context.CancelCauseFunc
	end    func() // of the call; nil until the answer is accepted
	close  sync.Once
	closed bool // before the answer was handed on

	over    func(verdict) // of the request, once the body has ended; nil until the answer is accepted
	ended   sync.Once
	verdict verdict // by its header

	reading  sync.Mutex // held during a read; guards what follows
	idle     *time.Timer
	left     int64    // of Options.MaxBody; unused where that is 0
	err      error    // of the last read
	coding   string   // "" for none
	decoder  *decoder // nil without a coding
	received int64    // bytes of src
	read     int64    // bytes handed on
	srcErr   error    // of the last read of src
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
	n, err := b.decode(p)
	switch {
	case bounded && int64(n) > b.left:
		n, err = int(b.left), b.error(TooLarge, "the answer is longer than its bound")
	case b.decoder != nil && b.read+int64(n)-slack > b.received*b.ehr.o.MaxExpansion:
		n, err = 0, b.error(TooLarge, "the answer's coding expands beyond its bound")
	}
	b.left -= int64(n)
	b.read += int64(n)
	if b.err = err; err != nil {
		v := b.verdict
		if failed, ok := err.(*Error); ok && failed.spoils() {
			v = bad
		}
		b.ends(v)
	}
	return n, err
}

// ends lets the next request have its turn, once.
func (b *body) ends(v verdict) {
	if b.over != nil {
		b.ended.Do(func() { b.over(v) })
	}
}

// decode reads through the coding, if there is one.
func (b *body) decode(p []byte) (int, error) {
	if b.decoder == nil {
		return b.receive(p)
	}
	n, err := b.decoder.Read(p)
	if err == nil || err == io.EOF && b.srcErr == io.EOF {
		return n, err
	}
	if b.srcErr != nil && b.srcErr != io.EOF {
		return n, b.srcErr // why the coding ended early
	}
	return n, b.error(badCoding(err))
}

// wire is the source of a body's decoder.
type wire struct{ *body }

func (w wire) Read(p []byte) (int, error) { return w.receive(p) }

// receive reads what the EHR sends, each read in its time.
func (b *body) receive(p []byte) (int, error) {
	if b.srcErr != nil {
		return 0, b.srcErr
	}
	if b.idle == nil {
		b.idle = time.AfterFunc(b.ehr.o.IdleTimeout, func() { b.cancel(errIdle) })
	} else {
		b.idle.Reset(b.ehr.o.IdleTimeout)
	}
	n, err := b.src.Read(p)
	b.idle.Stop()
	b.received += int64(n)
	if err != nil {
		b.srcErr = b.failure(err)
	} else if b.decoder != nil && b.received > b.read+slack+b.read/8 {
		n, b.srcErr = 0, b.error(Malformed, "the answer's coding is longer than what it holds")
	}
	return n, b.srcErr
}

func (b *body) error(kind Kind, reason string) error {
	return &Error{Kind: kind, EHR: b.ehr.o.Name, Reason: reason}
}

// failure says why a read has failed. An end of file is one only where the framing has it.
func (b *body) failure(err error) error {
	if err == io.EOF {
		return err
	}
	if stopped := b.ehr.stopped(b.ctx); stopped != nil {
		return stopped
	}
	return b.error(Cut, "the answer ended early")
}

// Close gives the connection back, or drops it where more of the body is to come than is worth waiting for. It may be
// called while another goroutine reads, which then fails.
func (b *body) Close() error {
	b.close.Do(func() {
		b.closed = b.end == nil
		if b.src != nil && b.reading.TryLock() {
			b.drain()
			b.finish()
			b.reading.Unlock()
		}
		b.cancel(errClosed)
		if b.src != nil {
			_ = b.src.Close()
		}
		b.ends(b.verdict)
		if b.end != nil {
			b.end()
		}
	})
	return nil
}

// finish gives the decoder back; nothing is read from here on.
func (b *body) finish() {
	if b.err == nil {
		b.err = b.error(Canceled, errClosed.Error())
	}
	if b.decoder != nil {
		b.ehr.decoders.put(b.coding, b.decoder)
		b.decoder = nil
	}
}

func (b *body) drain() {
	if b.srcErr != nil || b.err != nil || b.ctx.Err() != nil {
		return
	}
	late := time.AfterFunc(drainTime, func() { b.cancel(errClosed) })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, b.src, drainBytes)
}
