package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
)

// Group commit. Callers put their lines into the next batch and queue for the commit lock; the first one through writes
// and syncs the whole batch, so those behind it find their line durable and go on. While it syncs, the next batch
// gathers. The index names a line only once it is durable; a failed write or sync poisons the mapping for good, because
// nobody can say then what the disk holds.

// file is an os.File, or one that a test breaks.
type file interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

type mapping struct {
	dir     string
	damaged int
	file    file

	commit sync.Mutex // held while a batch is written; taken before mu

	mu      sync.Mutex
	index   map[mapName]int64 // durable lines, by their offset
	next    *batch            // gathers
	writing *batch
	size    int64
	refs    int // vaults that use it; 0: closed
	err     error
}

// batch is the lines of one commit. lines and at are guarded by mapping.mu, done and err by mapping.commit.
type batch struct {
	lines []byte
	at    map[mapName]int64 // offset in lines
	done  bool
	err   error
}

// get returns the sealed id kept under a name; nil where there is none.
func (m *mapping) get(name mapName) ([]byte, error) {
	m.mu.Lock()
	offset, ok := m.index[name]
	closed := m.refs == 0
	m.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if !ok {
		return nil, nil
	}
	var buf [maxLine]byte
	n, err := m.file.ReadAt(buf[:], offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrMapping, err)
	}
	line, _, ok := bytes.Cut(buf[:n], []byte{'\n'})
	if !ok {
		return nil, fmt.Errorf("%w: an entry is gone", ErrMapping)
	}
	kept, sealed, ok := parseLine(line)
	if !ok || kept != name {
		return nil, fmt.Errorf("%w: an entry is damaged", ErrMapping)
	}
	return sealed, nil
}

// add keeps a sealed id and returns when it is durable.
func (m *mapping) add(name mapName, token string, sealed []byte) error {
	b, err := m.enqueue(name, token, sealed)
	if b == nil {
		return err
	}
	m.commit.Lock()
	defer m.commit.Unlock()
	if !b.done {
		b.err, b.done = m.write(b), true
	}
	return b.err
}

// enqueue puts a line into a batch; nil where there is nothing to wait for.
func (m *mapping) enqueue(name mapName, token string, sealed []byte) (*batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if m.refs == 0 {
		return nil, ErrClosed
	}
	if _, ok := m.index[name]; ok {
		return nil, nil
	}
	if m.writing != nil {
		if _, ok := m.writing.at[name]; ok {
			return m.writing, nil
		}
	}
	if m.next == nil {
		m.next = &batch{at: map[mapName]int64{}}
	}
	if _, ok := m.next.at[name]; !ok {
		m.next.at[name] = int64(len(m.next.lines))
		m.next.lines = appendLine(m.next.lines, token, sealed)
	}
	return m.next, nil
}

// write makes a batch durable. The caller holds commit; so b is the batch that gathers, and none is being written.
func (m *mapping) write(b *batch) error {
	m.mu.Lock()
	m.writing, m.next = b, nil
	err, start := m.err, m.size
	if err == nil && m.refs == 0 {
		err = ErrClosed
	}
	m.mu.Unlock()
	if err == nil {
		if _, err = m.file.WriteAt(b.lines, start); err == nil {
			err = m.file.Sync()
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrMapping, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writing = nil
	if err != nil {
		if m.err == nil {
			m.err = err
		}
		return err
	}
	for name, offset := range b.at {
		m.index[name] = start + offset
	}
	m.size = start + int64(len(b.lines))
	return nil
}

// failure is what poisoned the mapping, if anything did.
func (m *mapping) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// in says whether the file is the one of this folder.
func (m *mapping) in(dir string) bool {
	dir, err := filepath.Abs(dir)
	return err == nil && dir == m.dir
}

// retain counts one more vault.
func (m *mapping) retain() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refs == 0 {
		return ErrClosed
	}
	m.refs++
	return nil
}

// release counts one vault less, and closes the file after the last, once a commit under way is through.
func (m *mapping) release() error {
	m.commit.Lock()
	defer m.commit.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refs == 0 {
		return ErrClosed
	}
	if m.refs--; m.refs > 0 {
		return nil
	}
	return m.file.Close()
}
