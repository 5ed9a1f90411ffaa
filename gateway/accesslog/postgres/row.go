package postgres

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// longest bounds what a column holds of a text in bytes: an index takes no row of more than about 2,700. Two texts that are
// alike so far cost a look at a line that does not fit.
const longest = 400

// column is a text as a column has it: PostgreSQL takes no NUL and nothing but UTF-8.
func column(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= longest {
		return s
	}
	cut := longest
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

func columns(all ...string) []string {
	found := []string{} // nil would be NULL
	for _, s := range all {
		if s != "" {
			found = append(found, column(s))
		}
	}
	return found
}

// insert is the statement of a row; those that are there stay as they are.
const insert = `INSERT INTO halfdoor_record (origin, seq, line, time, kind, code, subject, client, ticket, correlation, request_id, break_glass, actors, calls, names, hashed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (origin, seq) DO NOTHING`

// row is the values of a record.
func row(origin string, d sinks.Delivery) []any {
	r := d.Record
	names := append(append(append([]string(nil), r.Patients...), r.Subjects...), r.Request.Reference())
	var hashed []string
	for _, p := range r.Request.Parameters {
		hashed = append(hashed, p.Values...)
	}
	return []any{
		column(origin), r.Sequence, d.Line, r.Time.UTC(), string(r.Kind), column(r.Code), column(r.Actor.Subject), column(r.Actor.Client),
		column(r.Ticket.ID), column(r.Correlation), column(r.RequestID), r.BreakGlass != nil,
		columns(r.Actor.Subject, r.Actor.Client), columns(slices.Collect(r.Calls())...), columns(names...), columns(hashed...),
	}
}

// differing finds the first row of a batch that has another line than the log.
const differing = `SELECT r.seq FROM halfdoor_record r JOIN unnest($2::bigint[], $3::bytea[]) AS b (seq, line) ON r.seq = b.seq
WHERE r.origin = $1 AND r.line IS DISTINCT FROM b.line ORDER BY r.seq LIMIT 1`

// statement asks for the lines of an origin that may fit, in their order. No query at all asks for all.
func statement(origin string, queries []accesslog.Query) (text string, args []any) {
	args = []any{column(origin)}
	mark := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var any []string
	for i := range queries {
		q := &queries[i]
		all := []string{"true"}
		if q.Ticket != "" {
			all = append(all, "ticket = "+mark(column(q.Ticket))+" AND ticket <> ''") // as the index has it
		}
		if q.Correlation != "" {
			all = append(all, "calls @> "+mark(columns(q.Correlation)))
		}
		if q.Actor != "" {
			all = append(all, "actors @> "+mark(columns(q.Actor)))
		}
		if q.Value != "" {
			all = append(all, "hashed @> "+mark(columns(q.Value)))
		}
		if q.Patient != "" {
			all = append(all, "names && "+mark(columns(q.Patient, q.Reference())))
		}
		if q.BreakGlass {
			all = append(all, "break_glass")
		}
		// A column has microseconds: the record itself is held to the rest.
		if !q.Since.IsZero() {
			all = append(all, "time >= "+mark(q.Since.UTC().Add(-slack)))
		}
		if !q.Until.IsZero() {
			all = append(all, "time <= "+mark(q.Until.UTC().Add(slack)))
		}
		any = append(any, strings.Join(all, " AND "))
	}
	text = "SELECT seq, line FROM halfdoor_record WHERE origin = $1"
	if len(any) > 0 {
		text += " AND ((" + strings.Join(any, ") OR (") + "))"
	}
	return text + " ORDER BY seq", args
}
