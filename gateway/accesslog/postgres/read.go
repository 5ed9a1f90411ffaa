package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

const (
	slack   = time.Microsecond
	goodbye = 5 * time.Second
)

// An Origin is what the database has of one log.
type Origin struct {
	Name        string
	First, Last int64 // records
	Count       int64
	Newest      time.Time
}

// Missing is how many records between the first and the last are not there.
func (o Origin) Missing() int64 { return o.Last - o.First + 1 - o.Count }

// A Reader answers questions. It changes nothing.
type Reader struct {
	ctx    context.Context
	config *pgx.ConnConfig
}

// NewReader takes a configuration from [Configure]. Everything that it asks ends with ctx.
func NewReader(ctx context.Context, config *pgx.ConnConfig) *Reader {
	config = config.Copy()
	config.RuntimeParams["default_transaction_read_only"] = "on"
	return &Reader{ctx, config}
}

func (r *Reader) with(ask func(*pgx.Conn) error) error {
	c, err := pgx.ConnectConfig(r.ctx, r.config)
	if err != nil {
		return told(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		_ = c.Close(ctx) // it was only read
	}()
	return told(ask(c))
}

// Origins are the logs that the database has records of. None is an error, since an empty answer would be
// taken for "nobody".
func (r *Reader) Origins() ([]Origin, error) {
	var all []Origin
	err := r.with(func(c *pgx.Conn) error {
		n, err := is(r.ctx, c)
		if err == nil && n == 0 {
			err = errors.New("the database holds no access log")
		}
		if err == nil {
			err = known(n)
		}
		if err != nil {
			return err
		}
		rows, err := c.Query(r.ctx, `SELECT origin, min(seq), max(seq), count(*), max(time) FROM halfdoor_record GROUP BY origin ORDER BY origin`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Origin])
		if err == nil && len(all) == 0 {
			err = errors.New("the database holds no record")
		}
		return err
	})
	return all, err
}

// Source is an [accesslog.Source] of the records of an origin. Each reading has a connection of its own.
func (r *Reader) Source(origin string) accesslog.Source {
	return func(queries ...accesslog.Query) iter.Seq2[*accesslog.Record, error] {
		return func(yield func(*accesslog.Record, error) bool) {
			going := true
			err := r.with(func(c *pgx.Conn) error {
				text, args := statement(origin, queries)
				rows, err := c.Query(r.ctx, text, args...)
				if err != nil {
					return err
				}
				defer rows.Close()
				for going && rows.Next() {
					var seq int64
					var line []byte
					if err := rows.Scan(&seq, &line); err != nil {
						return err
					}
					rec, err := read(seq, line)
					if err == nil && !accesslog.FitAny(queries, rec) {
						continue
					}
					going = yield(rec, err)
				}
				if !going {
					return nil
				}
				return rows.Err()
			})
			if err != nil && going {
				yield(nil, err)
			}
		}
	}
}

// read decodes a line, and holds it to the number that it was found by.
func read(seq int64, line []byte) (*accesslog.Record, error) {
	rec, err := accesslog.Decode(line)
	if err == nil && rec.Sequence != seq {
		err = errors.New("its line is another record's")
	}
	if err != nil {
		return nil, fmt.Errorf("record %d in the database: %w", seq, err)
	}
	return rec, nil
}
