package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

var (
	Column    = column
	Row       = row
	Statement = statement
	Told      = told
	Read      = read
)

// Transaction is what an insertion needs of one.
type Transaction interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (s *Sink) Insert(ctx context.Context, tx Transaction, batch []sinks.Delivery) error {
	return s.insert(ctx, tx, batch)
}
