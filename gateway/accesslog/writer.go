package accesslog

// The writer is one goroutine. It takes what has queued up, writes it as one group, syncs, signs the
// tree and only then answers. Its invariants:
//
//   - The checkpoint in place never signs a record that is not on the disk: it is written after the sync. (It
//     is signed while the disk works.)
//   - A record is acknowledged after its checkpoint was written to the tip.
//   - At most one write of records is under way, so that a crash leaves at most one group incomplete, at the end.
//   - After the first error nothing is written any more, also not by Close.

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// groupBytes is where a group ends; one record more may exceed it.
	groupBytes = 1 << 20
	// maxGroup bounds a group, and with it what a crash can leave incomplete.
	maxGroup = groupBytes + MaxRecord
)

func newSigner(key []byte) (note.Signer, error) {
	s, err := note.NewSigner(strings.TrimSpace(string(key)))
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return s, nil
}

func (l *Log) run() {
	defer close(l.done)
	defer l.release()
	for {
		var err error
		select {
		case <-l.wake:
			runtime.Gosched() // callers that are about to append join the group
		case <-l.renewal.timer.C: // what is due is begun below
		case e := <-l.renewal.done:
			err = l.renewed(e)
		}
		queue, closed := l.take()
		for err == nil && len(queue) > 0 {
			n := groupLen(queue)
			if err = l.commit(queue[:n]); err == nil {
				l.progress.moved(l.tree.size)
				answer(queue[:n], nil)
				queue = queue[n:]
				l.renew()
			}
		}
		if err == nil && closed {
			if err = l.finish(); err == nil {
				return
			}
		}
		if err != nil {
			l.settle() // the log has failed, whatever comes of it
			l.poison(err, queue)
			return
		}
		l.renew()
	}
}

// take empties the queue. Once closed is true nothing queues up any more.
func (l *Log) take() (queue []*entry, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue, l.queue = l.queue, l.spare[:0]
	l.spare = queue
	return queue, l.closed
}

// groupLen is how many entries of the queue make the next group.
func groupLen(queue []*entry) int {
	for n, bytes := 0, 0; n < len(queue); n++ {
		if bytes += len(queue[n].line) + maxSealed + 1; bytes >= groupBytes {
			return n + 1
		}
	}
	return len(queue)
}

func answer(group []*entry, err error) {
	for i, e := range group {
		e.err = err
		e.done <- struct{}{}
		group[i] = nil // the entry is its caller's again
	}
}

// poison refuses those who wait and all who come.
func (l *Log) poison(cause error, waiting []*entry) {
	err := fmt.Errorf("%w: %w", ErrPoisoned, cause)
	l.mu.Lock()
	l.err, l.failed = err, err
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	answer(waiting, err)
	answer(queue, err)
	// The folder stays taken until Close: another process must not go on while this one still answers.
	for {
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
		<-l.wake
	}
}

// commit makes a group durable and signs it.
func (l *Log) commit(group []*entry) error {
	need := int64(0)
	for _, e := range group {
		need += int64(len(e.line) + maxSealed + 1)
	}
	// A torn end is covered in place: a new segment would cut it off before it is recorded.
	now := l.now()
	old := l.keep.age > 0 && l.offset > 0 && now.Sub(l.begun) >= l.keep.age
	if l.offset > 0 && (l.offset+need > l.segment || old) && l.torn == 0 {
		if err := l.rotate(); err != nil {
			return fmt.Errorf("begin a new segment: %w", err)
		}
	}
	if l.offset == 0 {
		l.begun = now
	}
	l.buf = l.buf[:0]
	for _, e := range group {
		begin := len(l.buf)
		l.buf = append(l.buf, e.line...)
		l.buf = seal(l.buf, l.tree.size, l.prev)
		l.prev = tlog.RecordHash(l.buf[begin:])
		e.seq = l.tree.size
		l.tree.append(l.prev)
		l.buf = append(l.buf, '\n')
	}
	size := int64(len(l.buf))
	if l.torn > size {
		l.buf = append(l.buf, make([]byte, l.torn-size)...)
	}
	l.torn = 0
	if err := writeAt(l.file, l.buf, l.offset); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	if f, ok := l.file.(interface {
		writeOut(offset, size int64) error
	}); ok {
		// The disk begins, and the group is signed meanwhile.
		if err := f.writeOut(l.offset, int64(len(l.buf))); err != nil {
			return fmt.Errorf("write records: %w", err)
		}
	}
	signed, err := l.sign()
	if err != nil {
		return err
	}
	if err := l.file.Datasync(); err != nil {
		return fmt.Errorf("sync records: %w", err)
	}
	l.offset += size
	if cap(l.buf) > 4*groupBytes {
		l.buf = nil
	}
	if err := l.tip.put(signed); err != nil {
		return err
	}
	if err := l.renewal.replaced(signed, l); err != nil {
		return err
	}
	if l.next == nil && (l.offset > l.segment/2 || l.keep.age > 0 && now.Sub(l.begun) > l.keep.age/2) {
		l.next = prepare(l.fs, l.dir, l.segment)
	}
	return nil
}

