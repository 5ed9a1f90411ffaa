package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func verifyCommand() *cobra.Command {
	var dir, checkpoint string
	var keys, witnesses []string
	var needed int
	var quiet bool
	c := &cobra.Command{
		Use:   "verify --log DIR --key KEY",
		Short: "Prove that the access log is whole and unaltered, or name the first bad place",
		Long: `Read the whole log and prove that its records are those that were written, in
their order, with none missing, up to the checkpoint that the gateway signed
last. KEY is the log's public verifier key, or a file that holds it.

DIR may hold the logs of several replicas, each in a folder and with a key of its
own: give each --key, or a file with a key on each line. Of a log whose signing key
was rotated, either key will do: the old one has introduced the new one. The first bad place of
each log is named, and a key for which there is no log is an error.

A log whose end was cut off together with its checkpoint looks whole. Keep a
copy of the file "checkpoint" elsewhere from time to time, and give it as
--checkpoint: the log must then still begin with all that it signs.

Where witnesses cosign the log, name them with --witness, by their public verifier
keys: a checkpoint beside the log must then be cosigned by each of them, or by
as many as --witnesses-needed says, and the log must begin with all that they have
cosigned. No copy has to be kept for that.`,
		Example: "  halfdoor audit verify --log /var/lib/halfdoor/log --key gw.example/audit+1a2b3c4d+AbCd…\n  halfdoor audit verify --log /srv/logs --key verifier-keys",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" || len(keys) == 0 {
				return hint(usage{errors.New("--log DIR and --key KEY are needed")}, "\"halfdoor check\" prints the verifier key of a configuration")
			}
			var all []string
			for _, k := range keys {
				text, err := publicKey(k)
				if err != nil {
					return err
				}
				all = append(all, strings.Fields(text)...)
			}
			logs, err := accesslog.Replicas(dir)
			if err != nil {
				return err
			}
			if len(logs) > 1 && checkpoint != "" {
				return usage{errors.New("--checkpoint is of one log: give that one's folder as --log")}
			}
			o := accesslog.VerifyOptions{Witnesses: witnesses, WitnessesNeeded: needed}
			if needed < 0 || needed > len(witnesses) || needed == 0 && c.Flags().Changed("witnesses-needed") {
				return usage{errors.New("--witnesses-needed N is from 1 to the number of witnesses named")}
			}
			for _, w := range witnesses {
				if _, err := accesslog.ParseCosigner(w); err != nil {
					return usage{fmt.Errorf("--witness: %w", err)}
				}
			}
			if checkpoint != "" {
				if o.Checkpoint, err = os.ReadFile(checkpoint); err != nil {
					return err
				}
			}
			if !quiet && interactive(os.Stderr) {
				o.Progress = func(n int64) { fmt.Fprintf(c.ErrOrStderr(), "\r%d records", n) }
				defer fmt.Fprintln(c.ErrOrStderr())
			}
			if len(logs) == 1 && len(all) == 1 {
				o.Dir, o.Key = logs[0], all[0]
				_, err := verifyOne(c.Context(), c.OutOrStdout(), o)
				return err
			}
			return verifyAll(c.Context(), c.OutOrStdout(), o, logs, all)
		},
	}
	logFlag(c, &dir)
	c.Flags().StringArrayVar(&keys, "key", nil, "a log's public verifier `KEY`, or a file that holds some; may be repeated")
	c.Flags().StringVar(&checkpoint, "checkpoint", "", "a copy of the log's checkpoint, kept elsewhere: a `FILE`")
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "the public verifier `KEY` of a witness that must have cosigned the log; may be repeated")
	c.Flags().IntVar(&needed, "witnesses-needed", 0, "how many (`N`) of the witnesses must have cosigned; default: all that are named")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return c
}

// verifyAll verifies each log with its own key, and goes on behind one that is bad.
func verifyAll(ctx context.Context, w io.Writer, o accesslog.VerifyOptions, logs, keys []string) error {
	var bad []error
	used := map[string]string{}
	for _, log := range logs {
		name := filepath.Base(log)
		fmt.Fprintf(w, "%s:\n", name)
		var err error
		var v *accesslog.Verified
		found := false
		for _, key := range keys {
			o.Dir, o.Key = log, key
			if v, err = verifyOne(ctx, w, o); !errors.Is(err, accesslog.ErrKey) {
				found = true
				break
			}
		}
		switch {
		case !found:
			err = errors.New("none of the keys given signed its checkpoint")
		case used[o.Key] != "":
			// A copy of another replica's log would hide that its own is missing.
			err = errors.Join(err, fmt.Errorf("it is signed with the key of %s", used[o.Key]))
		default:
			used[o.Key] = name
			for _, key := range keys { // those that it was signed with before
				if v != nil && slices.ContainsFunc(v.Signers, func(s string) bool { return strings.HasPrefix(key, s+"+") }) {
					used[key] = name
				}
			}
		}
		if err != nil {
			fmt.Fprintf(w, "BAD: %s\n", err)
			bad = append(bad, fmt.Errorf("%s: %w", name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for _, key := range keys {
		if used[key] == "" {
			origin, _, _ := strings.Cut(key, "+")
			bad = append(bad, fmt.Errorf("there is no log of %s with its key", origin))
		}
	}
	return errors.Join(bad...)
}

func verifyOne(ctx context.Context, out io.Writer, o accesslog.VerifyOptions) (*accesslog.Verified, error) {
	v, err := accesslog.Verify(ctx, o)
	if errors.Is(err, accesslog.ErrKey) {
		return nil, hint(err, "--key may be the key of another log: \"halfdoor check\" prints that of a configuration")
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "verified: %d records of %s in %d segments\n", v.Records, v.Origin, v.Segments)
	if v.Records > 0 {
		fmt.Fprintf(out, "from %s to %s\n", v.First.Format(time.RFC3339), v.Last.Format(time.RFC3339))
	}
	fmt.Fprintf(out, "signed: the first %d, root %s\n", v.CheckpointSize, v.Root)
	if v.KeptSize > 0 {
		fmt.Fprintf(out, "kept checkpoint: its %d records are all there, unaltered\n", v.KeptSize)
	}
	for _, w := range v.Witnessed {
		fmt.Fprintf(out, "witnessed: the first %d, by %s at %s; %d records came later\n", w.Size, w.Witness, w.Time.Format(time.RFC3339), w.Behind)
	}
	for _, n := range v.Notes {
		fmt.Fprintln(out, "note:", n)
	}
	return v, nil
}
