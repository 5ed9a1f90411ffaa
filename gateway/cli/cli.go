// Package cli is the command halfdoor.
//
// Every command prints what it was asked for on standard output and everything else on
// standard error; an error is "halfdoor: error: …", one line a problem, with a hint where
// one helps. Exit status: 0 done, 1 failed or refused, 2 wrong use.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the command line and returns the exit status.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// net/http quotes what a server sends unasked to the standard logger: an EHR's text, there.
	log.SetOutput(io.Discard)
	root := command()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var silent exit
	if errors.As(err, &silent) {
		return int(silent)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(os.Stderr, "halfdoor: error:", line)
	}
	var h hinted
	if errors.As(err, &h) {
		fmt.Fprintln(os.Stderr, "halfdoor: hint:", h.hint)
	}
	var use usage
	if errors.As(err, &use) {
		return 2
	}
	return 1
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "halfdoor",
		Short: "A gateway between helpdesk tools and EHR FHIR servers",
		Long: `Halfdoor gives a helpdesk app a FHIR base URL. For every call it checks the
caller's token and SMART scopes, asks the hospital's policy, forwards what is
allowed to the EHR, filters the answer down to the minimum dataset, and writes
an access record before a byte of it leaves.

Start with "halfdoor demo": everything on this machine, with made-up patients.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("halfdoor {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return hint(usage{err}, "see \""+c.CommandPath()+" --help\"")
	})
	root.AddCommand(serveCommand(), demoCommand(), initCommand(), checkCommand(), filterCommand(), probeCommand(), switchCommand(), auditCommand(), policyCommand(), versionCommand())
	return root
}

// exit ends the command with a status and says nothing more: it has been said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// usage is a call that cannot be understood.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// hinted is an error with a sentence on what to do.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

func hint(err error, sentence string) error { return hinted{err, sentence} }

// noArgs is cobra.NoArgs as a usage error.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return hint(usage{fmt.Errorf("%s takes no argument %q", c.CommandPath(), args[0])}, "see \""+c.CommandPath()+" --help\"")
	}
	return nil
}

// version is the module's, or that of the revision it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && (v == "" || v == "(devel)") {
			v = s.Value[:12]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "halfdoor %s\n", version())
			return err
		},
	}
}
