package configs

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

type checksum [sha256.Size]byte

// maxLinks is how many symbolic links are followed on the way to one path, as many as Linux does.
const maxLinks = 40

// look brings the watches up to date with the paths and what lies at them, and returns a checksum of each. A folder is
// watched before it is read, so that whatever appears in it later is an event.
func (w *Watcher) look() map[string]checksum {
	before := w.dirs
	w.dirs, w.names, w.folders = map[string]bool{}, map[string]bool{}, map[string]bool{}
	watch := func(dir string) {
		if w.dirs[dir] {
			return
		}
		// A folder that cannot be watched (no right to read it, no watches left) is seen by polling.
		if before[dir] || w.notify.Add(dir) == nil {
			w.dirs[dir] = true
		}
	}
	sums := map[string]checksum{}
	for _, path := range w.options.Paths() {
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		h := sha256.New()
		w.sum(h, w.trail(path, watch), watch)
		sums[path] = checksum(h.Sum(nil))
	}
	for dir := range before {
		if !w.dirs[dir] {
			_ = w.notify.Remove(dir)
		}
	}
	return sums
}

// trail follows a path from the root, link by link, watches each folder on the way, and returns where it ends: the file
// or folder itself, or the first name that does not exist.
func (w *Watcher) trail(path string, watch func(dir string)) string {
	separator := string(filepath.Separator)
	root := filepath.VolumeName(path) + separator
	at, rest, links := root, path[len(root):], 0
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, separator)
		if name == "" {
			continue
		}
		watch(at)
		next := filepath.Join(at, name)
		w.names[next] = true
		if target, err := os.Readlink(next); err == nil {
			if links++; links > maxLinks {
				return next
			}
			if filepath.IsAbs(target) {
				at = root
				target = target[len(filepath.VolumeName(target)):]
			}
			rest = target + separator + rest
			continue
		}
		if _, err := os.Lstat(next); err != nil {
			return next
		}
		at = next
	}
	return at
}

// sum hashes what lies at a path without links: its name, mode and content; of a folder, all below it.
func (w *Watcher) sum(h hash.Hash, path string, watch func(dir string)) {
	info, err := os.Lstat(path)
	if err != nil {
		fmt.Fprintf(h, "%q missing\n", path)
		return
	}
	if !info.IsDir() {
		sumFile(h, path, info)
		return
	}
	w.folders[path] = true
	_ = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			fmt.Fprintf(h, "%q unreadable\n", name)
		case d.IsDir():
			watch(name) // before its entries are read
			fmt.Fprintf(h, "%q folder\n", name)
		case d.Type()&fs.ModeSymlink != 0:
			fmt.Fprintf(h, "%q link\n", name)
			end := w.trail(name, watch)
			if info, err := os.Lstat(end); err == nil {
				sumFile(h, end, info)
			}
		default:
			if info, err := d.Info(); err == nil {
				sumFile(h, name, info)
			}
		}
		return nil
	})
}

func sumFile(h hash.Hash, path string, info fs.FileInfo) {
	fmt.Fprintf(h, "%q %s ", path, info.Mode())
	if !info.Mode().IsRegular() {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		fmt.Fprintln(h, "unreadable")
		return
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		fmt.Fprintln(h, "unreadable")
		return
	}
	fmt.Fprintf(h, "%x\n", content.Sum(nil))
}
