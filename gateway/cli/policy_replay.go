package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/policies"
)

func policyReplayCommand() *cobra.Command {
	var r reader
	var bundle string
	var asJSON, fail bool
	c := &cobra.Command{
		Use:   "replay --log DIR --bundle NEW [--since TIME]",
		Short: "Ask a new policy about the calls of an access log",
		Long: `Ask the policy of the folder NEW about every call of an access log, and tell what
would come to something else: by client, desk and reason, with one record of each to
look at ("audit query"). Nothing is asked of an EHR, and nothing is written.

A record has what the policy was told, but for the values of searches, which no policy
is told, and a few things that stay out of records: whom a launch context names, and a
reason for emergency access that was not granted. Calls about which the new policy
reads one of these are counted as inexact, not guessed at. Of a call with includes or
chains, the types that it asks for are judged, and it is counted as partial. What
leaves of a resource is not compared here: "policy diff" does.

Exit status 1 with --fail-on-change where anything would change.`,
		Example: "  halfdoor policy replay --log /var/lib/halfdoor/log --bundle ./policies --since 2026-11-21",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if bundle == "" {
				return usage{errors.New("--bundle NEW is needed: the policy to be asked")}
			}
			if err := r.open(c); err != nil {
				return err
			}
			if _, err := tree(bundle); err != nil {
				return err
			}
			engine, err := gateway.Policies(bundle)
			if err != nil {
				return err
			}
			err = r.done(r.rehearse(c, engine, func(out *gateway.Replay) error {
				var err error
				if asJSON {
					e := json.NewEncoder(c.OutOrStdout())
					e.SetIndent("", "  ")
					err = e.Encode(out)
				} else {
					err = printReplay(c.OutOrStdout(), out)
				}
				if err == nil && fail && out.Changed > 0 {
					err = exit(1)
				}
				return err
			}))
			return err
		},
	}
	r.flags(c)
	c.Flags().StringVar(&bundle, "bundle", "", "the folder of the policy to be asked: `NEW`")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&fail, "fail-on-change", false, "exit status 1 where anything would change")
	_ = c.MarkFlagDirname("bundle") // the flag is there
	return c
}

// rehearse hands the records to the policy. On a terminal it says how far it is.
func (r *reader) rehearse(c *cobra.Command, engine *policies.Engine, tell func(*gateway.Replay) error) error {
	records := func(yield func(accesslog.Entry, error) bool) {
		stop := errors.New("enough")
		err := r.each(func(e accesslog.Entry) error {
			if !yield(e, nil) {
				return stop
			}
			return nil
		})
		if err != nil && err != stop {
			yield(accesslog.Entry{}, err)
		}
	}
	shown := interactive(os.Stderr)
	out, err := gateway.Rehearse(c.Context(), engine, records, func(n int) {
		if shown {
			fmt.Fprintf(c.ErrOrStderr(), "\r%d records", n)
		} else if n%100_000 == 0 {
			fmt.Fprintf(c.ErrOrStderr(), "%d records\n", n)
		}
	})
	if shown {
		fmt.Fprint(c.ErrOrStderr(), "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	return tell(out)
}

func printReplay(out io.Writer, r *gateway.Replay) error {
	var w strings.Builder
	fmt.Fprintf(&w, "%d records, %d calls that came to the policy, %d refused before it\n", r.Records, r.Calls, r.Unjudged)
	fmt.Fprintf(&w, "by revision %s: %d calls would come to the same, %d to something else\n", safe(r.Revision), r.Same, r.Changed)
	for _, field := range slices.Sorted(maps.Keys(r.Inexact)) {
		fmt.Fprintf(&w, "inexact: the policy reads %s, which %d of the calls had and their records do not\n", field, r.Inexact[field])
	}
	if r.Partial > 0 {
		fmt.Fprintf(&w, "partial: of %d calls with includes or chains, only the types that they ask for were judged\n", r.Partial)
	}
	if _, err := io.WriteString(out, w.String()); err != nil || len(r.Rows) == 0 {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nCALLS\tCHANGE\tCLIENT\tDESK\tBEFORE\tAFTER\tEXAMPLE\tREASON")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Calls, row.Change, safe(row.Client), safe(row.Desk), safe(row.Before), safe(row.After), row.Example, safe(row.Reason))
	}
	return t.Flush()
}
