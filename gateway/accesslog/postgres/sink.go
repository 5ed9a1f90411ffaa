package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// A Sink puts the records of one log into the table: a [sinks.Peer].
type Sink struct {
	config *pgx.ConnConfig
	origin string
	conn   *pgx.Conn
}

// NewSink takes a configuration from [Configure]. It connects with the first batch.
func NewSink(config *pgx.ConnConfig, origin string) (*Sink, error) {
	if config == nil || origin == "" {
		return nil, errors.New("a PostgreSQL sink needs a database and the log's origin")
	}
	return &Sink{config: config, origin: origin}, nil
}

// Send inserts the batch in one transaction, and returns when that is committed. Rows that are there already are
// compared, and where one has another line nothing of the batch is kept.
func (s *Sink) Send(ctx context.Context, batch []sinks.Delivery) error {
	err := s.send(ctx, batch)
	if err == nil || errors.Is(err, sinks.ErrDiffers) {
		return err
	}
	return errors.Join(told(err), s.Close())
}

func (s *Sink) send(ctx context.Context, batch []sinks.Delivery) error {
	if s.conn == nil {
		c, err := pgx.ConnectConfig(ctx, s.config)
		if err != nil {
			return err
		}
		s.conn = c
		if err := ready(ctx, c); err != nil {
			return err
		}
	}
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		// The cursor moves behind what is committed: a database that answers before its disk has the rows would lose them.
		if _, err := tx.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`); err != nil {
			return err
		}
		return s.insert(ctx, tx, batch)
	})
}

// insert needs of a transaction only this, which a test can break.
func (s *Sink) insert(ctx context.Context, tx interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, batch []sinks.Delivery) error {
	var b pgx.Batch
	numbers, lines := make([]int64, len(batch)), make([][]byte, len(batch))
	for i, d := range batch {
		numbers[i], lines[i] = d.Record.Sequence, d.Line
		b.Queue(insert, row(s.origin, d)...)
	}
	results := tx.SendBatch(ctx, &b)
	added := 0
	for range batch {
		tag, err := results.Exec()
		if err != nil {
			return errors.Join(err, results.Close())
		}
		added += int(tag.RowsAffected())
	}
	if err := results.Close(); err != nil || added == len(batch) {
		return err
	}
	var seq int64
	switch err := tx.QueryRow(ctx, differing, column(s.origin), numbers, lines).Scan(&seq); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: the database has another line for record %d of %s", sinks.ErrDiffers, seq, s.origin)
}

// Close lets go of the connection.
func (s *Sink) Close() error {
	if s.conn == nil {
		return nil
	}
	c := s.conn
	s.conn = nil
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.Close(ctx) // what was not committed is sent again
	return nil
}
