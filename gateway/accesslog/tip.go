package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// The tip is where the newest checkpoint is from the moment on at which its group is acknowledged: a file of
// one block, whose two slots are written in turns, in place. That is one short write, where a new file under
// the name "checkpoint" is several changes of the folder and takes longer than the records' own sync.
//
// Neither slot is believed without the signature. Whoever reads the file while it is written, and a crash that
// leaves half of what was written, meet one broken slot at most, and the one before it in the other. What a
// power cut takes of the tip, which is not synced, the file checkpoint has, but for the last second.
//
// The file is made anew by each start, after what it held was put under the name "checkpoint", and is
// removed by Close. Each slot holds a checkpoint and then zero bytes.
const (
	tipFile  = "tip"
	tipSlots = 2
	tipSlot  = 2 << 10 // a checkpoint with two signatures, and an origin of maxOrigin, is shorter
	tipReads = 100     // of a file that is another one each time
)

// tip is the writer's side of the file.
type tip struct {
	file File
	next int // slot
	buf  []byte
}

// beginTip makes the file. Its block is on the disk before it is used, so that no write is refused for want of space.
func (l *Log) beginTip() error {
	if err := l.replace(tipFile, make([]byte, tipSlots*tipSlot), true); err != nil {
		return fmt.Errorf("begin the tip: %w", err)
	}
	f, err := l.fs.OpenFile(filepath.Join(l.dir, tipFile), os.O_RDWR)
	if err != nil {
		return fmt.Errorf("begin the tip: %w", err)
	}
	l.tip = tip{file: f, buf: make([]byte, tipSlot)}
	return l.fs.SyncDir(l.dir)
}

// put writes a checkpoint over the one before the last.
func (t *tip) put(message []byte) error {
	if len(message) > tipSlot {
		return fmt.Errorf("write the tip: a checkpoint of %d bytes", len(message))
	}
	clear(t.buf[copy(t.buf, message):])
	if err := writeAt(t.file, t.buf, int64(t.next)*tipSlot); err != nil {
		return fmt.Errorf("write the tip: %w", err)
	}
	t.next = (t.next + 1) % tipSlots
	return nil
}

func (t *tip) close() {
	if t.file != nil {
		t.file.Close()
	}
	t.file = nil
}

// A signing is a checkpoint with its signatures.
type signing struct {
	checkpoint
	message []byte
}

// readTip returns the newest checkpoint that the tip holds, nil where it holds none, and whether a part of it
// is no checkpoint of this log. A tip that is being written is read again.
func readTip(dir string, of keys) (newest *signing, broken bool, err error) {
	name := filepath.Join(dir, tipFile)
	var before []byte
	for range tipReads {
		all, err := readSmall(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if newest, broken = parseTip(all, of); !broken || before != nil && bytes.Equal(all, before) {
			return newest, broken, nil
		}
		before = all
	}
	return newest, broken, nil
}

func parseTip(all []byte, of keys) (newest *signing, broken bool) {
	broken = len(all) > tipSlots*tipSlot
	for slot := range slices.Chunk(all[:min(len(all), tipSlots*tipSlot)], tipSlot) {
		message := bytes.TrimRight(slot, "\x00")
		if len(message) == 0 {
			continue
		}
		c, err := parseCheckpoint(message, of)
		if err != nil {
			broken = true
		} else if newest == nil || c.size > newest.size {
			newest = &signing{c, message}
		}
	}
	return newest, broken
}

// brokenTip is what is said of a tip that is not whole.
const brokenTip = "the file " + tipFile + " holds something that is no checkpoint of this log, as a power cut may leave it: that part is not believed"

// newestCheckpoint reads the folder's checkpoint: that of the tip where it signs more.
func newestCheckpoint(dir string, of keys) (signing, []string, error) {
	named, err := readCheckpoint(dir, of)
	if err != nil {
		return named, nil, err
	}
	tip, broken, err := readTip(dir, of)
	if err != nil {
		return named, nil, err
	}
	var notes []string
	if broken {
		notes = append(notes, brokenTip)
	}
	if tip != nil && tip.size > named.size {
		return *tip, notes, nil
	}
	return named, notes, nil
}
