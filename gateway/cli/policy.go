package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Test, review and rehearse policies and datasets",
		Long: `Work on a policy before it goes live. DIR is a bundle's folder; without it, the
configuration's is meant (--config FILE), or the one inside the program.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(policyTestCommand(), policyLintCommand(), policyExplainCommand(), policyDiffCommand(), policyImportCommand(), policyReplayCommand(), policyBundleCommand())
	return c
}

// bundleArg is the bundle that a command is about: an argument, or what the configuration names, or the default one.
type bundleArg struct{ config string }

func (b *bundleArg) flag(c *cobra.Command) { configFlag(c, &b.config) }

// one takes at most one DIR.
func (b *bundleArg) one(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return hint(usage{fmt.Errorf("%s takes one DIR, %d given", c.CommandPath(), len(args))}, "see \""+c.CommandPath()+" --help\"")
	}
	return nil
}

// folder is the bundle's folder; empty for the one inside the program.
func (b *bundleArg) folder(args []string) (string, error) {
	switch {
	case len(args) == 1 && b.config != "":
		return "", usage{errors.New("DIR and --config each name a bundle: give one")}
	case len(args) == 1 && args[0] == "":
		return "", usage{errors.New("DIR is empty")}
	case len(args) == 1:
		return args[0], nil
	case b.config == "":
		return "", nil
	}
	cfg, err := load(b.config)
	if err != nil {
		return "", err
	}
	if cfg.Policy.Server != nil { // what it sent last, if it has sent anything
		return delivery.Kept(cfg.Policy.Persist), nil
	}
	return cfg.Policy.Bundle, nil
}

// tree opens a bundle's folder; the empty name is the default bundle.
func tree(folder string) (fs.FS, error) {
	if folder == "" {
		return policies.Default(), nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() && !(&configs.Policy{Bundle: folder}).Tarball() {
		return nil, fmt.Errorf("%s is no folder and no .tar.gz", folder)
	}
	return gateway.Bundle(folder)
}