// sign makes a checkpoint of the tree.
func (l *Log) sign() ([]byte, error) {
	signers := []note.Signer{l.signer}
	if l.retiring != nil {
		signers = append(signers, l.retiring) // until it has introduced the other one
	}
	message, err := checkpoint{l.tree.size, l.tree.root()}.sign(signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return message, nil
}

// writeCheckpoint signs the tree, durably and under the checkpoint's name.
func (l *Log) writeCheckpoint() error {
	message, err := l.sign()
	if err != nil {
		return err
	}
	return l.nameCheckpoint(message, true)
}

// writeState writes down where a start goes on. Its caller syncs the folder.
func (l *Log) writeState(closed bool) error {
	s := state{tree: l.tree, closed: closed, segment: l.number, offset: l.offset, prev: l.prev}
	message, err := s.sign(stateFile, l.signer)
	if err != nil {
		return fmt.Errorf("sign frontier: %w", err)
	}
	if err := l.replace(stateFile, message, true); err != nil {
		return fmt.Errorf("write frontier: %w", err)
	}
	return nil
}

// closeSegment cuts the segment to its records.
func (l *Log) closeSegment() error {
	f := l.file
	l.file = nil
	err := f.Truncate(l.offset)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// rotate closes the segment and gives the prepared one its name, in this order: a segment that has
// another behind it never has zeros at its end.
func (l *Log) rotate() error {
	if l.next == nil {
		l.next = prepare(l.fs, l.dir, l.segment)
	}
	p := <-l.next
	if p.err != nil && l.relieved(p.err) {
		p = <-prepare(l.fs, l.dir, l.segment) // nothing was in it
	}
	l.next = nil
	if p.err != nil {
		return p.err
	}
	err := l.closeSegment()
	if err == nil {
		err = l.fs.Rename(filepath.Join(l.dir, nextFile), filepath.Join(l.dir, segmentName(l.number+1)))
	}
	if err != nil {
		p.file.Close()
		return err
	}
	l.file, l.number, l.offset = p.file, l.number+1, 0
	if err := l.writeState(false); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.segmentClosed(l.number - 1)
	return nil
}

// finish ends the log in order.
func (l *Log) finish() error {
	if err := l.settle(); err != nil {
		return err
	}
	if err := l.writeCheckpoint(); err != nil {
		return err
	}
	if err := l.closeSegment(); err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	if err := l.writeState(true); err != nil {
		return err
	}
	if err := l.fs.Remove(filepath.Join(l.dir, tipFile)); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// release lets go of files and folder without writing anything more.
func (l *Log) release() {
	if l.next != nil {
		if p := <-l.next; p.err == nil {
			p.file.Close()
		}
		os.Remove(filepath.Join(l.dir, nextFile)) // only space; the next start would use it anew
	}
	if l.file != nil {
		l.file.Close()
	}
	l.tip.close()
	l.lock.Close()
}
