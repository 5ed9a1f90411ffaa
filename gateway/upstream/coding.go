package upstream

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Content codings (RFC 9110, section 8.4.1) are undone as the body comes. Four things hold:
//
//   - A coding is bounded by what it makes of how much (Options.MaxExpansion) before that is handed on, and by how
//     little, so that neither a bomb nor an endless coding of nothing keeps a call busy.
//   - What a decoder holds is bounded: at most the window of its coding, and that at most maxWindow.
//   - The end of a body is the end of its coding with its checksum, and of the HTTP framing around it. One without the
//     other is an error; so is anything behind.
//   - A decoder has no goroutine, and reads in the reader's own Read, so that each wait has its time.

// maxWindow bounds how far back a coding may refer, which is what a decoder must hold. RFC 9659, section 3, has this
// number for zstd; for br it excludes the largest of the windows of RFC 7932, section 9.1, alone.
const maxWindow = 8 << 20

// slack is what a coding may expand to, or be longer than what it holds, before proportions count.
const slack = 1 << 20

// accepted is what the EHR is asked for.
const accepted = "zstd, identity"

var (
	errTrailing = errors.New("data behind the coding")
	errWindow   = errors.New("window too large")
)

// codingOf is the one coding of an answer, in lower case, "" for none. It is not ok where there are several, or one
// that is not decoded here: who codes twice hides how far a body expands.
func codingOf(h http.Header) (name string, ok bool) {
	for _, value := range h.Values("Content-Encoding") {
		for one := range strings.SplitSeq(value, ",") {
			one = strings.ToLower(strings.Trim(one, " \t"))
			if one == "" || one == "identity" {
				continue
			}
			if name != "" {
				return "", false
			}
			name = one
		}
	}
	switch name {
	case "", "gzip", "deflate", "br", "zstd":
		return name, true
	case "x-gzip": // RFC 9110, section 8.4.1.3: the same
		return "gzip", true
	}
	return "", false
}

// decoders are kept for use again, by coding.
type decoders struct{ gzip, deflate, br, zstd sync.Pool }

func (d *decoders) pool(coding string) *sync.Pool {
	switch coding {
	case "gzip":
		return &d.gzip
	case "deflate":
		return &d.deflate
	case "br":
		return &d.br
	}
	return &d.zstd
}

// get takes a decoder for a coding that codingOf has named.
func (d *decoders) get(coding string, src io.Reader) *decoder {
	if kept, ok := d.pool(coding).Get().(*decoder); ok {
		kept.src.Reset(src)
		return kept
	}
	new := &decoder{src: bufio.NewReaderSize(src, 16<<10)}
	switch coding {
	case "gzip":
		new.coder = &gzipCoder{}
	case "deflate":
		new.coder = &deflateCoder{}
	case "br":
		new.coder = &brotliCoder{}
	default:
		new.coder = &zstdCoder{}
	}
	return new
}

// put keeps a decoder, which nobody may use from now on. It holds nothing of the body but what its buffers are left with.
func (d *decoders) put(coding string, done *decoder) {
	done.src.Reset(nil)
	done.opened = false
	d.pool(coding).Put(done)
}

// decoder reads one body out of its coding.
type decoder struct {
	src    *bufio.Reader
	coder  coder
	opened bool
}

// coder is one coding. It reads no more of its source than its coding, or all; where it has ended, it goes on saying so.
type coder interface {
	io.Reader
	// open begins another body, and may read of it.
	open(src *bufio.Reader) error
}

// Read ends with io.EOF only where the coding has ended well and the source with it.
func (d *decoder) Read(p []byte) (int, error) {
	if !d.opened {
		if err := d.coder.open(d.src); err != nil {
			return 0, noEOF(err)
		}
		d.opened = true
	}
	n, err := d.coder.Read(p)
	if err != io.EOF {
		return n, err
	}
	switch _, behind := d.src.ReadByte(); behind {
	case io.EOF:
		return n, io.EOF
	case nil:
		return n, errTrailing
	default:
		return n, behind
	}
}

// noEOF: a coding that has not begun has not ended either.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// gzipCoder is RFC 1952. Several members, one behind the other, are one body (section 2.2).
type gzipCoder struct{ gzip.Reader }

func (c *gzipCoder) open(src *bufio.Reader) error { return c.Reset(src) }

// deflateCoder is RFC 1950 as RFC 9110, section 8.4.1.2, has it, or the bare RFC 1951 that some servers send under the
// name. No bare stream of an encoder begins like RFC 1950's header: the first bits would be a stored block, with
// padding that is not zero.
type deflateCoder struct {
	io.Reader               // the one of these that this body needs
	wrapped   io.ReadCloser // of zlib
	bare      io.ReadCloser // of flate
}

func (c *deflateCoder) open(src *bufio.Reader) (err error) {
	head, err := src.Peek(2)
	if err != nil {
		return err
	}
	if head[0]&0x0f == 8 && head[0]>>4 <= 7 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		if c.wrapped == nil {
			c.wrapped, err = zlib.NewReader(src)
		} else {
			err = c.wrapped.(zlib.Resetter).Reset(src, nil)
		}
		c.Reader = c.wrapped
		return err
	}
	if c.bare == nil {
		c.bare = flate.NewReader(src)
	} else {
		err = c.bare.(flate.Resetter).Reset(src, nil)
	}
	c.Reader = c.bare
	return err
}

// brotliCoder is RFC 7932.
type brotliCoder struct{ brotli.Reader }

func (c *brotliCoder) open(src *bufio.Reader) error {
	head, err := src.Peek(1)
	if err != nil {
		return err
	}
	if head[0]&0x0f == 0x0f { // WBITS 24: a window of 16 MiB
		return errWindow
	}
	return c.Reset(src)
}

// zstdCoder is RFC 8878. Several frames, one behind the other, are one body (section 3).
type zstdCoder struct{ *zstd.Decoder }

func (c *zstdCoder) open(src *bufio.Reader) (err error) {
	if _, err := src.Peek(1); err != nil {
		return err
	}
	if c.Decoder == nil {
		// One at a time is without a goroutine, so that there is nothing to close.
		c.Decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
	}
	return c.Reset(src)
}

// badCoding says what is wrong with a coding that does not decode.
func badCoding(err error) (Kind, string) {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return Cut, "the answer's coding ended early"
	case err == errWindow, errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return TooLarge, "the answer's coding needs more memory than it is given"
	case err == errTrailing:
		return Malformed, "there is data behind the answer's coding"
	}
	return Malformed, "the answer's coding is corrupt"
}
