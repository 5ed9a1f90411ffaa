package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
)

func checkCommand() *cobra.Command {
	var file string
	var online bool
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Check a configuration, its policies, datasets, certificates and keys",
		Long: `Check everything that "halfdoor serve" would read: the configuration, policies,
datasets, certificates and keys. A gateway that is running is not disturbed.
With --online, the issuers and EHRs are asked too.

Exit status 1 where anything is wrong.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(file)
			if err != nil {
				return err
			}
			failed := false
			for _, f := range gateway.Check(c.Context(), cfg, online, time.Now) {
				if f.Err == nil {
					fmt.Fprintf(c.OutOrStdout(), "ok    %-18s %s\n", f.Item, f.Note)
					continue
				}
				failed = true
				for line := range strings.SplitSeq(f.Err.Error(), "\n") {
					fmt.Fprintf(c.OutOrStdout(), "WRONG %-18s %s\n", f.Item, line)
				}
			}
			if failed {
				return exit(1)
			}
			return nil
		},
	}
	configFlag(c, &file)
	c.Flags().BoolVar(&online, "online", false, "also ask each issuer for its keys and each EHR for its metadata")
	return c
}
