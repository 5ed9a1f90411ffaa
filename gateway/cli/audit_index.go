package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/index"
)

// followPeriod is how often an index is brought up to date that follows its log.
const followPeriod = 2 * time.Second

func indexCommand() *cobra.Command {
	var follow, quiet bool
	c := &cobra.Command{
		Use:   "index DIR",
		Short: "Make the logs quick to search, or bring their index up to date",
		Long: `Write a file beside each log in DIR (index.sqlite) by which the audit's questions
find their records without reading everything, or add to it what is new. The log
may be in use; with --follow the index is kept up to date until interrupted.

The questions use an index where there is one, and read what is behind its end from
the log itself; they never make or change one. The log is what counts: a record is
read from there and held to the hash that the record behind it has. An index that
was damaged, or is of another log, is not used, and is made anew by this command.
Deleting it loses nothing. It cannot show that somebody who can write the folder
left records out of it: --no-index has a question read the log alone.`,
		Example: "  halfdoor audit index /var/lib/halfdoor/log\n  halfdoor audit index /srv/logs --follow",
		Args:    oneArg("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			logs, err := accesslog.Replicas(args[0])
			if err != nil {
				return err
			}
			for first := true; ; first = false {
				for _, dir := range logs {
					if err := indexOne(c, dir, first, quiet); err != nil {
						return err
					}
				}
				if !follow {
					return nil
				}
				select {
				case <-c.Context().Done():
					return nil
				case <-time.After(followPeriod):
				}
			}
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, "go on, and add what comes, until interrupted")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return c
}

func indexOne(c *cobra.Command, dir string, tell, quiet bool) error {
	var progress func(int64)
	if !quiet && interactive(os.Stderr) {
		progress = func(n int64) { fmt.Fprintf(c.ErrOrStderr(), "\r%d records", n) }
	}
	r, err := index.Update(c.Context(), dir, progress)
	if progress != nil && r.Added > 0 {
		fmt.Fprintln(c.ErrOrStderr())
	}
	if errors.Is(err, context.Canceled) {
		return nil // the next update goes on, or begins anew
	}
	if err != nil {
		return hint(fmt.Errorf("%s: %w", dir, err), "\"halfdoor audit verify\" names the first place that was changed")
	}
	if r.Anew != nil && !errors.Is(r.Anew, index.ErrNone) {
		fmt.Fprintf(c.OutOrStdout(), "%s: made anew: %s\n", dir, r.Anew)
	}
	if tell || r.Added > 0 {
		fmt.Fprintf(c.OutOrStdout(), "%s: %d records added, %d in all\n", dir, r.Added, r.Total)
	}
	return nil
}

// sources are what answers questions about the logs: their indexes where these can be used.
func (r *reader) sources(c *cobra.Command) {
	for _, dir := range r.logs {
		if first, err := accesslog.First(dir); err == nil && first > 0 {
			r.limit(c, "%s: the first %d records were removed by retention, and nothing is said of them", dir, first)
		}
		source := accesslog.Source(nil)
		if !r.plain {
			x, err := index.Open(dir)
			switch {
			case err == nil:
				source = x.Read
				r.indexes = append(r.indexes, x)
			case !errors.Is(err, index.ErrNone):
				fmt.Fprintf(c.ErrOrStderr(), "halfdoor: note: %s: %s; the log itself is read; \"halfdoor audit index\" makes it anew\n", dir, err)
			}
		}
		if source == nil {
			source = func(q ...accesslog.Query) iter.Seq2[*accesslog.Record, error] { return accesslog.Read(dir, q...) }
		}
		r.answer = append(r.answer, source)
	}
}
