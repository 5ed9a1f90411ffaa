package accesslog

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// maxSmall bounds what is read of a file that is no segment: those of the log are a few kilobytes.
const maxSmall = 1 << 20

// openRegular opens a file of a log's folder for reading. Whoever can write to the folder could have put a pipe in its place,
// which keeps a reader for ever, or a device without an end: that is damage.
func openRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe opens at once
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fileDamage(filepath.Base(name), "it is no file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readSmall reads a file that is no segment.
func readSmall(name string) ([]byte, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(content) > maxSmall {
		err = fileDamage(filepath.Base(name), "it is longer than such a file ever is")
	}
	return content, err
}
