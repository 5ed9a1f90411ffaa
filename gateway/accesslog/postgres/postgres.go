// Package postgres keeps the access logs of many replicas in one PostgreSQL table, by origin and
// sequence, and answers [accesslog.Query] from it.
//
// The logs on the disks stay the record. The table is a projection: it has each line as it is in the
// log, so that its hash can be made again, and beside it columns by which questions find it. What is
// told comes from the line alone, and is held to the question once more; the columns only lead to it.
// Nothing in the database shows that a line was changed or left out there by somebody who may write it.
//
// A row is never changed. Where the database has another line for an origin and a sequence than the log,
// the history differs, and the sink stops there: [sinks.ErrDiffers].
package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrURL is wrapped by what is wrong with a URL. It does not repeat the URL, which may hold a password.
var ErrURL = errors.New("the URL of the database")

// Configure reads postgres://user@host:port/database?sslmode=…. What does not prove the server's name by
// TLS is refused (sslmode=verify-full, which is the default), but for "disable" on loopback. A password and
// a TLS configuration that are given take the place of the URL's and the environment's.
func Configure(text, password string, secure *tls.Config) (*pgx.ConnConfig, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" || len(u.Path) < 2 {
		return nil, fmt.Errorf("%w: want postgres://USER@HOST:PORT/DATABASE", ErrURL)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	values := u.Query()
	// Others choose a second host or a file of settings, behind the checks here.
	for name := range values {
		if !slices.Contains([]string{"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "search_path"}, name) {
			return nil, fmt.Errorf("%w: %q is not among sslmode, sslrootcert, sslcert, sslkey, connect_timeout and search_path", ErrURL, name)
		}
	}
	switch mode := values.Get("sslmode"); {
	case mode == "":
		values.Set("sslmode", "verify-full")
	case mode == "verify-full", mode == "disable" && local:
	default:
		return nil, fmt.Errorf("%w: want sslmode=verify-full, or disable on loopback: without it, anyone between may be the database", ErrURL)
	}
	u.RawQuery = values.Encode()
	c, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("%w: a host, port or file in it is wrong", ErrURL) // pgx repeats parts of it
	}
	if len(c.Fallbacks) > 0 {
		return nil, fmt.Errorf("%w: want one host", ErrURL)
	}
	if password != "" {
		c.Password = password
	}
	if c.TLSConfig != nil {
		c.TLSConfig.MinVersion = tls.VersionTLS12
		if secure != nil {
			if secure.RootCAs != nil {
				c.TLSConfig.RootCAs = secure.RootCAs
			}
			if len(secure.Certificates) > 0 {
				c.TLSConfig.Certificates = secure.Certificates
			}
		}
	}
	c.RuntimeParams["application_name"] = "halfdoor"
	return c, nil
}

// HasPassword says whether a URL holds a password, which a command's arguments must not.
func HasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return true // of what cannot be read, it may be a part
	}
	_, has := u.User.Password()
	return has
}

// told is an error as it may be told: what a server says in words may repeat a record.
func told(err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return fmt.Errorf("the database answers SQLSTATE %.5s", answer.Code)
	}
	return err
}

const version = 1

// lockKey keeps two replicas from making the tables at once.
const lockKey = 0x68616c66646f6f72

// tables: actors has subject and client; calls has correlation and request ids, also those of a batch by
// its entries; names has the patients' hashes and the references of what was disclosed or asked for; hashed
// has the parameters' values. Each corresponds to what [accesslog.Query.Fits] looks at.
var tables = []string{
	`CREATE TABLE IF NOT EXISTS halfdoor_schema (version integer PRIMARY KEY)`,
	`CREATE TABLE IF NOT EXISTS halfdoor_record (
		origin text NOT NULL, seq bigint NOT NULL, line bytea NOT NULL,
		time timestamptz NOT NULL, kind text NOT NULL, code text NOT NULL, subject text NOT NULL, client text NOT NULL,
		ticket text NOT NULL, correlation text NOT NULL, request_id text NOT NULL, break_glass boolean NOT NULL,
		actors text[] NOT NULL, calls text[] NOT NULL, names text[] NOT NULL, hashed text[] NOT NULL,
		PRIMARY KEY (origin, seq))`,
	`CREATE INDEX IF NOT EXISTS halfdoor_record_time ON halfdoor_record (time)`,
	`CREATE INDEX IF NOT EXISTS halfdoor_record_ticket ON halfdoor_record (ticket) WHERE ticket <> ''`,
	`CREATE INDEX IF NOT EXISTS halfdoor_record_break_glass ON halfdoor_record (origin, seq) WHERE break_glass`,
	`CREATE INDEX IF NOT EXISTS halfdoor_record_actors ON halfdoor_record USING gin (actors)`,
	`CREATE INDEX IF NOT EXISTS halfdoor_record_calls ON halfdoor_record USING gin (calls)`,
	`CREATE INDEX IF NOT EXISTS halfdoor_record_names ON halfdoor_record USING gin (names)`,
	`CREATE INDEX IF NOT EXISTS halfdoor_record_hashed ON halfdoor_record USING gin (hashed)`,
}

// is returns the version of the tables; 0 where there are none.
func is(ctx context.Context, c *pgx.Conn) (n int, err error) {
	var there bool
	if err = c.QueryRow(ctx, `SELECT to_regclass('halfdoor_schema') IS NOT NULL`).Scan(&there); err == nil && there {
		err = c.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM halfdoor_schema`).Scan(&n)
	}
	return n, err
}

func known(n int) error {
	if n != version {
		return fmt.Errorf("the database's tables are of version %d, this program's of version %d", n, version)
	}
	return nil
}

// ready makes the tables where there are none. Where they are, it needs no right to make any.
func ready(ctx context.Context, c *pgx.Conn) error {
	n, err := is(ctx, c)
	if err != nil {
		return err
	}
	if n != 0 {
		return known(n)
	}
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(lockKey)); err != nil {
			return err
		}
		for _, statement := range tables {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		// Another may have made them meanwhile. This is asked of the table: the server may remember that there was none.
		if _, err := tx.Exec(ctx, `INSERT INTO halfdoor_schema (version) SELECT $1::integer WHERE NOT EXISTS (SELECT FROM halfdoor_schema)`, version); err != nil {
			return err
		}
		n, err := is(ctx, c)
		if err != nil {
			return err
		}
		return known(n)
	})
}
