package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/reviews"
)

// An asking is a question to the log as the log records it, before it is answered.
type asking struct {
	config, reason, under string
	unrecorded            bool
	about                 []string // patients: keyed hashes or tokens
}

func (a *asking) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.config, "config", "", "the gateway's configuration `FILE`: for a patient's real id, and to record the question where no gateway runs")
	f.StringVar(&a.reason, "reason", "", "`WHY` the log is asked, for the record of the question")
	f.StringVar(&a.under, "case", "", "the ticket `ID` under which the log is asked")
	f.BoolVar(&a.unrecorded, "unrecorded", false, "answer also where the question cannot be recorded: of a copy of the log")
}

// unsaid are flags of which a record says nothing: where and how the answer is given, and a patient's real id.
var unsaid = []string{"log", "postgres", "postgres-url-file", "config", "key", "out", "json", "format", "bundle", "quiet", "reason", "case", "unrecorded", "patient"}

// review is the question in words.
func (a *asking) review(c *cobra.Command, args []string) reviews.Review {
	var words []string
	if len(a.about) == 0 { // else the argument is a patient, who is named by what records have
		words = append(words, args...)
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains(unsaid, f.Name) {
			words = append(words, "--"+f.Name+" "+f.Value.String())
		}
	})
	r := reviews.Review{Command: c.Name(), Asked: safe(strings.Join(words, " ")), Patients: a.about, Reason: a.reason, Case: a.under}
	if os.Getuid() == 0 {
		r.Sudo = safe(os.Getenv("SUDO_USER"))
	}
	return r
}

// record has the question recorded: by the gateway that writes the log, or in its place where none runs. It
// does so before anything is read, so that an attempt that fails is recorded as well.
func (a *asking) record(c *cobra.Command, dir string, args []string) error {
	for _, name := range []string{"config", "reason", "case"} {
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return usage{fmt.Errorf("--%s is empty", name)}
		}
	}
	err := a.announce(c, dir, a.review(c, args))
	if err == nil {
		return nil
	}
	// A gateway that runs and was not told, for want of a permission or by a question that it does not take, is no excuse.
	if a.unrecorded && (errors.Is(err, reviews.ErrNobody) || errors.Is(err, reviews.ErrUnable)) {
		fmt.Fprintln(c.ErrOrStderr(), "halfdoor: warning: this question is not recorded:", err)
		return nil
	}
	return hint(fmt.Errorf("the question cannot be recorded, so it is not answered: %w", err),
		"while no gateway runs, --config lets this command record it; --unrecorded is for a copy of the log")
}

// announce finds who can record the question. A configuration names the log itself, also where a copy is asked.
func (a *asking) announce(c *cobra.Command, dir string, r reviews.Review) error {
	if a.config != "" {
		cfg, err := load(a.config)
		if err != nil {
			return err
		}
		err = reviews.Announce(c.Context(), cfg.AccessLog.Dir, r)
		if !errors.Is(err, reviews.ErrNobody) {
			return err
		}
		rec, err := r.Record(reviews.Myself())
		if err != nil {
			return err
		}
		log, err := accesslog.Open(accesslog.Options{Dir: cfg.AccessLog.Dir, Origin: cfg.AccessLog.Origin, SigningKey: cfg.AccessLog.SigningKey.Bytes(),
			PatientKey: cfg.AccessLog.PatientKey.Bytes(), SegmentBytes: int64(cfg.AccessLog.SegmentSize)})
		if errors.Is(err, accesslog.ErrLocked) {
			return err // by a gateway that takes no questions
		}
		if err != nil {
			return errors.Join(reviews.ErrUnable, err)
		}
		_, err = log.Append(rec)
		return errors.Join(err, log.Close())
	}
	if dir == "" { // a database
		return reviews.ErrNobody
	}
	err := reviews.Announce(c.Context(), dir, r)
	if !errors.Is(err, reviews.ErrNobody) {
		return err
	}
	logs, _ := accesslog.Replicas(dir) // what is wrong with the folder is said when it is read
	for _, log := range logs {
		if other := reviews.Announce(c.Context(), log, r); other == nil {
			return nil
		} else if !errors.Is(other, reviews.ErrNobody) {
			err = other
		}
	}
	return err
}
