package accesslog

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// The reserve is a file that takes space on the log's disk while there is enough. When no more than its
// size is left, or when a write finds the disk full, the file is removed, and the log goes on in the space
// that this frees, which it needs for the calls that matter: [Space.Spent] says that those who fill the
// disk should not get records of their own any more. The file comes back when there is room for it twice.
const reserveFile = "reserve"

// Space is how much room the log's disk has.
type Space struct {
	Free  int64 // bytes, as the log looked last
	Low   bool  // less than Options.Low is free
	Spent bool  // the reserve is in use, or could not be had
}

type space struct {
	reserve, low int64

	mu   sync.Mutex
	held bool
	free int64
	told Space
}

// Space returns what the log knows of its disk; it looks every second.
func (l *Log) Space() Space {
	s := &l.space
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *space) now() Space {
	return Space{Free: s.free, Low: s.low > 0 && s.free < s.low, Spent: s.reserve > 0 && !s.held}
}

// watchSpace looks at the disk, gives the reserve up, or takes it again. It says whether that is news.
func (l *Log) watchSpace() (news bool) {
	s := &l.space
	s.mu.Lock()
	defer s.mu.Unlock()
	free, err := l.fs.Free(l.dir)
	if err == nil {
		s.free = free
		switch {
		case s.held && free < s.reserve:
			l.giveUp()
		case s.reserve > 0 && !s.held && free >= 2*s.reserve:
			s.held = l.takeReserve() == nil
		}
	}
	now := s.now()
	told := s.told
	s.told = now
	return told.Low != now.Low || told.Spent != now.Spent
}

// takeReserve makes the file, or finds it. The space's lock is held.
func (l *Log) takeReserve() error {
	name := filepath.Join(l.dir, reserveFile)
	if info, err := os.Stat(name); err == nil && info.Size() == l.space.reserve {
		return nil
	}
	f, err := l.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if a, ok := f.(interface{ allocate(int64) error }); ok {
		err = a.allocate(l.space.reserve)
	} else {
		err = fillZeros(f, 0, l.space.reserve)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return errors.Join(err, l.fs.Remove(name)) // half a reserve would pass for a whole one
	}
	return nil
}

// giveUp removes the file. The space's lock is held.
func (l *Log) giveUp() bool {
	if l.fs.Remove(filepath.Join(l.dir, reserveFile)) != nil {
		return false
	}
	l.space.held = false
	return l.fs.SyncDir(l.dir) == nil
}

// relieved gives the reserve up if err is that of a full disk, and says whether that may have helped. What
// failed must be a file that was being made: it is made anew, and nothing of it is believed.
func (l *Log) relieved(err error) bool {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return false
	}
	l.space.mu.Lock()
	defer l.space.mu.Unlock()
	return l.space.held && l.giveUp()
}

// replace is replaceFile for the writer's own small files.
func (l *Log) replace(name string, content []byte, durable bool) error {
	name = filepath.Join(l.dir, name)
	err := replaceFile(l.fs, name, content, durable)
	if err != nil && l.relieved(err) {
		err = replaceFile(l.fs, name, content, durable)
	}
	return err
}
