package configs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchOptions says what to watch.
type WatchOptions struct {
	// Paths returns the files and folders to watch, folders with all that is below them; usually [Config.Files]. It is
	// asked again after every change, and once more after ten times Debounce, when what onChange set off may have a new
	// configuration in force: its files are watched from then on. They need not exist. Required.
	Paths func() []string

	// Debounce is how long it must be quiet before a change is told, at most ten times as long after the first event.
	// Default 200ms.
	Debounce time.Duration

	// Poll is how often everything is looked at without any event, for file systems that send none. Default one minute;
	// below zero, never.
	Poll time.Duration
}

// Watcher tells when the content or the mode of files changes.
//
// It watches folders, not files: those that hold a path, each symbolic link on the way to it and each folder above. So
// it sees an editor that renames a new file over the old one, an orchestrator that swaps "..data", and a file that
// appears later. An event only makes it look; what counts is whether a hash of the files changed, so that a log growing
// in the same folder, or a file touched, is no change.
type Watcher struct {
	options WatchOptions
	notify  *fsnotify.Watcher

	dirs    map[string]bool     // watched
	names   map[string]bool     // whose events count
	folders map[string]bool     // below which all events count
	sums    map[string]checksum // of each path, when it was last told
}

// NewWatcher begins to watch: whatever changes after it has returned is told by Run.
func NewWatcher(o WatchOptions) (*Watcher, error) {
	if o.Paths == nil {
		return nil, errors.New("watch: no paths")
	}
	if o.Debounce <= 0 {
		o.Debounce = 200 * time.Millisecond
	}
	if o.Poll == 0 {
		o.Poll = time.Minute
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &Watcher{options: o, notify: notify, dirs: map[string]bool{}}
	w.sums = w.look()
	return w, nil
}

// Close stops watching, for one whose Run is never called; Run does so itself.
func (w *Watcher) Close() error { return w.notify.Close() }

// Run calls onChange after each change until ctx ends, one call at a time, and stops watching. Changes in quick
// succession, and during a call, are told as one. Call it once.
func (w *Watcher) Run(ctx context.Context, onChange func()) error {
	defer w.notify.Close()
	quiet := time.NewTimer(w.options.Debounce)
	quiet.Stop()
	var poll <-chan time.Time
	if w.options.Poll > 0 {
		t := time.NewTicker(w.options.Poll)
		defer t.Stop()
		poll = t.C
	}
	again := time.NewTimer(0)
	again.Stop()
	look := func() {
		if w.tell(onChange) {
			again.Reset(10 * w.options.Debounce)
		}
	}
	var first time.Time // of the events not yet looked into
	event := func() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		quiet.Reset(min(w.options.Debounce, first.Add(10*w.options.Debounce).Sub(now)))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.notify.Events:
			w.moved(e)
			if w.relevant(e.Name) {
				event()
			}
		case <-w.notify.Errors: // events were lost
			event()
		case <-quiet.C:
			first = time.Time{}
			look()
		case <-again.C:
			look()
		case <-poll:
			look()
		}
	}
}

// tell looks, calls onChange where something is not as it was, and returns whether it did. A path that is new since is
// compared with what it is now; the others with what they were before the call, so that a change during it is not lost.
func (w *Watcher) tell(onChange func()) bool {
	now := w.look()
	if maps.Equal(now, w.sums) {
		return false
	}
	changed := false
	for path, sum := range now {
		if old, ok := w.sums[path]; ok && old != sum {
			changed = true
		}
	}
	w.sums = now
	if !changed {
		return false
	}
	onChange()
	for path, sum := range w.look() {
		if _, ok := w.sums[path]; !ok {
			w.sums[path] = sum
		}
	}
	return true
}

// relevant tells whether an event's file is one of those watched, or on the way to one.
func (w *Watcher) relevant(name string) bool {
	if w.names[name] {
		return true
	}
	for dir := range w.folders {
		if within(name, dir) {
			return true
		}
	}
	return false
}

// moved forgets the watches on a folder that is no longer what it was, and on those below it: they stay with the old
// folder wherever it went, while its name may be another's now.
func (w *Watcher) moved(e fsnotify.Event) {
	if !e.Has(fsnotify.Create) && !e.Has(fsnotify.Rename) && !e.Has(fsnotify.Remove) {
		return
	}
	for dir := range w.dirs {
		if within(dir, e.Name) {
			_ = w.notify.Remove(dir)
			delete(w.dirs, dir)
		}
	}
}

func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}
