package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// Of a container's memory, so much is for what the Go runtime keeps; the rest is for what it does not know of: the
// program itself, of which about 40 MiB are in memory, the kernel's buffers of its connections, pages of the access log
// on their way to the disk.
const (
	memoryShare    = 90 // percent
	memoryBeside   = 48 << 20
	leastMemory    = 64 << 20
	garbagePercent = 300
)

// MemoryOptions are what BoundMemory goes by.
type MemoryOptions struct {
	Root   fs.FS                       // the file system's root, for /proc and /sys
	Getenv func(string) (string, bool) // of the environment: os.LookupEnv
}

// Memory is what BoundMemory has set.
type Memory struct {
	Limit   int64 // bytes that the Go runtime keeps to; 0: no limit was found, or GOMEMLIMIT states one
	Garbage int   // percent; 0: GOGC states it
}

// BoundMemory has the process keep to the memory of its container: nine tenths of the limit of its cgroup, the nearest
// above it included, become the runtime's soft limit, or 48 MiB less than it where that is less. It then collects more often as it comes near, in place of being
// killed. Below that, garbage is let grow to three times what is in use, since what a call leaves behind is a small part of what the process
// needs anyway, and collecting it at twice takes a tenth of the processor's time. GOMEMLIMIT and GOGC win where they are set. It is for a program's
// start: both settings are of the whole process.
func BoundMemory(o MemoryOptions) (Memory, error) {
	var m Memory
	if _, set := o.Getenv("GOGC"); !set {
		m.Garbage = garbagePercent
		debug.SetGCPercent(m.Garbage)
	}
	if _, set := o.Getenv("GOMEMLIMIT"); set {
		return m, nil
	}
	limit, err := cgroupLimit(o.Root)
	if err != nil || limit == math.MaxInt64 {
		return m, err
	}
	if m.Limit = min(limit/100*memoryShare, limit-memoryBeside); m.Limit < leastMemory {
		return m, fmt.Errorf("the container has %d MiB of memory; the gateway needs %d at the least", limit>>20, (leastMemory+memoryBeside)>>20)
	}
	debug.SetMemoryLimit(m.Limit)
	return m, nil
}

// cgroupLimit is the least memory that the process's cgroup, or one above it, has; math.MaxInt64 where none has a limit,
// or the system has no cgroups.
func cgroupLimit(root fs.FS) (int64, error) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return math.MaxInt64, nil
	}
	if err != nil {
		return 0, fmt.Errorf("memory of the container: %w", err)
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(text)) {
		// "0::/path" is of version 2; "4:memory:/path" of version 1 (cgroups(7)).
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		switch {
		case fields[0] == "0" && fields[1] == "":
		case strings.Contains(","+fields[1]+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// In a container the path may be the host's, of which only the root can be seen.
		for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
			limit, err := memoryFile(root, path.Join(base, at, file))
			if err != nil {
				return 0, err
			}
			if least = min(least, limit); at == "/" {
				break
			}
		}
	}
	return least, nil
}

// memoryFile is the limit in a file; math.MaxInt64 where there is none. Version 1 says "no limit" by a number of more
// than any machine has.
func memoryFile(root fs.FS, name string) (int64, error) {
	text, err := fs.ReadFile(root, name)
	word := strings.TrimSpace(string(text))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && word == "max":
		return math.MaxInt64, nil
	case err != nil:
		return 0, fmt.Errorf("memory of the container: %w", err)
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("memory of the container: /%s is no number of bytes", name)
	}
	if n >= 1<<60 {
		return math.MaxInt64, nil
	}
	return n, nil
}
