package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// inMemory are file systems whose sync does nothing.
var inMemory = map[int64]string{
	unix.TMPFS_MAGIC:     "tmpfs",
	unix.RAMFS_MAGIC:     "ramfs",
	unix.HUGETLBFS_MAGIC: "hugetlbfs",
}

var onDisk = map[int64]string{
	unix.EXT4_SUPER_MAGIC:      "ext4",
	unix.XFS_SUPER_MAGIC:       "xfs",
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	unix.F2FS_SUPER_MAGIC:      "f2fs",
	unix.NFS_SUPER_MAGIC:       "nfs",
	0x2fc12fc1:                 "zfs",
}

// realDisk names the file system of a folder, and refuses one in memory: a durable append there costs
// nothing, so that a figure from it says nothing.
func realDisk(dir string) (string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "", &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	kind := int64(uint32(s.Type))
	if name, ok := inMemory[kind]; ok {
		return "", fmt.Errorf("%s is on %s, a file system in memory: give a folder on a real disk with --dir", dir, name)
	}
	if name, ok := onDisk[kind]; ok {
		return name, nil
	}
	return fmt.Sprintf("file system %#x", kind), nil
}

// folderBytes is what the segments of a log hold, without what was allocated ahead.
func folderBytes(dir string) (size int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return 0, err
		}
		end, err := recordsEnd(name, info.Size())
		if err != nil {
			return 0, err
		}
		size += end
	}
	return size, nil
}

// recordsEnd looks for the first zero byte, by halves: records hold none, and behind them all are zero.
func recordsEnd(name string, size int64) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	low, high := int64(0), size
	b := make([]byte, 1)
	for low < high {
		at := low + (high-low)/2
		if _, err := f.ReadAt(b, at); err != nil {
			return 0, err
		}
		if bytes.Equal(b, []byte{0}) {
			high = at
		} else {
			low = at + 1
		}
	}
	return low, nil
}

// unsynced is the operating system's file system without its syncs: a log that is generated to be read
// need not survive a power cut.
type unsynced struct{}

type unsyncedFile struct{ *os.File }

func (unsynced) OpenFile(name string, flag int) (accesslog.File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsynced) Rename(from, to string) error { return os.Rename(from, to) }
func (unsynced) Remove(name string) error     { return os.Remove(name) }
func (unsynced) Free(string) (int64, error)   { return 1 << 40, nil }
func (unsynced) SyncDir(string) error         { return nil }
func (unsyncedFile) Datasync() error          { return nil }
func (unsyncedFile) Sync() error              { return nil }
