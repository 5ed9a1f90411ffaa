package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Switch is one thing that is switched off.
type Switch struct {
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// maxSwitches is how many there may be.
const maxSwitches = 10_000

// SwitchesOptions are of Switches.
type SwitchesOptions struct {
	File string           // in which they are kept, so that a restart switches nothing on; made when it is needed. Required.
	Now  func() time.Time // default time.Now
}

// Switches are what administrators switched off. To ask takes no lock.
type Switches struct {
	now  func() time.Time
	mu   sync.Mutex // of those who change something
	file string
	off  atomic.Pointer[map[[2]string]Switch]
}

// OpenSwitches reads the file. One that cannot be understood is an error: what it had switched off would be on.
func OpenSwitches(o SwitchesOptions) (*Switches, error) {
	if o.File == "" {
		return nil, errors.New("switches need a file")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Switches{now: o.Now, file: o.File}
	off := map[[2]string]Switch{}
	text, err := os.ReadFile(o.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("switches: %w", err)
	default:
		var list []Switch
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&list); err != nil {
			return nil, fmt.Errorf("switches: %s: %w", o.File, err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("switches: %s: something follows the list", o.File)
		}
		for _, sw := range list {
			if sw.Kind == "" || sw.Name == "" {
				return nil, fmt.Errorf("switches: %s: a switch without kind or name", o.File)
			}
			off[[2]string{sw.Kind, sw.Name}] = sw
		}
	}
	s.off.Store(&off)
	return s, nil
}

// IsOff tells whether something is switched off.
func (s *Switches) IsOff(kind, name string) bool {
	off := *s.off.Load()
	if len(off) == 0 {
		return false
	}
	_, is := off[[2]string{kind, name}]
	return is
}

// List is all that is switched off, by kind and name.
func (s *Switches) List() []Switch {
	list := slices.Collect(maps.Values(*s.off.Load()))
	slices.SortFunc(list, func(a, b Switch) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return list
}

// Off switches something off, for the calls that begin from now on; when it returns without an error, a restart does
// not change that. Where the disk fails, it is off all the same until then, and the error says so.
func (s *Switches) Off(kind, name, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	off := maps.Clone(*s.off.Load())
	if len(off) >= maxSwitches {
		return fmt.Errorf("switches: there are %d already", maxSwitches)
	}
	off[[2]string{kind, name}] = Switch{Kind: kind, Name: name, Reason: reason, Since: s.now().UTC()}
	s.off.Store(&off)
	if err := s.keep(); err != nil {
		return fmt.Errorf("switches: off, but only until a restart: %w", err)
	}
	return nil
}

// On switches something on again, and says whether it was off. Where the disk fails, it stays off.
func (s *Switches) On(kind, name string) (was bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.off.Load()
	if _, was = (*before)[[2]string{kind, name}]; !was {
		return false, nil
	}
	off := maps.Clone(*before)
	delete(off, [2]string{kind, name})
	s.off.Store(&off)
	if err := s.keep(); err != nil {
		s.off.Store(before)
		return true, fmt.Errorf("switches: still off: %w", err)
	}
	return true, nil
}

// Move keeps them in another file from now on. The one before stays as it is.
func (s *Switches) Move(file string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if file == s.file {
		return nil
	}
	before := s.file
	s.file = file
	if len(*s.off.Load()) == 0 && !exists(file) {
		return nil
	}
	if err := s.keep(); err != nil {
		s.file = before
		return fmt.Errorf("switches: %w", err)
	}
	return nil
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// keep writes the file anew, and returns when it is durable.
func (s *Switches) keep() error {
	text, err := json.MarshalIndent(s.List(), "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(s.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".switches-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), s.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
