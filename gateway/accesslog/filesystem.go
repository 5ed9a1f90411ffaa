package accesslog

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// FS is how the log changes its folder. It is an interface so that a test can break any call.
type FS interface {
	// OpenFile is os.OpenFile; a file that it creates is the owner's alone.
	OpenFile(name string, flag int) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes the folder's names durable.
	SyncDir(dir string) error
	// Free is how many bytes can still be written into the folder.
	Free(dir string) (int64, error)
}

// File is a file that the log writes. WriteAt returns an error where it writes less than all.
type File interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Datasync makes the content durable, and of the metadata what is needed to read it (fdatasync).
	Datasync() error
	// Sync makes content and metadata durable (fsync).
	Sync() error
}

// osFS is the real file system.
type osFS struct{}

func (osFS) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (osFS) Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

type osFile struct{ *os.File }

// writeAt writes all of b or fails.
func writeAt(f File, b []byte, offset int64) error {
	n, err := f.WriteAt(b, offset)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// replaceFile puts content under a name in one step: whoever opens the name sees the old content or
// the new. With durable set a power cut leaves one of the two as well; the name itself is durable
// after the caller's SyncDir.
func replaceFile(fs FS, name string, content []byte, durable bool) (err error) {
	temp := name + ".tmp"
	f, err := fs.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	err = writeAt(f, content, 0)
	if err == nil && durable {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return fs.Rename(temp, name)
}

// lockDir takes the folder for this process until the file is closed. The kernel lets go of it when
// the process dies, so a crash leaves no stale lock.
func lockDir(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return d, nil
}
