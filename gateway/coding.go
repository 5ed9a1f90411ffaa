package gateway

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// What leaves may leave in a content coding. Three things hold:
//
//   - The encoder is given a window when its record is durable, and gives all of it away before the next: neither does
//     a byte leave before its record, nor does one that was recorded stay.
//   - The coding ends only with the last window. An answer that is aborted ends in the middle of its coding, as well as
//     of its framing.
//   - What the dataset hides never reaches an encoder, so that no length can tell of it. ARCHITECTURE.md says what a
//     length can tell.

// plainBelow is the length of a whole body, in bytes, below which a coding is not worth its header.
const plainBelow = 1 << 10

// outgoing are the codings on offer, the cheapest first. Each can be flushed.
var outgoing = [...]string{"zstd", "gzip", "br"}

// encoder makes a content coding. After Reset it has forgotten what it was about.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// encoders are kept for use again, by coding.
type encoders struct{ zstd, gzip, br sync.Pool }

func (e *encoders) pool(coding string) *sync.Pool {
	switch coding {
	case "gzip":
		return &e.gzip
	case "br":
		return &e.br
	}
	return &e.zstd
}

func (e *encoders) get(coding string, w io.Writer) encoder {
	out, kept := e.pool(coding).Get().(encoder)
	if !kept {
		out = newEncoder(coding)
	}
	out.Reset(w)
	return out
}

func (e *encoders) put(coding string, done encoder) {
	done.Reset(nil)
	e.pool(coding).Put(done)
}

// newEncoder makes one at its fastest, in little memory and without a goroutine.
func newEncoder(coding string) encoder {
	switch coding {
	case "br":
		// Quality 2 comes to half the length of 0 and 1, in the time that they take; the window is that of zstd.
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 2, LGWin: 18})
	case "gzip":
		out, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil {
			panic(err) // the level is one of its own
		}
		return out
	}
	out, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(256<<10))
	if err != nil {
		panic(err) // the options are constant
	}
	return out
}

// encode decides how the body leaves, and says so in the header. The length is that of the whole body
// where it is at hand, and else -1.
func (c *call) encode(h http.Header, length int) {
	h.Add("Vary", "Accept-Encoding")
	whole := length >= 0
	switch {
	case c.head: // has no body, and no word on how it would have left
	case c.coding.Name != "" && !(whole && length < plainBelow && c.coding.Plain):
		h.Set("Content-Encoding", c.coding.Name)
		c.out = c.g.encoders.get(c.coding.Name, c.w)
	case whole:
		h.Set("Content-Length", strconv.Itoa(length))
	}
}

// emit writes a piece of the body.
func (c *call) emit(piece []byte) error {
	if c.out == nil {
		_, err := c.w.Write(piece)
		return err
	}
	_, err := c.out.Write(piece)
	return err
}

// flush hands on all that was written, also what an encoder holds.
func (c *call) flush() error {
	if c.out != nil {
		if err := c.out.Flush(); err != nil {
			return err
		}
	}
	return c.ctl.Flush()
}

// finish ends the body's coding.
func (c *call) finish() error {
	if c.out == nil {
		return nil
	}
	return c.out.Close()
}

// letGo gives the encoder back, in whatever state.
func (c *call) letGo() {
	if c.out != nil {
		c.g.encoders.put(c.coding.Name, c.out)
		c.out = nil
	}
}

// accepts learns what the client takes the answer in.
func (c *call) accepts(h http.Header) (err error) {
	c.coding, err = fhir.AcceptCoding(h["Accept-Encoding"], outgoing[:]...)
	return err
}
