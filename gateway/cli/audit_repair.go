package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func repairCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "repair DIR --config FILE",
		Short: "Make a log open again that the gateway refuses as damaged",
		Long: `Cut the log in DIR back to what is proven, so that the gateway opens it again. Kept
are the records from the first on, up to the first bad place, as far as they are
chained and agree with every signature of the log's key. Every file that is changed
or removed is kept as it was in a folder below DIR (damaged-…), which the other
commands can still ask. The next record says what was wrong, which records were
signed and are gone, and where the rest is.

The gateway must not be running. A log that opens is left alone, and so is one of
which nothing is signed with the configuration's key. A reviewer's kept checkpoint
will not fit a log that was cut: the record of the repair says why. Have the
reviewers look at the log first ("halfdoor audit verify").`,
		Example: "  halfdoor audit repair /var/lib/halfdoor/log --config halfdoor.yaml",
		Args:    oneArg("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if config == "" {
				return hint(usage{errors.New("--config FILE is needed")}, "it has the key that signs the log")
			}
			cfg, err := load(config)
			if err != nil {
				return err
			}
			l := cfg.AccessLog
			r, err := accesslog.Repair(c.Context(), accesslog.Options{
				Dir: args[0], Origin: l.Origin, SigningKey: l.SigningKey.Bytes(), RetiringKey: l.RetiringKey.Bytes(),
				PatientKey: l.PatientKey.Bytes(), SegmentBytes: int64(l.SegmentSize),
			})
			if errors.Is(err, accesslog.ErrSound) {
				fmt.Fprintln(c.OutOrStdout(), "the log opens: there is nothing to repair")
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "was: %s\nkept: %d records, and one that tells of this\n", r.Damage, r.Kept)
			if r.Kept < r.Signed {
				fmt.Fprintf(c.OutOrStdout(), "lost: records %d to %d, which were signed\n", r.Kept, r.Signed-1)
			}
			fmt.Fprintf(c.OutOrStdout(), "aside: %s has every file that was changed, as it was\n", r.Aside)
			return nil
		},
	}
	c.Flags().StringVar(&config, "config", "", "the gateway's configuration `FILE`, for the log's keys")
	return c
}
