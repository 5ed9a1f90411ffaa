package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a record",
		Long: fmt.Sprintf(`Print the JSON Schema (draft 2020-12) of a line of the access log, of the version that
this program writes, %d. Each record says in "v" which version it is of; its
identifier is urn:halfdoor:access-record:%d. A program refuses records of a version
that it does not know.`, accesslog.Version, accesslog.Version),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), accesslog.Schema())
			return err
		},
	}
}
