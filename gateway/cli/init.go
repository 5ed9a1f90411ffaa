package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
)

func initCommand() *cobra.Command {
	var dir string
	var s gateway.Start
	c := &cobra.Command{
		Use:   "init --dir DIR --ehr URL --issuer URL",
		Short: "Make a first configuration, with keys and a development certificate",
		Long: `Make a folder with a configuration to start from, token keys, access log keys, an
administrators' token, and a certificate of a development CA. Nothing that is
there is overwritten. Replace the certificate before anyone else uses it.`,
		Example: "  halfdoor init --dir /etc/halfdoor --ehr https://ehr.example/fhir --issuer https://login.example",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" || s.EHR == "" || s.Issuer == "" {
				return usage{errors.New("--dir DIR, --ehr URL and --issuer URL are needed")}
			}
			made, err := gateway.Initialise(dir, s, time.Now)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), `configuration:      %s
development CA:     %s
log verifier key:   %s
next:               halfdoor check --config %s --online
`, made.Config, made.CA, made.Verifier, made.Config)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", "", "the folder to make: `DIR`")
	f.StringVar(&s.EHR, "ehr", "", "the EHR's FHIR base `URL`")
	f.StringVar(&s.Issuer, "issuer", "", "the authorization server's `URL`")
	f.StringVar(&s.PublicURL, "public-url", "https://localhost:8443", "the origin by which clients reach the gateway: `URL`")
	f.StringVar(&s.Listen, "listen", "127.0.0.1:8443", "the FHIR listener's `ADDR`")
	f.StringVar(&s.AdminListen, "admin-listen", "127.0.0.1:9443", "the admin listener's `ADDR`")
	f.StringVar(&s.Audience, "audience", "", "what tokens must name as their audience: `AUD`; default the FHIR base URL")
	_ = c.MarkFlagDirname("dir") // the flag is there
	return c
}
