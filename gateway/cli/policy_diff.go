package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/policies"
)

func policyDiffCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say who gains and who loses what by another policy",
		Long: `Compare two bundles' folders by what they do. Datasets, settings and sentences are
compared as they are; what the rules decide, by asking both about every role,
interaction, type, ticket category, purpose, hour and reason for emergency access
that either names. A role is asked for by itself. What the rules read besides, such
as a network or a tenant, is the same in all of these calls: where anything changes,
it is told as "unasked", since by another value more may change than is told.

--format table or markdown is for a change board, notes are sentences for the people
at the desks, json is for a program.`,
		Example: "  halfdoor policy diff ./live ./next\n  halfdoor policy diff ./live ./next --format notes",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return hint(usage{fmt.Errorf("%s takes OLD and NEW", c.CommandPath())}, "each is a bundle's folder")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			print, ok := map[string]func(io.Writer, []policies.Change) error{
				"table": diffTable, "markdown": diffMarkdown, "notes": diffNotes, "json": diffJSON,
			}[format]
			if !ok {
				return usage{fmt.Errorf("--format %q: use table, markdown, notes or json", format)}
			}
			before, err := tree(args[0])
			if err != nil {
				return err
			}
			after, err := tree(args[1])
			if err != nil {
				return err
			}
			changes, err := gateway.Compare(c.Context(), before, after)
			if err != nil {
				return err
			}
			return print(c.OutOrStdout(), changes)
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table, markdown, notes or json")
	return c
}

var diffHead = []string{"WHO", "EFFECT", "KIND", "WHAT", "BEFORE", "AFTER"}

func cells(c policies.Change) []string {
	all := []string{c.Who, c.Effect, c.Kind, c.What, c.Before, c.After}
	for i := range all {
		all[i] = safe(all[i])
	}
	return all
}

const nothingChanges = "nothing changes\n"

func diffTable(out io.Writer, changes []policies.Change) error {
	if len(changes) == 0 {
		_, err := io.WriteString(out, nothingChanges)
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(diffHead, "\t"))
	for _, c := range changes {
		fmt.Fprintln(t, strings.Join(cells(c), "\t"))
	}
	return t.Flush()
}

func diffMarkdown(out io.Writer, changes []policies.Change) error {
	var w strings.Builder
	fmt.Fprintf(&w, "| %s |\n|%s\n", strings.Join(diffHead, " | "), strings.Repeat(" --- |", len(diffHead)))
	for _, c := range changes {
		row := cells(c)
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
		}
		fmt.Fprintf(&w, "| %s |\n", strings.Join(row, " | "))
	}
	_, err := io.WriteString(out, w.String())
	return err
}

func diffJSON(out io.Writer, changes []policies.Change) error {
	if changes == nil {
		changes = []policies.Change{}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(changes)
}

// diffNotes tells the people at the desks, by whom it is about.
func diffNotes(out io.Writer, changes []policies.Change) error {
	var w strings.Builder
	who := ""
	for _, c := range changes {
		if c.Kind == "rules" || c.Kind == "setting" || c.Kind == "unasked" {
			continue // what it comes to, the others say
		}
		if c.Who != who {
			who = c.Who
			fmt.Fprintf(&w, "%s:\n", safe(who))
		}
		fmt.Fprintf(&w, "- %s\n", safe(sentence(c)))
	}
	if w.Len() == 0 {
		w.WriteString(nothingChanges)
	}
	_, err := io.WriteString(out, w.String())
	return err
}

func sentence(c policies.Change) string {
	now, more := "no longer", ""
	if c.Effect == policies.Gains {
		now = "now"
	}
	if c.After != "" && strings.HasPrefix(c.After, "refused: ") {
		more = ", and is told " + strings.TrimPrefix(c.After, "refused: ")
	}
	if c.Effect == policies.Changes {
		return fmt.Sprintf("For %s it was %q, and now is %q.", c.What, c.Before, c.After)
	}
	switch c.Kind {
	case "access", "emergency":
		if c.Effect == policies.Gains {
			return fmt.Sprintf("May now %s, %s.", c.What, strings.TrimPrefix(c.After, "allowed "))
		}
		return fmt.Sprintf("May no longer %s%s.", c.What, more)
	case "element":
		if c.After != "remove" && c.Before != "remove" {
			return fmt.Sprintf("Sees %s as %s now, in place of %s.", c.What, c.After, c.Before)
		}
		if c.Effect == policies.Gains {
			return fmt.Sprintf("Sees %s now (%s).", c.What, c.After)
		}
		return fmt.Sprintf("Does not see %s any more.", c.What)
	case "search":
		return fmt.Sprintf("Can %s search by what is hidden, %s.", now, c.What)
	case "write":
		return fmt.Sprintf("Can %s write %s.", now, c.What)
	case "candidates":
		return fmt.Sprintf("Is shown %s of %s in place of %s, where it asks for what is hidden.", c.After, c.What, c.Before)
	case "switch":
		return fmt.Sprintf("For everybody, %s is %s", c.What, strings.TrimSuffix(c.After, ".")) + "."
	case "label":
		return fmt.Sprintf("Is %s shown %s.", now, c.What)
	case "purpose":
		return fmt.Sprintf("Can %s work for %s%s.", now, c.What, more)
	case "hours":
		return fmt.Sprintf("Can %s work on %s%s.", now, c.What, more)
	}
	return fmt.Sprintf("Can %s work %s%s.", now, c.What, more)
}
