package index

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

const (
	// batchRecords is how many records share a transaction.
	batchRecords = 50_000
	// insertRows is how many rows share a statement.
	insertRows = 64
)

// Result is what an update did.
type Result struct {
	Added int64 // records
	Total int64 // records that the log has had
	Anew  error // why the index was made anew; nil where it was not, ErrNone where there was none
}

// Update brings the index of a log up to date, or makes it. It holds a lock, so that one update comes after
// the other; the log itself may be in use. Progress, where set, is called with the records added.
func Update(ctx context.Context, dir string, progress func(int64)) (Result, error) {
	var result Result
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return result, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return result, &os.PathError{Op: "lock", Path: lock.Name(), Err: err}
	}
	result.Anew = check(dir)
	if result.Anew == nil {
		err := update(ctx, dir, fileName, &result, progress)
		if !errors.Is(err, ErrUnusable) && !errors.Is(err, accesslog.ErrElsewhere) {
			return result, err
		}
		result.Anew = err
	} else if !errors.Is(result.Anew, ErrNone) && !errors.Is(result.Anew, ErrUnusable) {
		return result, result.Anew
	}
	for _, name := range []string{sumName, fileName, fileName + ".new"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return result, err
		}
	}
	anew := result.Anew
	result = Result{Anew: anew}
	err = update(ctx, dir, fileName+".new", &result, progress)
	return result, err
}

// update adds what is behind the index's end, and sums the file. Where that fails, no sum is left.
func update(ctx context.Context, dir, file string, result *Result, progress func(int64)) error {
	name := filepath.Join(dir, file)
	// Without a journal: a crash leaves a file without a sum, which is made anew.
	db, err := open(name, "_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=cache_size(-131072)&_pragma=busy_timeout(60000)")
	if err != nil {
		return err
	}
	w := &writer{db: db, progress: progress}
	err = w.run(ctx, dir, file == fileName)
	result.Added, result.Total = w.added, w.end.Records
	var damage *accesslog.Damage
	if err != nil && !errors.As(err, &damage) { // up to a damage it is right
		return errors.Join(err, db.Close())
	}
	if e := db.Close(); e != nil {
		return e
	}
	if file != fileName {
		if e := os.Rename(name, filepath.Join(dir, fileName)); e != nil {
			return e
		}
	}
	if w.added > 0 || file != fileName {
		text, e := sum(filepath.Join(dir, fileName))
		if e == nil {
			e = os.WriteFile(filepath.Join(dir, sumName), []byte(text), 0o600)
		}
		if e != nil {
			return e
		}
	}
	return err
}

// writer adds records to an index.
type writer struct {
	db       *sql.DB
	progress func(int64)
	added    int64
	end      accesslog.End
	places   []any
	postings []posting
	keys     []int64
}

type posting struct{ key, seq int64 }

func (w *writer) run(ctx context.Context, dir string, exists bool) error {
	var err error
	if exists {
		w.end, err = readEnd(w.db)
	} else {
		_, err = w.db.Exec(schema)
	}
	if err != nil {
		return err
	}
	f, err := accesslog.FollowFrom(dir, w.end)
	if err != nil {
		return err
	}
	defer f.Close()
	w.end = f.End()
	for {
		// Each batch is a transaction of its own, up to a place that is known.
		n := 0
		for n < batchRecords && err == nil {
			if n%1024 == 0 && ctx.Err() != nil {
				err = context.Cause(ctx)
				break
			}
			var r *accesslog.Record
			if r, _, err = f.Next(accesslog.Whole); err == nil {
				w.add(r, f.Place())
				w.end = f.End()
				n++
			}
		}
		end := errors.Is(err, io.EOF)
		if end {
			w.end = f.End() // which may be the beginning of a segment
		}
		if n > 0 || !exists {
			if w.added == 0 && exists {
				// From here on the file is not what was summed.
				if e := os.Remove(filepath.Join(dir, sumName)); e != nil && !errors.Is(e, fs.ErrNotExist) {
					return e
				}
			}
			if e := w.flush(w.end); e != nil {
				return e
			}
			exists = true
			w.added += int64(n)
			if w.progress != nil {
				w.progress(w.added)
			}
		}
		if end {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *writer) add(r *accesslog.Record, at accesslog.Place) {
	w.places = append(w.places, r.Sequence, at.Segment, at.Offset, r.Time.Unix())
	w.keys = keys(r, w.keys[:0])
	for _, k := range w.keys {
		w.postings = append(w.postings, posting{k, r.Sequence})
	}
}

// flush writes a batch; postings in the order in which they are kept.
func (w *writer) flush(end accesslog.End) error {
	slices.SortFunc(w.postings, func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.seq, b.seq))
	})
	w.postings = slices.Compact(w.postings)
	tx, err := w.db.Begin()
	if err != nil {
		return err
	}
	values := make([]any, 0, 2*len(w.postings))
	for _, p := range w.postings {
		values = append(values, p.key, p.seq)
	}
	err = insert(tx, "INSERT INTO place (seq, segment, offset, time) VALUES ", 4, w.places)
	if err == nil {
		err = insert(tx, "INSERT INTO posting (key, seq) VALUES ", 2, values)
	}
	if err == nil {
		err = writeEnd(tx, end)
	}
	if err != nil {
		return unusable("%w", errors.Join(err, tx.Rollback()))
	}
	w.places, w.postings = w.places[:0], w.postings[:0]
	return tx.Commit()
}

// insert writes rows, so many by one statement.
func insert(tx *sql.Tx, head string, columns int, values []any) error {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"
	full, err := tx.Prepare(head + row + strings.Repeat(","+row, insertRows-1))
	if err != nil {
		return err
	}
	defer full.Close()
	for len(values) >= columns*insertRows {
		if _, err := full.Exec(values[:columns*insertRows]...); err != nil {
			return err
		}
		values = values[columns*insertRows:]
	}
	if len(values) == 0 {
		return nil
	}
	_, err = tx.Exec(head+row+strings.Repeat(","+row, len(values)/columns-1), values...)
	return err
}
