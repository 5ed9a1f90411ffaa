package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
)

func policyImportCommand() *cobra.Command {
	var types []string
	var title string
	c := &cobra.Command{
		Use:   "import-anonymizer FILE",
		Short: "Make a dataset of the rules of Microsoft's FHIR anonymizer",
		Long: `Read a rule file of Microsoft's Tools for Health Data Anonymization (fhirPathRules) and
write a dataset. What no rule names, and what a rule cannot say in a dataset, does not
leave; comments at its top tell what was not taken over, and why. keep, dateShift,
cryptoHash, encrypt and substitute become keep, shift, hash, token and fixed; ids become
tokens and references lose all but the token. Rules about data types are for the types
that other rules name, and for those of --type.

Read what comes out: it is where a desk's dataset starts, not a minimum one. A sentence
why each element is needed is for you to write.`,
		Example: "  halfdoor policy import-anonymizer configuration.json --type Patient --type Encounter > halfdoor/datasets/imported/data.yaml",
		Args:    oneArg("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			doc, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			text, err := gateway.ImportAnonymizer(doc, types, title)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if !bytes.Contains(text, []byte("\n    ")) {
				return errors.New("no rule could be taken over: nothing would leave")
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
	c.Flags().StringSliceVar(&types, "type", nil, "a resource `TYPE` of the dataset; may be repeated")
	c.Flags().StringVar(&title, "title", "Imported", "the dataset's `TITLE`")
	return c
}
