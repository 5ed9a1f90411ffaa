package gateway

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/transforms"
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

// outgoing are the codings on offer, the cheapest first. Both are fast to make and can be flushed; br is neither.
var outgoing = [...]string{"zstd", "gzip"}

// encoder makes a content coding. After Reset it has forgotten what it was about.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// encoders are kept for use again, by coding.
type encoders struct{ zstd, gzip sync.Pool }

func (e *encoders) pool(coding string) *sync.Pool {
	if coding == "gzip" {
		return &e.gzip
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
	if coding == "gzip" {
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

// code decides how the body leaves, with its first window in hand, and says so in the header.
func (d *disclosure) code(h http.Header, w *transforms.Window) {
	h.Add("Vary", "Accept-Encoding")
	short := w.Last && len(w.Body) < plainBelow
	switch {
	case d.head: // has no body, and no word on how it would have left
	case d.coding.Name != "" && !(short && d.coding.Plain):
		h.Set("Content-Encoding", d.coding.Name)
		d.out = d.g.encoders.get(d.coding.Name, d.w)
	case w.Last:
		h.Set("Content-Length", strconv.Itoa(len(w.Body)))
	}
}

// write hands a window on, and with it all that an encoder holds.
func (d *disclosure) write(w *transforms.Window) error {
	if d.out == nil {
		_, err := d.w.Write(w.Body)
		return err
	}
	if _, err := d.out.Write(w.Body); err != nil {
		return err
	}
	if w.Last {
		return d.out.Close()
	}
	return d.out.Flush()
}

// letGo gives the encoder back, in whatever state.
func (d *disclosure) letGo() {
	if d.out != nil {
		d.g.encoders.put(d.coding.Name, d.out)
		d.out = nil
	}
}

// accepts learns what the client takes the answer in.
func (c *call) accepts(h http.Header) (err error) {
	c.coding, err = fhir.AcceptCoding(h["Accept-Encoding"], outgoing[:]...)
	return err
}
