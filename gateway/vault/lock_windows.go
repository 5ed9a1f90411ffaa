package vault

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lock holds the file until it is closed, against other processes and against a second vault of this one. The lock is
// on one byte beyond any that is written, since Windows' locks are mandatory.
func lock(f *os.File) error {
	at := &windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxInt32}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("vault: lock mapping: %w", err)
	}
	return nil
}

// syncDir does nothing: Windows has no such call, and journals names itself.
func syncDir(string) error { return nil }
