package configs_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/configs"
)

// A watch under test. With every change told, the callback says what it then found at the paths.
type watch struct {
	t     *testing.T
	dir   string
	paths atomic.Pointer[[]string]
	told  chan string
	n     int // of contents written, so that no two are alike
}

// watching fills a new folder and watches paths in it.
func watching(t *testing.T, o configs.WatchOptions, prepare func(w *watch), paths ...string) *watch {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{t: t, dir: filepath.Join(dir, "watched"), told: make(chan string, 1000)}
	w.do(os.Mkdir(w.dir, 0o755))
	w.watch(paths...)
	prepare(w)
	o.Paths = func() []string { return *w.paths.Load() }
	if o.Debounce == 0 {
		o.Debounce = 5 * time.Millisecond
	}
	if o.Poll == 0 {
		o.Poll = -1
	}
	watcher, err := configs.NewWatcher(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- watcher.Run(ctx, func() { w.told <- w.state() }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *watch) watch(paths ...string) {
	all := make([]string, len(paths))
	for i, p := range paths {
		all[i] = w.at(p)
	}
	w.paths.Store(&all)
}

func (w *watch) at(name string) string { return filepath.Join(w.dir, name) }

func (w *watch) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// write writes something new to a file, in place.
func (w *watch) write(name string) {
	w.t.Helper()
	w.n++
	write(w.t, w.at(name), fmt.Sprint(w.n), 0o644)
}

// state returns what a reader finds at the paths: each file's name, mode and content.
func (w *watch) state() string {
	var b strings.Builder
	for _, p := range *w.paths.Load() {
		_ = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if info, err := os.Stat(name); err == nil && !info.IsDir() {
				content, _ := os.ReadFile(name)
				fmt.Fprintf(&b, "%s %s %q\n", name, info.Mode(), content)
			}
			return nil
		})
	}
	return b.String()
}

// changed waits until what is at the paths now has been told.
func (w *watch) changed(what string) {
	w.t.Helper()
	want, late := w.state(), time.After(20*time.Second)
	for {
		select {
		case got := <-w.told:
			if got == want {
				return
			}
		case <-late:
			w.t.Fatalf("%s: it was not told that the paths hold\n%s", what, want)
		}
	}
}

func TestWatchFile(t *testing.T) {
	w := watching(t, configs.WatchOptions{}, func(w *watch) { w.write("a.yaml") }, "a.yaml")
	w.write("a.yaml")
	w.changed("written in place")
	w.write("a.yaml~")
	w.do(os.Rename(w.at("a.yaml~"), w.at("a.yaml")))
	w.changed("renamed over")
	w.do(os.Remove(w.at("a.yaml")))
	w.changed("removed")
	w.write("a.yaml")
	w.changed("made again")
	w.do(os.Rename(w.at("a.yaml"), w.at("b.yaml")))
	w.changed("renamed away")
	w.write("a.yaml")
	w.changed("made again")
	w.do(os.Chmod(w.at("a.yaml"), 0o600))
	w.changed("its mode")
}

func TestWatchMissingFolder(t *testing.T) {
	w := watching(t, configs.WatchOptions{}, func(*watch) {}, "a/b/c/key.pem")
	w.write("a/b/c/key.pem")
	w.changed("folders and file made")
	w.do(os.RemoveAll(w.at("a")))
	w.changed("folders removed")
	w.write("new/b/c/key.pem")
	w.do(os.Rename(w.at("new"), w.at("a")))
	w.changed("folders renamed to the path")
	w.write("a/b/c/key.pem")
	w.changed("written in the renamed folder")
	w.write("other/b/c/key.pem")
	w.do(os.Rename(w.at("a"), w.at("old")))
	w.do(os.Rename(w.at("other"), w.at("a")))
	w.changed("one folder put in another's place")
	w.write("old/b/c/key.pem")
	w.write("a/b/c/key.pem")
	w.changed("written in the new folder")
}

// A Kubernetes volume: key.pem -> ..data/key.pem, ..data -> ..2024_1, and an update renames a new link over ..data.
func TestWatchKubernetes(t *testing.T) {
	w := watching(t, configs.WatchOptions{}, func(w *watch) {
		w.write("v/..1/key.pem")
		w.do(os.Symlink("..1", w.at("v/..data")))
		w.do(os.Symlink("..data/key.pem", w.at("v/key.pem")))
		w.write("v/..1/main.rego")
		w.do(os.Symlink("..data/main.rego", w.at("v/main.rego")))
	}, "v/key.pem")
	for i := 2; i < 5; i++ {
		now, before := fmt.Sprintf("..%d", i), fmt.Sprintf("..%d", i-1)
		w.write(filepath.Join("v", now, "key.pem"))
		w.do(os.Symlink(now, w.at("v/..data_tmp")))
		w.do(os.Rename(w.at("v/..data_tmp"), w.at("v/..data")))
		w.do(os.RemoveAll(w.at(filepath.Join("v", before))))
		w.changed("..data swapped")
	}
}

