package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Segments are named 000001.jsonl, 000002.jsonl and so on without a gap. The last is filled with zero
// bytes behind its records; the others end with their last record, and may have been compressed. The next
// is prepared under
// nextFile, so that every *.jsonl holds records or is about to.
const (
	segmentSuffix = ".jsonl"
	nextFile      = "next.tmp"
	zeroChunk     = 256 << 10
	syncEvery     = 4 << 20
)

func segmentName(n int) string { return fmt.Sprintf("%06d%s", n, segmentSuffix) }

// A layout is which segments a folder holds.
type layout struct {
	first, last int      // without a gap; last is first-1 where there are none
	base        *state   // behind what retention removed; nil where nothing was
	foreign     []string // names that look like segments and are none
}

// listSegments finds the segments, in either form. A gap is a *Damage. With keys it checks who signed
// that earlier ones were removed; without them that is believed.
func listSegments(dir string, of keys) (layout, error) {
	l := layout{first: 1}
	files, err := os.ReadDir(dir)
	if err != nil {
		return l, err
	}
	if l.base, err = readRetained(dir, of); err != nil {
		return l, err
	}
	if l.base != nil {
		l.first = l.base.segment
	}
	var numbers []int
	for _, f := range files {
		base, ok := strings.CutSuffix(strings.TrimSuffix(f.Name(), ".zst"), segmentSuffix)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(base)
		known := err == nil && n >= l.first && f.Type().IsRegular() && (segmentName(n) == f.Name() || compressedName(n) == f.Name())
		if known {
			numbers = append(numbers, n)
		} else {
			l.foreign = append(l.foreign, f.Name())
		}
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers) // both forms may be there
	for i, n := range numbers {
		if want := l.first + i; n != want {
			l.last = want - 1
			return l, fileDamage(segmentName(want), "the segment is missing, although "+segmentName(n)+" exists")
		}
	}
	l.last = l.first + len(numbers) - 1
	if l.base != nil && len(numbers) == 0 {
		return l, fileDamage(segmentName(l.first), "the segment is missing, although the file retained names it")
	}
	return l, nil
}

// readRetained reads what retention left; nil where it has removed nothing.
func readRetained(dir string, of keys) (*state, error) {
	message, err := readSmall(filepath.Join(dir, retainedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s *state
	if of != nil {
		s, err = parseState(retainedFile, message, of)
	} else {
		text, _, _ := strings.Cut(string(message), "\n\n")
		origin, _, _ := strings.Cut(text, "/"+retainedFile+"\n")
		s, err = parseStateText(retainedFile, text+"\n", origin)
	}
	if err != nil || s.offset != 0 || s.tree.size == 0 || s.segment < 2 {
		if err == nil {
			err = errState
		}
		return nil, checkpointDamage(retainedFile, err)
	}
	return s, nil
}

// fillZeros writes zeros from offset to size and makes them durable, a few megabytes at a time so
// that an append's own sync never has much of them to wait for.
func fillZeros(f File, offset, size int64) error {
	zeros := make([]byte, max(0, min(zeroChunk, size-offset)))
	for since := int64(0); offset < size; {
		n := min(size-offset, zeroChunk)
		if err := writeAt(f, zeros[:n], offset); err != nil {
			return err
		}
		offset += n
		if since += n; since >= syncEvery {
			since = 0
			if err := f.Datasync(); err != nil {
				return err
			}
		}
	}
	return f.Sync()
}

// A prepared segment is waiting under nextFile, or could not be made.
type prepared struct {
	file File
	err  error
}

// prepare makes the next segment in the background.
func prepare(fs FS, dir string, size int64) <-chan prepared {
	ready := make(chan prepared, 1)
	go func() {
		f, err := fs.OpenFile(filepath.Join(dir, nextFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		if err == nil {
			if err = fillZeros(f, 0, size); err != nil {
				f.Close()
				f = nil
			}
		}
		ready <- prepared{f, err}
	}()
	return ready
}

// errTorn is returned by lines.next for a line that is not complete: it holds zero bytes, or the file
// ends in it. The log escapes zero bytes, so that one in a line is a place that was never written.
var errTorn = errors.New("incomplete line")

// errLong is returned by lines.next for a line longer than MaxRecord.
var errLong = errors.New("line too long")

// lines reads a segment line by line.
type lines struct {
	src    io.ReaderAt
	buf    []byte
	r, w   int
	offset int64 // of buf[r] in the segment: where the next line begins
}

const lineBuffer = 64 << 10

func newLines(src io.ReaderAt, offset int64) *lines {
	return &lines{src: src, buf: make([]byte, lineBuffer), offset: offset}
}

// next returns the next line without its newline, valid until the next call. io.EOF is the end of the
// records: of the file, or the zero bytes behind them. After an error that is not the reader's, a
// further call looks again at the same place.
func (l *lines) next() ([]byte, error) {
	for searched := 0; ; {
		have := l.buf[l.r:l.w]
		if len(have) > 0 && have[0] == 0 {
			return nil, io.EOF
		}
		if i := bytes.IndexByte(have[searched:], '\n'); i >= 0 {
			line := have[:searched+i]
			if bytes.IndexByte(line, 0) >= 0 {
				return nil, errTorn
			}
			l.r += len(line) + 1
			l.offset += int64(len(line)) + 1
			return line, nil
		}
		if bytes.IndexByte(have[searched:], 0) >= 0 {
			return nil, errTorn
		}
		if len(have) > MaxRecord {
			return nil, errLong
		}
		searched = len(have)
		n, err := l.fill()
		if n == 0 {
			switch {
			case err != nil && err != io.EOF:
				return nil, err
			case len(have) == 0:
				return nil, io.EOF
			default:
				return nil, errTorn
			}
		}
	}
}

// fill reads more behind what is there.
func (l *lines) fill() (int, error) {
	if l.r > 0 {
		copy(l.buf, l.buf[l.r:l.w])
		l.w -= l.r
		l.r = 0
	}
	if l.w == len(l.buf) {
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	}
	n, err := l.src.ReadAt(l.buf[l.w:], l.offset+int64(l.w))
	l.w += n
	return n, err
}

// forget drops what was read ahead, so that a retry sees the file as it is now.
func (l *lines) forget() { l.r, l.w = 0, 0 }

// lastWritten returns the place behind the last byte from offset on that is not zero, or offset.
func lastWritten(src io.ReaderAt, offset int64) (int64, error) {
	buf := make([]byte, lineBuffer)
	last := offset
	for {
		n, err := src.ReadAt(buf, offset)
		if i := len(bytes.TrimRight(buf[:n], "\x00")); i > 0 {
			last = offset + int64(i)
		}
		offset += int64(n)
		if err == io.EOF {
			return last, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
