package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/postgres"
)

// A database is where a question goes instead of the logs' folder: that of the sinks of kind postgres.
type database struct{ url, file string }

const databaseHelp = `
With --postgres or --postgres-url-file in place of --log, the question goes to the
database that the gateways' sinks of kind postgres fill, over all of their logs.
The database is a projection and not the record: it lacks what a sink has not
delivered yet, and proves nothing. "halfdoor audit verify" is of the logs. A
password stands in the file or in PGPASSWORD, never among the arguments. The
question is recorded as --config says; without it, --unrecorded is needed.`

// database adds the flags that make the question one to the database.
func (r *reader) database(c *cobra.Command) {
	c.Long += "\n" + databaseHelp
	c.Flags().StringVar(&r.db.url, "postgres", "", "in place of --log: the database's `URL`, postgres://user@host:5432/database")
	c.Flags().StringVar(&r.db.file, "postgres-url-file", "", "in place of --log: a `FILE` that holds the database's URL")
}

// asked says whether the question is one to the database.
func (d *database) asked(c *cobra.Command) (bool, error) {
	var given []string
	for _, name := range []string{"postgres", "postgres-url-file", "log", "no-index"} {
		f := c.Flags().Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		if f.Value.String() == "" {
			return false, usage{fmt.Errorf("--%s is empty", name)}
		}
		given = append(given, "--"+name)
	}
	if d.url == "" && d.file == "" {
		return false, nil
	}
	if len(given) > 1 {
		return false, usage{fmt.Errorf("%s exclude each other", strings.Join(given, " and "))}
	}
	if d.url != "" && postgres.HasPassword(d.url) {
		return false, hint(usage{errors.New("--postgres holds a password, which everyone on this machine can see")}, "use --postgres-url-file, or PGPASSWORD")
	}
	return true, nil
}

// databaseSources are what answers questions to the database: a source for each origin.
func (r *reader) databaseSources(c *cobra.Command) error {
	text := r.db.url
	if r.db.file != "" {
		b, err := os.ReadFile(r.db.file)
		if err != nil {
			return err
		}
		text = strings.TrimSpace(string(b))
	}
	config, err := postgres.Configure(text, "", nil)
	if err != nil {
		return usage{err}
	}
	db := postgres.NewReader(c.Context(), config)
	origins, err := db.Origins()
	if err != nil {
		return err
	}
	r.limit(c, "the database is a projection of the logs, not the record")
	for _, o := range origins {
		name := safe(o.Name)
		r.limit(c, "%s: records %d to %d, the newest of %s; nothing is said of others", name, o.First, o.Last, o.Newest.UTC().Format(time.RFC3339))
		if n := o.Missing(); n != 0 {
			r.gaps = append(r.gaps, fmt.Errorf("%s: the database lacks %d records between %d and %d", name, n, o.First, o.Last))
		}
		r.names = append(r.names, name)
		r.origins = append(r.origins, o.Name)
		r.answer = append(r.answer, db.Source(o.Name))
	}
	return nil
}

// folderSources are what answers questions to the logs in the folder.
func (r *reader) folderSources(c *cobra.Command) (err error) {
	if r.logs, err = accesslog.Replicas(r.dir); err == nil {
		r.names = accesslog.Names(r.logs)
		r.sources(c)
	}
	return err
}