// A renewed certificate: live/cert.pem -> ../archive/cert1.pem, watched through a linked folder.
func TestWatchLinks(t *testing.T) {
	w := watching(t, configs.WatchOptions{}, func(w *watch) {
		w.write("archive/cert1.pem")
		w.do(os.Mkdir(w.at("live"), 0o755))
		w.do(os.Symlink("../archive/cert1.pem", w.at("live/cert.pem")))
		w.do(os.Symlink(w.at("live"), w.at("tls")))
	}, "tls/cert.pem")
	w.write("archive/cert1.pem")
	w.changed("the file at the end")
	w.write("archive/cert2.pem")
	w.do(os.Symlink("../archive/cert2.pem", w.at("live/new")))
	w.do(os.Rename(w.at("live/new"), w.at("live/cert.pem")))
	w.changed("a link on the way")
	w.write("elsewhere/cert.pem")
	w.do(os.Remove(w.at("tls")))
	w.do(os.Symlink("elsewhere", w.at("tls")))
	w.changed("the folder's link")
	w.do(os.Remove(w.at("elsewhere/cert.pem")))
	w.do(os.Symlink("cert.pem", w.at("elsewhere/cert.pem")))
	w.changed("a link to itself")
	w.do(os.Remove(w.at("elsewhere/cert.pem")))
	w.write("elsewhere/cert.pem")
	w.changed("a file again")
}

func TestWatchFolder(t *testing.T) {
	w := watching(t, configs.WatchOptions{}, func(w *watch) { w.write("bundle/a.rego") }, "bundle")
	w.write("bundle/a.rego")
	w.changed("a file")
	w.write("bundle/new/deep/b.rego")
	w.changed("a file in a new folder")
	w.write("bundle/new/deep/b.rego")
	w.changed("a file in a folder that was new")
	w.write("elsewhere/c.rego")
	w.do(os.Symlink("../elsewhere/c.rego", w.at("bundle/c.rego")))
	w.changed("a link")
	w.write("elsewhere/c.rego")
	w.changed("a linked file")
	w.do(os.RemoveAll(w.at("bundle/new")))
	w.changed("a folder removed")
	w.write("next/a.rego")
	w.do(os.Rename(w.at("bundle"), w.at("last")))
	w.do(os.Rename(w.at("next"), w.at("bundle")))
	w.changed("the whole folder replaced")
	w.write("bundle/d/e.rego")
	w.changed("a file in the new one")
}

// Files that come to be named by a new configuration are watched from then on, and are no change by themselves.
func TestWatchNewPaths(t *testing.T) {
	w := watching(t, configs.WatchOptions{}, func(w *watch) {
		w.write("a.yaml")
		w.write("tls/new.pem")
	}, "a.yaml")
	w.watch("a.yaml", "tls/new.pem")
	w.write("a.yaml")
	w.changed("the configuration")
	w.write("tls/new.pem")
	w.changed("the new file")
	w.watch("tls/new.pem")
	w.write("tls/new.pem")
	w.changed("the file that is left")
}

// A configuration that is in force only some time after the change was told has its files watched all the same.
func TestWatchLatePaths(t *testing.T) {
	w := watching(t, configs.WatchOptions{}, func(w *watch) {
		w.write("a.yaml")
		w.write("tls/new.pem")
	}, "a.yaml")
	w.write("a.yaml")
	w.changed("the configuration")
	w.watch("a.yaml", "tls/new.pem")
	for late := time.After(20 * time.Second); ; {
		w.write("tls/new.pem") // before it is watched, or after
		select {
		case <-w.told:
			return
		case <-late:
			t.Fatal("the new file is not watched")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// What happened before Run is told, however much it was, once; and what is no change is not told.
func TestWatchCoalesces(t *testing.T) {
	dir := t.TempDir()
	a, log := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "gateway.log")
	write(t, a, "0", 0o644)
	w, err := configs.NewWatcher(configs.WatchOptions{Paths: func() []string { return []string{a} }, Debounce: 50 * time.Millisecond, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		write(t, a, strings.Repeat("x", i), 0o644)
		write(t, log, "grows", 0o644)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	if err := w.Run(ctx, func() {
		told = append(told, string(read(t, a)))
		switch len(told) {
		case 1: // touched and logged, not changed; then changed
			write(t, log, "grows", 0o644)
			now := time.Now()
			if err := os.Chtimes(a, now, now); err != nil {
				t.Error(err)
			}
			write(t, a+"~", "last", 0o644)
			if err := os.Rename(a+"~", a); err != nil {
				t.Error(err)
			}
		case 2:
			cancel()
		}
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{strings.Repeat("x", 49), "last"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// Where no event arrives in time, looking now and then finds the change.
func TestWatchPolls(t *testing.T) {
	w := watching(t, configs.WatchOptions{Debounce: time.Hour, Poll: time.Millisecond}, func(w *watch) { w.write("a.yaml") }, "a.yaml")
	w.write("a.yaml")
	w.changed("written")
}

func TestWatchOptions(t *testing.T) {
	if _, err := configs.NewWatcher(configs.WatchOptions{}); err == nil {
		t.Error("watches nothing")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := configs.WatchOptions{Paths: func() []string { return []string{"minimal.yaml"} }}
	w, err := configs.NewWatcher(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx, func() {}); err != nil {
		t.Error(err)
	}
}
