package index

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"path/filepath"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// Index answers questions about a log. It is not for concurrent use.
type Index struct {
	dir    string
	db     *sql.DB
	end    accesslog.End
	first  int64 // of the records that the log still has
	lookup *accesslog.Lookup
}

// Open opens the index of a log, after it has held the file to its sum and its end to the log. [ErrNone]
// and [ErrUnusable] mean that the log is to be read itself.
func Open(dir string) (*Index, error) {
	if err := check(dir); err != nil {
		return nil, err
	}
	db, err := open(filepath.Join(dir, fileName), "mode=ro&_pragma=query_only(1)&_pragma=cache_size(-32768)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	x := &Index{dir: dir, db: db, lookup: accesslog.NewLookup(dir)}
	if x.end, err = readEnd(db); err == nil {
		err = x.fits()
	}
	if err == nil {
		x.first, err = accesslog.First(dir)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

// fits holds the index's end to the log.
func (x *Index) fits() error {
	f, err := accesslog.FollowFrom(x.dir, x.end)
	if err == nil {
		defer f.Close()
		_, _, err = f.Next(accesslog.Whole)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return unusable("%w", err) // of a log that is damaged as well: reading it tells where
	}
	return nil
}

// Close lets go of the index.
func (x *Index) Close() error { return errors.Join(x.lookup.Close(), x.db.Close()) }

// End is how far the index goes.
func (x *Index) End() accesslog.End { return x.end }

// Read is an [accesslog.Source]. A question that names nothing is answered by the log alone. Where the
// index leads to something else than it should, that is yielded as an error that wraps [ErrUnusable].
func (x *Index) Read(queries ...accesslog.Query) iter.Seq2[*accesslog.Record, error] {
	text, args := statement(queries)
	if text == "" {
		return accesslog.Read(x.dir, queries...)
	}
	return func(yield func(*accesslog.Record, error) bool) {
		if !x.indexed(text, args, queries, yield) {
			return
		}
		for r, err := range accesslog.ReadFrom(x.dir, x.end, queries...) {
			if !yield(r, err) {
				return
			}
		}
	}
}

// indexed yields what the index leads to, and says whether to go on.
func (x *Index) indexed(text string, args []any, queries []accesslog.Query, yield func(*accesslog.Record, error) bool) bool {
	rows, err := x.db.Query(text, args...)
	if err != nil {
		return yield(nil, unusable("%w", err))
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var at accesslog.Place
		if err := rows.Scan(&seq, &at.Segment, &at.Offset); err != nil {
			return yield(nil, unusable("%w", err))
		}
		if seq < x.first {
			continue // retention has removed it
		}
		r, err := x.lookup.At(seq, at, x.end)
		if err != nil {
			if !yield(nil, err) {
				return false
			}
			continue
		}
		if accesslog.FitAny(queries, r) && !yield(r, nil) {
			return false
		}
	}
	if err := rows.Err(); err != nil {
		return yield(nil, unusable("%w", err))
	}
	return true
}

// statement asks for the places of what may fit, in the order of the log; "" where a query names nothing.
func statement(queries []accesslog.Query) (text string, args []any) {
	var parts []string
	for i := range queries {
		q := &queries[i]
		all := conditions(q)
		timed := !q.Since.IsZero() || !q.Until.IsZero()
		if len(all) == 0 && !timed {
			return "", nil
		}
		var b strings.Builder
		if len(all) == 0 {
			b.WriteString("SELECT DISTINCT l.seq, l.segment, l.offset FROM place l WHERE 1")
		} else {
			fmt.Fprintf(&b, "SELECT DISTINCT l.seq, l.segment, l.offset FROM posting p CROSS JOIN place l ON l.seq = p.seq WHERE p.key IN (%s)", marks(len(all[0])))
			args = values(args, all[0])
			for _, others := range all[1:] {
				fmt.Fprintf(&b, " AND EXISTS (SELECT 1 FROM posting o WHERE o.key IN (%s) AND o.seq = l.seq)", marks(len(others)))
				args = values(args, others)
			}
		}
		if timed { // by seconds; the record itself is held to the rest
			since, until := int64(math.MinInt64), int64(math.MaxInt64)
			if !q.Since.IsZero() {
				since = q.Since.Unix()
			}
			if !q.Until.IsZero() {
				until = q.Until.Unix()
			}
			b.WriteString(" AND l.time BETWEEN ? AND ?")
			args = append(args, since, until)
		}
		parts = append(parts, b.String())
	}
	if len(parts) == 0 {
		return "", nil
	}
	return strings.Join(parts, " UNION ") + " ORDER BY 1", args
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func values(to []any, keys []int64) []any {
	for _, k := range keys {
		to = append(to, k)
	}
	return to
}
