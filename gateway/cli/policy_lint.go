package cli

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/policies"
)

func policyLintCommand() *cobra.Command {
	var b bundleArg
	var strict, asJSON, quiet bool
	c := &cobra.Command{
		Use:   "lint [DIR]",
		Short: "Say what the author of a policy should look at",
		Long: `Look for mistakes that tests do not find. In rules: what does not compile, rules that
the decision never asks for, branches that no call reaches, fields and values that
the input never has, lists that are walked on every call. In datasets: elements that
FHIR R4 does not have, identifiers and free text in the clear, methods that cannot
apply, search parameters that find out what is hidden, elements of which nothing says
why they are needed. In settings: names that lead nowhere.

An error keeps the bundle from being used; a warning lets more leave, or less work,
than was meant; a hint is for whoever has the time.

Exit status 1 where there is an error, with --strict also where there is a warning.`,
		Example: "  halfdoor policy lint ./policies\n  halfdoor policy lint --strict --json",
		Args:    b.one,
		RunE: func(c *cobra.Command, args []string) error {
			folder, err := b.folder(args)
			if err != nil {
				return err
			}
			bundle, err := tree(folder)
			if err != nil {
				return err
			}
			found := gateway.Lint(bundle)
			count := map[policies.Severity]int{}
			for _, f := range found {
				count[f.Severity]++
			}
			if quiet {
				kept := found[:0]
				for _, f := range found {
					if f.Severity != policies.SeverityHint {
						kept = append(kept, f)
					}
				}
				found = kept
			}
			if asJSON {
				if found == nil {
					found = []policies.Finding{}
				}
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(found)
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s%d errors, %d warnings, %d hints\n", findings(folder, found),
					count[policies.SeverityError], count[policies.SeverityWarning], count[policies.SeverityHint])
			}
			if err != nil {
				return err
			}
			if count[policies.SeverityError] > 0 || strict && count[policies.SeverityWarning] > 0 {
				return exit(1)
			}
			return nil
		},
	}
	b.flag(c)
	c.Flags().BoolVar(&strict, "strict", false, "a warning fails as well")
	c.Flags().BoolVar(&quiet, "quiet", false, "leave out hints")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// findings are told a paragraph each, with the place first, as editors read it.
func findings(folder string, found []policies.Finding) string {
	var w strings.Builder
	for _, f := range found {
		at := "the bundle"
		if f.File != "" {
			at = path.Join(folder, f.File)
		}
		if f.Line > 0 {
			at += fmt.Sprintf(":%d", f.Line)
		}
		fmt.Fprintf(&w, "%s: %s: %s (%s)\n", at, f.Severity, safe(f.Text), f.Rule)
		if f.Fix != "" {
			fmt.Fprintf(&w, "    %s\n", safe(f.Fix))
		}
	}
	return w.String()
}
