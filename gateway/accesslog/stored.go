package accesslog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// stored is a segment as it is read: its file, or the compressed one that has taken the file's place.
// Offsets are those of the segment itself.
type stored interface {
	io.ReaderAt
	io.Closer
	size() (int64, error)
}

type plainSegment struct{ *os.File }

func (p plainSegment) size() (int64, error) {
	info, err := p.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// openStored opens a segment for reading. Where both forms are there, the compressed one may be
// incomplete, and the file itself counts.
func openStored(dir string, n int) (stored, error) {
	// The file may give way to the compressed one between the two looks, but not the other way round.
	for range 2 {
		f, err := openRegular(filepath.Join(dir, segmentName(n)))
		if err == nil {
			return plainSegment{f}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		c, err := openCompressed(filepath.Join(dir, compressedName(n)))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	return nil, &os.PathError{Op: "open", Path: filepath.Join(dir, segmentName(n)), Err: fs.ErrNotExist}
}

// hasSegment returns nil where a segment is there in either form, or why not.
func hasSegment(dir string, n int) error {
	_, err := os.Stat(filepath.Join(dir, segmentName(n)))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Join(dir, compressedName(n)))
	}
	return err
}
