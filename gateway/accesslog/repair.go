package accesslog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrSound is returned by [Repair] for a log that opens: there is nothing to repair.
var ErrSound = errors.New("the log opens, there is nothing to repair")

// Repaired is what a repair came to.
type Repaired struct {
	Damage *Damage // what [Open] refused the log with
	Kept   int64   // records that the log goes on with
	Signed int64   // records that were signed, as far as a signature of this log's key is there
	Aside  string  // folder in the log's, with every file that was changed or removed, as it was
	Said   string  // the recovery record's detail
}

// asidePrefix begins the name of the folder for what a repair takes away.
const asidePrefix = "damaged-"

// Repair makes a log open again that [Open] refuses with a [*Damage]. It keeps the records from the
// beginning up to the first bad place, as far as they are chained and agree with every signature, and goes
// on behind them. All else is kept as it is in a folder of its own, which a question can still read; and
// the first new record is of kind recovery and says what was there, what is lost and where the rest is.
//
// A repaired log no longer begins with all that was signed: a reviewer's kept checkpoint shows that, and
// the recovery record says why. A folder in which no signature is of this log's key is left alone.
func Repair(ctx context.Context, o Options) (*Repaired, error) {
	l, err := newLog(o)
	if err != nil {
		return nil, err
	}
	if l.lock, err = lockDir(l.dir); err != nil {
		return nil, err
	}
	defer l.release()
	done := &Repaired{}
	if _, err = l.look(); err == nil {
		return nil, ErrSound
	} else if !errors.As(err, &done.Damage) {
		return nil, err
	}
	of, err := listSegments(l.dir, l.keys)
	var d *Damage
	if err != nil && (!errors.As(err, &d) || d.File == retainedFile) {
		return nil, err // without that file nothing is known of what is left
	}
	marks, err := l.signatures(of)
	if err != nil {
		return nil, err
	}
	if len(marks) == 0 {
		return nil, checkpointDamage(checkpointFile, fmt.Errorf("%w: nothing in the folder is, so it is left alone", ErrKey))
	}
	for _, m := range marks {
		done.Signed = max(done.Signed, m.size)
	}
	cut, err := goodUntil(ctx, l.dir, of, marks)
	if err != nil {
		return nil, err
	}
	done.Kept = cut.tree.size
	return done, l.goOnBehind(cut, done)
}

