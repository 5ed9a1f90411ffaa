package transforms

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// The window on the input, and how it moves.
//
//	buf  |....pin....mark....r..........w|00000000|
//	     base                             pad
//
// Invariants:
//   - buf[w:w+pad] is zero. No JSON has a zero byte, so the scanners run without asking for the
//     end; who meets a zero asks more, and a zero before w is a syntax error.
//   - The bytes before r are scanned. Those from pin on are kept, so that r can go back there: where
//     they are more than the window, the first of them are in spilled, and buf[pin] comes behind
//     these. What r has gone back to is in again, and read before src; it is let go piece by piece,
//     while what leaves of it grows in out. Those from mark on are to be copied to the output, and
//     are when the window moves. There is never both a pin and a mark. Without either, -1, what is
//     before r is forgotten.
//   - more may move and replace buf: no index or slice of it outlives a call, but r, pin and mark.
//   - base is how many bytes of the input came before buf[0].
type source struct {
	src  io.Reader
	err  error // of src, after which it is not read again
	buf  []byte
	r, w int
	pin  int
	mark int
	base int64

	moves int // how often it moved, or may have

	spilled, again pieces
	spill          int    // bytes in spilled
	free           pieces // not more than maxFree
	far            bool   // r has gone back farther than these have room for

	// Where each line is a text of its own (ndjson.go), w is where the line ends, at a newline; have
	// is where what was read does, and saved what the zeros behind w took the place of.
	lined bool
	have  int
	saved [pad]byte
}

// A stream has bufferBytes of input, and of output the window with what the last entry added to it.
// With the zeros behind the input they are 92 KB, where no entry leaves more than 8 KB: of sizes
// that the runtime has, so that nothing is lost to rounding, and of 128 KB the rest is for tables.
const (
	bufferBytes = 20<<10 - pad
	outBytes    = DefaultWindow + 8<<10
	pad         = 32
)

func (f *filter) open(src io.Reader) {
	f.src, f.err, f.base = src, nil, 0
	f.r, f.w, f.pin, f.mark = 0, 0, -1, -1
	f.lined, f.have = false, 0
	f.spill = 0
	if f.buf == nil {
		size := f.opt.buffer
		if size == 0 {
			size = bufferBytes
		}
		f.buf = make([]byte, size+pad)
	}
	clear(f.buf[:pad])
	if f.out == nil {
		f.out = make([]byte, 0, outBytes)
	}
}

// more reads at least one byte, or returns io.EOF where the input, or its line, has a clean end.
func (f *filter) more() error {
	f.moves++
	if f.lined && f.w < f.have {
		return io.EOF
	}
	if f.mark >= 0 {
		f.out = append(f.out, f.buf[f.mark:f.r]...)
		f.mark = f.r
		if err := f.held(); err != nil {
			return err
		}
	}
	if f.err != nil && f.again.first == nil {
		return f.ended()
	}
	keep := f.r
	if f.pin >= 0 {
		keep = f.pin
		if keep == 0 && f.r > 0 && f.w == len(f.buf)-pad {
			if f.spill+f.r > f.opt.Lookahead {
				return f.fail(ErrLookahead)
			}
			keep = f.r
			f.spilled.add(f.piece(f.buf[:keep]))
			f.spill += keep
		}
	}
	if keep > 0 {
		copy(f.buf, f.buf[keep:f.w])
		f.r -= keep
		f.w -= keep
		f.base += int64(keep)
		if f.mark >= 0 {
			f.mark -= keep
		}
		if f.pin >= 0 {
			f.pin = 0
		}
		clear(f.buf[f.w : f.w+pad])
	}
	if f.w == len(f.buf)-pad {
		return f.fail(ErrTooLong)
	}
	if p := f.again.first; p != nil {
		n := copy(f.buf[f.w:len(f.buf)-pad], p.data[p.read:])
		if p.read += n; p.read == len(p.data) {
			f.letGo(f.again.take())
		}
		f.got(n)
		return nil
	}
	for range 100 {
		room := f.buf[f.w : len(f.buf)-pad]
		n, err := f.src.Read(room)
		if n < 0 || n > len(room) {
			n, err = 0, errBadRead
		}
		f.got(n)
		f.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return f.ended()
		}
	}
	f.err = io.ErrNoProgress
	return f.ended()
}

// ended returns what there is to say when src has no more.
func (f *filter) ended() error {
	if f.err == io.EOF {
		return io.EOF
	}
	return f.failBy(ErrSource, f.err)
}

// got widens the window by what was read.
func (f *filter) got(n int) {
	f.w += n
	clear(f.buf[f.w : f.w+pad])
	if f.lined {
		f.have = f.w
		f.bound(f.w - n)
	}
}

// pinned returns how many bytes are kept before r.
func (f *filter) pinned() int { return f.spill + f.r - f.pin }

// back takes r back to the pin.
func (f *filter) back() error {
	if f.spill == 0 {
		f.r, f.pin = f.pin, -1
		return nil
	}
	end := f.w
	if f.lined {
		end = f.have
		copy(f.buf[f.w:end], f.saved[:]) // nothing, where the line goes on
	}
	f.spilled.add(f.piece(f.buf[f.pin:end]))
	f.spilled.join(&f.again)
	f.far = f.spilled.n > maxFree
	f.spilled, f.again = pieces{}, f.spilled
	f.base += int64(f.pin - f.spill)
	f.r, f.w, f.have, f.pin = 0, 0, 0, -1
	f.spill = 0
	return f.more()
}

// need turns the clean end of the input into an error.
func (f *filter) need(err error) error {
	if err == io.EOF {
		return f.fail(ErrTruncated)
	}
	return err
}

// peek skips white space and returns the next byte, which is above it; or io.EOF.
func (f *filter) peek() (byte, error) {
	if c := f.buf[f.r]; c > ' ' {
		return c, nil
	}
	return f.peekFurther()
}

func (f *filter) peekFurther() (byte, error) {
	for {
		f.r = skipSpace(f.buf, f.r)
		if c := f.buf[f.r]; c > ' ' {
			return c, nil
		}
		if f.r < f.w {
			return 0, f.fail(ErrSyntax)
		}
		if err := f.more(); err != nil {
			return 0, err
		}
	}
}

// skipSpace returns the index of the first byte at or after i that is not white space.
func skipSpace(b []byte, i int) int {
	for {
		switch b[i] {
		case '\n', ' ':
			i++
			for { // indentation
				x := binary.LittleEndian.Uint64(b[i:]) ^ 0x2020202020202020
				if x != 0 {
					i += bits.TrailingZeros64(x) >> 3
					break
				}
				i += 8
			}
		case '\r', '\t':
			i++
		default:
			return i
		}
	}
}
