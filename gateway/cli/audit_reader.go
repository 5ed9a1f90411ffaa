package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/index"
)

// A reader is what the audit's questions have in common: where the logs are, of what time, and what of
// them could not be read.
type reader struct {
	asking
	dir, since, until string
	from, to          time.Time
	db                database
	logs              []string // folders, where it is none to the database
	names             []string // of the logs, as an answer has them
	origins           []string // of the logs in a database
	limits            []string // what the answer says nothing of, in words
	gaps              []error  // what the database lacks
	plain             bool     // read the logs themselves, also where they have an index
	answer            []accesslog.Source
	indexes           []*index.Index
	damage            []error
}

// shown bounds the damages that are named; the others are counted.
const shown = 20

func (r *reader) flags(c *cobra.Command) {
	logFlag(c, &r.dir)
	r.asking.flags(c)
	c.Flags().StringVar(&r.since, "since", "", "records not before this `TIME` (2026-01-31, or RFC 3339)")
	c.Flags().StringVar(&r.until, "until", "", "records before this `TIME`")
	c.Flags().BoolVar(&r.plain, "no-index", false, "read the log itself, also where it has an index")
	r.database(c)
}

// open records the question and finds the logs. What is empty, as an unset variable makes it, is refused: it would be answered
// with everything.
func (r *reader) open(c *cobra.Command, args ...string) error {
	stored, err := r.db.asked(c)
	if err != nil {
		return err
	}
	if r.dir == "" && !stored {
		return hint(usage{errors.New("--log DIR is needed")}, "it is access_log.dir of the configuration, or a folder with the logs of several replicas")
	}
	for _, a := range args {
		if a == "" {
			return usage{errors.New("the argument is empty")}
		}
	}
	for _, name := range []string{"since", "until"} {
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return usage{fmt.Errorf("--%s is empty", name)}
		}
	}
	if r.from, err = moment(r.since); err == nil {
		r.to, err = moment(r.until)
	}
	if err != nil {
		return usage{err}
	}
	if err := r.record(c, r.dir, args); err != nil {
		return err
	}
	if stored {
		return r.databaseSources(c)
	}
	return r.folderSources(c)
}

// each visits the records that fit one of the queries. What cannot be read is kept for done, and the
// rest is read nevertheless.
func (r *reader) each(visit func(accesslog.Entry) error, queries ...accesslog.Query) error {
	if len(queries) == 0 {
		queries = []accesslog.Query{{}}
	}
	for i := range queries {
		queries[i].Since, queries[i].Until = r.from, r.to
	}
	for e, err := range accesslog.Merge(r.names, r.answer, queries...) {
		if err != nil {
			if r.damage = append(r.damage, err); len(r.damage) > shown+1 {
				r.damage[shown] = err // the last one stays
				r.damage = r.damage[:shown+1]
			}
			continue
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// limit tells what the answer says nothing of.
func (r *reader) limit(c *cobra.Command, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.limits = append(r.limits, text)
	fmt.Fprintln(c.ErrOrStderr(), "halfdoor: note:", text)
}

// incomplete says whether the answer, as far as it has come, is not the whole one.
func (r *reader) incomplete() bool { return len(r.damage)+len(r.gaps) > 0 }

// originOf is the name of a log in its own records' events: of that with this place among the names.
func (r *reader) originOf(i int) (string, error) {
	if r.logs == nil {
		return r.origins[i], nil
	}
	origin, err := accesslog.Origin(r.logs[i])
	if err != nil {
		return "", hint(err, "an event is named after its log, whose name is in the checkpoint")
	}
	return origin, nil
}

// done ends an answer: with an error where it is not the whole one.
func (r *reader) done(err error) error {
	for _, x := range r.indexes {
		x.Close() // it was only read
	}
	r.indexes = nil
	r.damage = append(r.damage, r.gaps...)
	if err != nil || len(r.damage) == 0 {
		return err
	}
	all := append([]error{errors.New("the answer is incomplete: part of the log could not be read")}, r.damage...)
	return hint(errors.Join(all...), "\"halfdoor audit verify\" names the first place that was changed")
}

// safe makes a client's text safe for a terminal and a table: what does not print is escaped, so that it can
// neither move the cursor nor look like another record.
func safe(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || r == unicode.ReplacementChar
}

// oneArg takes exactly one argument.
func oneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return hint(usage{fmt.Errorf("%s takes one %s, %d given", c.CommandPath(), name, len(args))}, "see \""+c.CommandPath()+" --help\"")
		}
		return nil
	}
}
