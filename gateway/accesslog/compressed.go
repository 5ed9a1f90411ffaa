package accesslog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A compressed segment is a file in the Zstandard Seekable Format: frames that each hold a part of the
// segment, and at the end a skippable frame with a table of their lengths. Any zstd unpacks it; the table
// lets a reader come to a record without unpacking what lies before.
//
//	frame … frame  5E 2A 4D 18 <length of the rest>  (<compressed> <unpacked>)…  <frames> 00 B1 EA 92 8F
const (
	compressedSuffix = segmentSuffix + ".zst"
	tableMagic       = 0x184D2A5E // RFC 8878, section 3.1.2: a skippable frame
	seekMagic        = 0x8F92EAB1
	tableHead        = 8
	tableEntry       = 8
	tableFoot        = 9
	// frameBytes is what a frame unpacks to.
	frameBytes = 128 << 10
	// maxTable bounds what is read of a table: a segment of 4 GiB has 32,768 frames.
	maxTable = 1 << 20
)

func compressedName(n int) string { return fmt.Sprintf("%06d%s", n, compressedSuffix) }

// errCompressed is wrapped by what is wrong with a compressed segment.
var errCompressed = errors.New("the compressed segment cannot be unpacked")

// frame is where a frame begins, in the file and in the segment.
type frame struct{ packed, plain int64 }

type compressedSegment struct {
	file    *os.File
	decoder *zstd.Decoder
	frames  []frame // and one more, where they end

	mu   sync.Mutex
	held int // the frame in plain; -1 for none
	in   []byte
	out  []byte
}

func openCompressed(name string) (*compressedSegment, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	c := &compressedSegment{file: f, held: -1}
	if err := c.table(); err != nil {
		f.Close()
		return nil, err
	}
	if c.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(frameBytes), zstd.WithDecoderLowmem(true)); err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// table reads where the frames are.
func (c *compressedSegment) table() error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	foot := make([]byte, tableFoot)
	end := info.Size() - tableFoot
	if end < 0 {
		return fmt.Errorf("%w: it is too short", errCompressed)
	}
	if _, err := c.file.ReadAt(foot, end); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(foot))
	begin := end - n*tableEntry - tableHead
	if binary.LittleEndian.Uint32(foot[5:]) != seekMagic || foot[4] != 0 || n*tableEntry > maxTable || begin < 0 {
		return fmt.Errorf("%w: it does not end in a table of its frames", errCompressed)
	}
	b := make([]byte, end-begin)
	if _, err := c.file.ReadAt(b, begin); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b) != tableMagic || int64(binary.LittleEndian.Uint32(b[4:])) != n*tableEntry+tableFoot {
		return fmt.Errorf("%w: it does not end in a table of its frames", errCompressed)
	}
	c.frames = make([]frame, 1, n+1)
	for at := tableHead; at < len(b); at += tableEntry {
		last := c.frames[len(c.frames)-1]
		plain := int64(binary.LittleEndian.Uint32(b[at+4:]))
		if plain < 1 || plain > frameBytes {
			return fmt.Errorf("%w: the table of its frames is wrong", errCompressed)
		}
		c.frames = append(c.frames, frame{last.packed + int64(binary.LittleEndian.Uint32(b[at:])), last.plain + plain})
	}
	if c.frames[n].packed != begin {
		return fmt.Errorf("%w: the table of its frames is wrong", errCompressed)
	}
	return nil
}

func (c *compressedSegment) size() (int64, error) { return c.frames[len(c.frames)-1].plain, nil }

// Close lets go of the file.
func (c *compressedSegment) Close() error {
	c.decoder.Close()
	return c.file.Close()
}

// ReadAt reads of the segment.
func (c *compressedSegment) ReadAt(p []byte, offset int64) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n < len(p) {
		i := sort.Search(len(c.frames)-1, func(i int) bool { return c.frames[i+1].plain > offset })
		if i == len(c.frames)-1 {
			return n, io.EOF
		}
		if err := c.unpack(i); err != nil {
			return n, err
		}
		m := copy(p[n:], c.out[offset-c.frames[i].plain:])
		n, offset = n+m, offset+int64(m)
	}
	return n, nil
}

// unpack makes c.out the content of a frame.
func (c *compressedSegment) unpack(i int) error {
	if c.held == i {
		return nil
	}
	c.held = -1
	from, to := c.frames[i], c.frames[i+1]
	if cap(c.in) < int(to.packed-from.packed) {
		c.in = make([]byte, to.packed-from.packed)
	}
	c.in = c.in[:to.packed-from.packed]
	if _, err := c.file.ReadAt(c.in, from.packed); err != nil {
		return err
	}
	out, err := c.decoder.DecodeAll(c.in, c.out[:0])
	if err != nil {
		return fmt.Errorf("%w: %w", errCompressed, err)
	}
	if c.out = out; int64(len(out)) != to.plain-from.plain {
		return fmt.Errorf("%w: a frame has another length than the table says", errCompressed)
	}
	c.held = i
	return nil
}
