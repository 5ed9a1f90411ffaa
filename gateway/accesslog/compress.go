package accesslog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
)

// compress puts a compressed segment into the place of a closed one. The file is removed only once the
// compressed one is durable and has been read back, byte for byte; whatever a crash leaves in between,
// the file itself is there, or the whole compressed one is. stop ends it early, without a result.
func compress(fs FS, dir string, n int, stop <-chan struct{}) error {
	name, packed := filepath.Join(dir, segmentName(n)), filepath.Join(dir, compressedName(n))
	src, err := openRegular(name)
	if err != nil {
		return err
	}
	defer src.Close()
	temp := packed + ".tmp"
	p := &pace{stop: stop}
	done, err := writeCompressed(fs, temp, src, p)
	if err != nil || !done {
		return err
	}
	if same, err := sameContent(src, temp, p); err != nil || !same {
		return err
	}
	if err := fs.Rename(temp, packed); err != nil {
		return err
	}
	if err := fs.SyncDir(dir); err != nil {
		return err
	}
	if err := fs.Remove(name); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}

// A pace leaves the processors to the calls: each piece of work is followed by a rest that is four times as long.
type pace struct {
	stop <-chan struct{}
	from time.Time
}

// begin begins a piece, and says whether there is still time for it.
func (p *pace) begin() bool {
	select {
	case <-p.stop:
		return false
	default:
	}
	if now := time.Now(); !p.from.IsZero() {
		select {
		case <-p.stop:
			return false
		case <-time.After(4 * now.Sub(p.from)):
		}
	}
	p.from = time.Now()
	return true
}

func writeCompressed(fs FS, name string, src *os.File, p *pace) (done bool, err error) {
	f, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return false, err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	// Of records, the slower levels make no less.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return false, err
	}
	defer encoder.Close()
	in := make([]byte, frameBytes)
	var out, table []byte
	offset := int64(0)
	for {
		if !p.begin() {
			return false, nil
		}
		n, err := io.ReadFull(src, in)
		if n > 0 {
			out = encoder.EncodeAll(in[:n], out[:0])
			if err := writeAt(f, out, offset); err != nil {
				return false, err
			}
			offset += int64(len(out))
			table = binary.LittleEndian.AppendUint32(table, uint32(len(out)))
			table = binary.LittleEndian.AppendUint32(table, uint32(n))
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return false, err
		}
	}
	if err := writeAt(f, sealTable(table), offset); err != nil {
		return false, err
	}
	return true, f.Sync()
}

// sealTable makes a skippable frame of the frames' lengths.
func sealTable(table []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, tableMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(table)+tableFoot))
	b = append(b, table...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(table)/tableEntry))
	b = append(b, 0)
	return binary.LittleEndian.AppendUint32(b, seekMagic)
}

// sameContent reads back what was written. It is false, without an error, where there was no time for it.
func sameContent(src *os.File, packed string, p *pace) (bool, error) {
	c, err := openCompressed(packed)
	if err != nil {
		return false, err
	}
	defer c.Close()
	info, err := src.Stat()
	if err != nil {
		return false, err
	}
	size, err := c.size()
	if err == nil && size != info.Size() {
		err = fmt.Errorf("%w: it has another length than the segment", errCompressed)
	}
	if err != nil {
		return false, err
	}
	a, b := make([]byte, frameBytes), make([]byte, frameBytes)
	for at := int64(0); at < size; at += frameBytes {
		if !p.begin() {
			return false, nil
		}
		n := min(frameBytes, size-at)
		if _, err := src.ReadAt(a[:n], at); err != nil && err != io.EOF {
			return false, err
		}
		if _, err := c.ReadAt(b[:n], at); err != nil && err != io.EOF {
			return false, err
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return false, fmt.Errorf("%w: it is not what was compressed", errCompressed)
		}
	}
	return true, nil
}
