package accesslog

import (
	"os"

	"golang.org/x/sys/unix"
)

// Datasync skips what fsync would also write: in a segment that was filled with zeros before, no size
// changes and no block is allocated, so that one append costs one write to the disk.
func (f osFile) Datasync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// allocate takes space on the disk without writing it.
func (f osFile) allocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// writeOut has the kernel begin to write a part of the file to the disk, and does not wait. Datasync has less to
// wait for then; nothing is durable before that.
func (f osFile) writeOut(offset, size int64) error {
	for {
		err := unix.SyncFileRange(int(f.Fd()), offset, size, unix.SYNC_FILE_RANGE_WRITE)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "sync_file_range", Path: f.Name(), Err: err}
		}
		return nil
	}
}
