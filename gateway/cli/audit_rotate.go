package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func rotateKeyCommand() *cobra.Command {
	var config, out string
	c := &cobra.Command{
		Use:   "rotate-key --config FILE --out FILE",
		Short: "Make the next signing key of a log",
		Long: `Write a new signing key for the log of a configuration, readable by its owner alone,
and print its public verifier key. Nothing changes until the configuration names
both: access_log.signing_key the new key, access_log.retiring_key the old one. The
gateway's next start has the old key introduce the new one, in a record of kind
key-rotation and in a note in the log's folder that both have signed; after that the
old key is not needed. Checkpoints of before stay verifiable with the old verifier
key, which also leads "audit verify" to the new one. Give reviewers the new one.`,
		Example: "  halfdoor audit rotate-key --config halfdoor.yaml --out keys/log.key.2027",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if config == "" || out == "" {
				return usage{errors.New("--config FILE and --out FILE are needed")}
			}
			cfg, err := load(config)
			if err != nil {
				return err
			}
			signer, verifier, err := accesslog.GenerateKey(cfg.AccessLog.Origin)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(f, signer)
			if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), verifier)
			return err
		},
	}
	c.Flags().StringVar(&config, "config", "", "the gateway's configuration `FILE`, which names the log's origin")
	c.Flags().StringVar(&out, "out", "", "a new `FILE` for the signing key")
	return c
}
