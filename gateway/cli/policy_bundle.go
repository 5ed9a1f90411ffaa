package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

func policyBundleCommand() *cobra.Command {
	var p packing
	var bundle bundleArg
	c := &cobra.Command{
		Use:   "bundle [DIR] --out FILE",
		Short: "Make a signed bundle for a bundle server",
		Long: `Check a bundle as a gateway would before it lets it go live (rules, types,
datasets, its own tests), and write it as a tarball, signed by your private key.
OPA's tools read it, too. Put it on any web server, and name that in the
configuration of the gateways: policy.server, policy.resource, policy.signing.

With --serial, a gateway that serves this bundle takes none with a lower one, so
that nobody can have an old policy played back. Count it up with each bundle.

DIR is a bundle's folder; without it, the configuration's is meant (--config
FILE), or the one inside the program.`,
		Example: "  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out board-key.pem\n  openssl pkey -in board-key.pem -pubout -out board.pem\n  halfdoor policy bundle ./policies --out halfdoor.tar.gz --revision 2031-05-04 --serial 12 --signing-key board-key.pem --key-id board",
		Args:    bundle.one,
		RunE: func(c *cobra.Command, args []string) error {
			p.serialSet = c.Flags().Changed("serial")
			build, err := p.build()
			if err != nil {
				return err
			}
			folder, err := bundle.folder(args)
			if err != nil {
				return err
			}
			from, err := tree(folder)
			if err != nil {
				return err
			}
			if _, err := gateway.CheckBundle(c.Context(), from); err != nil {
				return err
			}
			revision, err := p.write(c, from, build)
			if err != nil {
				return err
			}
			signed := "not signed"
			if build.Key != nil {
				signed = "signed by " + build.Key.ID
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: revision %s, %s\n", p.out, revision, signed)
			return err
		},
	}
	f := c.Flags()
	bundle.flag(c)
	f.StringVarP(&p.out, "out", "o", "", "the tarball to write: `FILE`")
	f.StringVar(&p.revision, "revision", "", "what the bundle is called in records, before a hash of its content: `NAME`")
	f.Int64Var(&p.serial, "serial", 0, "how new the bundle is: `N`, which rises from bundle to bundle")
	f.StringVar(&p.key, "signing-key", "", "the private key, a PEM `FILE`; without it, the bundle is not signed")
	f.StringVar(&p.id, "key-id", "", "the key's name in the gateways' configuration: `ID`")
	f.StringVar(&p.algorithm, "algorithm", "ES256", "the key's `ALGORITHM`: "+strings.Join(delivery.Algorithms(), ", "))
	f.StringVar(&p.scope, "scope", "", "what the signature states it is for: `SCOPE`, as in policy.signing.scope")
	_ = c.MarkFlagFilename("signing-key", "pem") // the flag is there
	return c
}

// packing is how a bundle is to be packed.
type packing struct {
	out, revision, key, id, algorithm, scope string
	serial                                   int64
	serialSet                                bool
}

// build reads the key and judges the flags.
func (p *packing) build() (delivery.Build, error) {
	b := delivery.Build{Revision: p.revision}
	if p.serialSet {
		b.Serial = &p.serial
	}
	switch {
	case p.out == "":
		return b, usage{errors.New("--out FILE is needed")}
	case p.serialSet && p.serial < 0:
		return b, usage{errors.New("--serial: want 0 or more")}
	case p.key == "" && (p.id != "" || p.scope != ""):
		return b, usage{errors.New("--key-id and --scope are of no effect without --signing-key")}
	case p.key == "":
		return b, nil
	case p.id == "":
		return b, usage{errors.New("--signing-key needs --key-id ID")}
	case !slices.Contains(delivery.Algorithms(), p.algorithm):
		return b, usage{fmt.Errorf("--algorithm: want one of %s", strings.Join(delivery.Algorithms(), ", "))}
	}
	text, err := os.ReadFile(p.key)
	if err != nil {
		return b, err
	}
	if !bytes.HasPrefix(text, []byte("-----BEGIN")) {
		return b, fmt.Errorf("%s: want a private key in PEM", p.key)
	}
	b.Key = &delivery.SigningKey{ID: p.id, Algorithm: p.algorithm, PEM: string(text), Scope: p.scope}
	return b, nil
}

// write writes the tarball whole or not at all, and says by which revision gateways will know it.
func (p *packing) write(c *cobra.Command, from fs.FS, build delivery.Build) (revision string, err error) {
	var packed bytes.Buffer
	if err := delivery.Write(&packed, from, build); err != nil {
		return "", err
	}
	back, err := delivery.Read(bytes.NewReader(packed.Bytes()), delivery.Signing{})
	if err != nil {
		return "", err
	}
	engine, err := gateway.CheckBundle(c.Context(), back)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(p.out), ".bundle-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(packed.Bytes())
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), p.out)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return engine.Revision(), nil
}