// signatures are what this log's keys have signed of its size and root.
func (l *Log) signatures(of layout) (marks []mark, err error) {
	message, err := readSmall(filepath.Join(l.dir, checkpointFile))
	if err == nil {
		if c, err := parseCheckpoint(message, l.keys); err == nil {
			marks = append(marks, mark{c, "the checkpoint"})
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	tip, _, err := readTip(l.dir, l.keys)
	if err != nil {
		return nil, err
	}
	if tip != nil {
		marks = append(marks, mark{tip.checkpoint, "the tip"})
	}
	old, err := l.readState()
	if err != nil {
		return nil, err
	}
	if old != nil {
		marks = append(marks, mark{checkpoint{old.tree.size, old.tree.root()}, "the frontier"})
	}
	all, err := introductions(l.dir)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if _, c, err := i.open(l.keys); err == nil {
			marks = append(marks, mark{c, introductionFile(i.size)})
		}
	}
	if of.base != nil {
		marks = append(marks, mark{checkpoint{of.base.tree.size, of.base.tree.root()}, "what retention left"})
	}
	return marks, nil
}

// errBad ends a walk at the first bad place.
var errBad = errors.New("bad")

// goodUntil returns the walk up to the first bad place: a line that does not continue the chain, or, where
// the chain disagrees with a signature, the last place that one agrees with.
func goodUntil(ctx context.Context, dir string, of layout, marks []mark) (*walk, error) {
	// How many records the chain has, before it breaks.
	limit := int64(-1)
	w := newWalk(dir, of)
	err := w.run(ctx)
	var d *Damage
	switch {
	case err == nil:
		limit = w.tree.size
	case errors.As(err, &d) && d.Seq >= 0:
		limit = d.Seq
	default:
		return nil, err
	}
	// Up to which a signature agrees, where one does not.
	agreed, disagreed := newWalk(dir, of).tree.size, false
	w = newWalk(dir, of)
	if err := w.upTo(ctx, limit, func() {
		for _, m := range marks {
			switch {
			case m.size != w.tree.size || disagreed:
			case m.root == w.tree.root():
				agreed = m.size
			default:
				disagreed = true
			}
		}
	}); err != nil {
		return nil, err
	}
	if disagreed {
		limit = agreed
	}
	w = newWalk(dir, of)
	return w, w.upTo(ctx, limit, func() {})
}

// upTo goes on to so many records, and no further. A line that is bad after all is an error.
func (w *walk) upTo(ctx context.Context, records int64, each func()) error {
	for each(); w.tree.size < records; {
		end, err := func() (bool, error) {
			f, err := openStored(w.dir, w.at.segment)
			if err != nil {
				return false, err
			}
			defer f.Close()
			in := newLines(f, w.at.offset)
			for w.tree.size < records {
				if w.tree.size%1024 == 0 && ctx.Err() != nil {
					return false, context.Cause(ctx)
				}
				line, err := in.next()
				if errors.Is(err, io.EOF) {
					return true, nil
				}
				if err != nil {
					return false, err
				}
				w.prev = tlog.RecordHash(line)
				w.tree.append(w.prev)
				w.at.line, w.at.offset = w.at.line+1, in.offset
				each()
			}
			return false, nil
		}()
		if err != nil {
			return err
		}
		if end {
			if w.at.segment == w.layout.last {
				return errBad
			}
			w.at = place{w.at.segment + 1, 1, 0}
		}
	}
	return nil
}

// goOnBehind sets aside what is behind the cut, and begins to write there. Until the record that tells of
// it is signed there is no checkpoint, so that a crash leaves a log that does not open, never one that
// opens without a word.
func (l *Log) goOnBehind(cut *walk, done *Repaired) error {
	changed, err := l.behind(cut)
	if err != nil {
		return err
	}
	sums, err := l.setAside(done, changed)
	if err != nil {
		return err
	}
	for _, name := range []string{checkpointFile, tipFile} {
		if err := removeIfThere(l.fs, filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	if err := l.cutTo(cut, changed); err != nil {
		return err
	}
	l.tree, l.prev, l.number, l.offset = cut.tree, cut.prev, cut.at.segment, cut.at.offset
	name := filepath.Join(l.dir, segmentName(l.number))
	if l.file, err = l.fs.OpenFile(name, os.O_RDWR|os.O_CREATE); err != nil {
		return err
	}
	if err := fillZeros(l.file, l.offset, l.segment); err != nil {
		return err
	}
	if err := l.beginTip(); err != nil {
		return err
	}
	done.Said = fmt.Sprintf("repaired by command, since the log did not open (%s): %d records are kept; ", done.Damage.Reason, done.Kept)
	if lost := done.Signed - done.Kept; lost > 0 {
		done.Said += fmt.Sprintf("records %d to %d, which were signed, are not in the log any more; ", done.Kept, done.Signed-1)
	}
	done.Said += fmt.Sprintf("what was there is in %s: %s", done.Aside, strings.Join(sums, ", "))
	e := l.entries.get()
	defer l.entries.put(e)
	if err := e.encode(&Record{Kind: KindRecovery, Code: "repair", Detail: done.Said}, l.now()); err != nil {
		return err
	}
	if err := l.commit([]*entry{e}); err != nil {
		return err
	}
	return l.finish()
}

// behind are the files that a repair changes or removes: segments from the cut on, in every form, and what
// signs more than is left.
func (l *Log) behind(cut *walk) ([]string, error) {
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, f := range files {
		name := f.Name()
		base, _, _ := strings.Cut(name, ".")
		n := 0
		if _, err := fmt.Sscanf(base, "%06d", &n); err == nil && f.Type().IsRegular() && (name == segmentName(n) || name == compressedName(n)) && n >= cut.at.segment {
			all = append(all, name)
		}
		if size, ok := strings.CutPrefix(name, introductionPrefix); ok {
			if size, err := parseSize(size); err == nil && size > cut.tree.size {
				all = append(all, name)
			}
		}
		if name == checkpointFile || name == tipFile || name == stateFile {
			all = append(all, name)
		}
	}
	return all, nil
}

// setAside copies files into a folder, durably, and returns their names and hashes.
func (l *Log) setAside(done *Repaired, names []string) (sums []string, err error) {
	base := asidePrefix + l.now().UTC().Format("20060102T150405Z")
	to := ""
	for n := 1; to == "" || errors.Is(err, os.ErrExist); n++ {
		if done.Aside = base; n > 1 {
			done.Aside = fmt.Sprintf("%s-%d", base, n)
		}
		to = filepath.Join(l.dir, done.Aside)
		err = os.Mkdir(to, 0o700)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		sum, err := copyDurably(filepath.Join(l.dir, name), filepath.Join(to, name))
		if err != nil {
			return nil, err
		}
		sums = append(sums, fmt.Sprintf("%s SHA-256 %x", name, sum))
	}
	return sums, errors.Join(osFS{}.SyncDir(to), osFS{}.SyncDir(l.dir))
}

func copyDurably(from, to string) (sum []byte, err error) {
	src, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(dst, h), src)
	if err == nil {
		err = dst.Sync()
	}
	return h.Sum(nil), errors.Join(err, dst.Close())
}

// cutTo leaves of the segment with the cut what is before it, uncompressed, and nothing of what follows.
func (l *Log) cutTo(cut *walk, changed []string) error {
	last := segmentName(cut.at.segment)
	good := make([]byte, cut.at.offset)
	if len(good) > 0 {
		f, err := openStored(l.dir, cut.at.segment)
		if err != nil {
			return err
		}
		_, err = f.ReadAt(good, 0)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if err := replaceFile(l.fs, filepath.Join(l.dir, last), good, true); err != nil {
		return err
	}
	for _, name := range slices.Backward(changed) {
		if name != last && name != checkpointFile && name != tipFile && name != stateFile {
			if err := removeIfThere(l.fs, filepath.Join(l.dir, name)); err != nil {
				return err
			}
		}
	}
	return l.fs.SyncDir(l.dir)
}

func removeIfThere(fs FS, name string) error {
	if err := fs.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
