package cli

import (
	"errors"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

func demoCommand() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on this machine: an EHR with made-up patients, a sign-in server, the gateway",
		Long: `Start a sandbox EHR with made-up patients, a small authorization server, and the
gateway in front, all on loopback with generated certificates and keys. It prints
the FHIR base URL, curl lines to try for each desk, and beside what the EHR said
what left of it. Ctrl-C ends it; what it made is removed, unless --dir keeps it.`,
		Example: "  halfdoor demo\n  halfdoor demo --listen 127.0.0.1:0 --env demo.env\n  halfdoor demo --ehr http://localhost:8103/fhir/R4",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out, o.Log, o.Version = c.OutOrStdout(), c.ErrOrStderr(), version()
			err := demo.Run(c.Context(), o)
			if errors.Is(err, syscall.EADDRINUSE) {
				return hint(err, "--listen 127.0.0.1:0 takes a free port")
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8443", "the gateway's `ADDR`; port 0 takes a free one")
	f.StringVar(&o.EHR, "ehr", "", "a real FHIR server's base `URL`, instead of the sandbox")
	f.StringVar(&o.Env, "env", "", "write the addresses and tokens to this `FILE`, as KEY=value lines, once all is ready")
	f.StringVar(&o.Dir, "dir", "", "keep configuration, keys and access log in this `DIR`; default a temporary one")
	_ = c.MarkFlagFilename("env") // the flags are there
	_ = c.MarkFlagDirname("dir")
	return c
}
