package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func proveCommand() *cobra.Command {
	var asked asking
	var dir, key, out string
	c := &cobra.Command{
		Use:   "prove SEQ --log DIR --key KEY",
		Short: "Write a proof that a record is in the log's checkpoint",
		Long: `Write a proof that the record with the number SEQ is among those that the log's
checkpoint signs, for somebody who has nothing but the log's public key. The
proof is a text in the form of C2SP tlog-proof, and holds the record itself,
its RFC 6962 inclusion path and the checkpoint. The log is verified on the way.`,
		Example: "  halfdoor audit prove 1234 --log LOG --key KEY --out record-1234.tlog-proof",
		Args:    oneArg("SEQ"),
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" || key == "" {
				return usage{errors.New("--log DIR and --key KEY are needed")}
			}
			seq, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || seq < 0 {
				return usage{fmt.Errorf("%q is no record's number", args[0])}
			}
			if key, err = publicKey(key); err != nil {
				return err
			}
			if err := asked.record(c, dir, args); err != nil {
				return err
			}
			proof, err := accesslog.Prove(c.Context(), accesslog.VerifyOptions{Dir: dir, Key: key}, seq)
			if err != nil {
				return err
			}
			if out != "" {
				return os.WriteFile(out, proof, 0o600)
			}
			_, err = c.OutOrStdout().Write(proof)
			return err
		},
	}
	logFlag(c, &dir)
	asked.flags(c)
	c.Flags().StringVar(&key, "key", "", "the log's public verifier `KEY`, or a file that holds it")
	c.Flags().StringVar(&out, "out", "", "write to this `FILE`; default standard output")
	return c
}

func checkProofCommand() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use:   "check-proof FILE --key KEY",
		Short: "Check such a proof, offline, with the public key alone",
		Long: `Check a proof of "audit prove" with the log's public key alone, and print the
record that it proves. What does not hold is named: the proof's form, the
record, the path or the checkpoint.`,
		Example: "  halfdoor audit check-proof record-1234.tlog-proof --key KEY",
		Args:    oneArg("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if key == "" {
				return usage{errors.New("--key KEY is needed")}
			}
			key, err := publicKey(key)
			if err != nil {
				return err
			}
			proof, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			p, err := accesslog.CheckProof(proof, key)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "proven: record %d of %s is among the %d that its checkpoint signs\n", p.Record.Sequence, p.Origin, p.Size)
			_, err = c.OutOrStdout().Write(append(p.Encoded, '\n'))
			return err
		},
	}
	c.Flags().StringVar(&key, "key", "", "the log's public verifier `KEY`, or a file that holds it")
	return c
}

// publicKey is a verifier key as it was given, or from the file of this name.
func publicKey(key string) (string, error) {
	text, err := os.ReadFile(key)
	switch {
	case err == nil:
		key = strings.TrimSpace(string(text))
	case !strings.Contains(key, "+"): // a key has its name, a plus, its hash, a plus …
		return "", err
	}
	if strings.HasPrefix(key, "PRIVATE+KEY+") {
		return "", usage{errors.New("--key is the log's private key: verify with the public one, keys/log-verifier-key of \"halfdoor init\"")}
	}
	return key, nil
}
