package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/transforms"
)

// exampleKeyset gives "halfdoor filter" tokens that are the same every time. They protect
// nothing and open at no gateway.
const exampleKeyset = `{"version":1,"keys":[{"epoch":"0","key":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=","created":"2026-01-01T00:00:00Z","status":"primary"}]}`

// spoolBytes is how much output is held in memory before it goes to a temporary file.
const spoolBytes = 1 << 20

func filterCommand() *cobra.Command {
	var dataset, bundle, config, client, issuer, ehr, patient string
	c := &cobra.Command{
		Use:   "filter --dataset NAME [FILE]",
		Short: "Show what would leave of a FHIR resource or Bundle",
		Long: `Read a FHIR resource or Bundle from FILE, or from standard input, and write what
the gateway would send of it under a dataset, byte for byte.

With --config, --client and --issuer, ids are in the very tokens that this client
would get; without, they are in example tokens that open nowhere. Resources with a
security label that the bundle's data denies are dropped. Links are left out, as
those to other pages are sealed for one caller.

Exit status 1, and nothing on standard output, where the input is malformed or
nothing of it may leave.`,
		Example: "  halfdoor filter --dataset scheduling appointment.json\n  curl -s https://ehr.example/fhir/Patient/1 | halfdoor filter --dataset access --bundle ./policies",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage{errors.New("filter takes one FILE")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if dataset == "" {
				return usage{errors.New("--dataset NAME is needed")}
			}
			o, folder, err := filterOptions(config, client, issuer, ehr)
			if err != nil {
				return err
			}
			if bundle != "" {
				folder = bundle
			}
			engine, err := gateway.Policies(folder)
			if err != nil {
				return err
			}
			plan, ok := engine.Plan(dataset)
			if !ok {
				return usage{fmt.Errorf("no dataset %q: there are %v", dataset, engine.Datasets())}
			}
			in := c.InOrStdin()
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			o.Patient, o.DenyLabels = patient, engine.StatedLabels()
			o.Total = patient == "" && len(o.DenyLabels) == 0
			return filterWhole(plan, c.OutOrStdout(), in, o)
		},
	}
	f := c.Flags()
	f.StringVar(&dataset, "dataset", "", "the dataset's `NAME`: access, scheduling or billing in the default bundle")
	f.StringVar(&bundle, "bundle", "", "a folder with policies and datasets: `DIR`; default the configuration's, or the one in the program")
	f.StringVar(&config, "config", "", "use the keys, EHR and policies of this configuration `FILE`")
	f.StringVar(&client, "client", "", "with --config: the OAuth client `ID` that would ask")
	f.StringVar(&issuer, "issuer", "", "with --config: the client's issuer `URL`; default the first configured")
	f.StringVar(&ehr, "ehr", "", "with --config: the EHR's `NAME`; default the first configured")
	f.StringVar(&patient, "patient", "", "hold the answer to the compartment of the patient with this real `ID`")
	return c
}

// filterOptions are the gateway's own for a client at an EHR, or those of the example.
func filterOptions(config, client, issuer, ehr string) (transforms.Options, string, error) {
	if config == "" {
		if client != "" || issuer != "" || ehr != "" {
			return transforms.Options{}, "", usage{errors.New("--client, --issuer and --ehr go with --config")}
		}
		tokens, err := sealer([]byte(exampleKeyset), "default", "https://issuer.example example", "main")
		return transforms.Options{
			Tokens: tokens, EHR: []string{"https://ehr.example/fhir"}, Base: "https://gateway.example/fhir",
		}, "", err
	}
	if client == "" {
		return transforms.Options{}, "", usage{errors.New("--config goes with --client: tokens differ between clients")}
	}
	cfg, err := load(config)
	if err != nil {
		return transforms.Options{}, "", err
	}
	to, err := namedEHR(cfg, ehr)
	if err != nil {
		return transforms.Options{}, "", err
	}
	if issuer == "" {
		issuer = cfg.Issuers[0].URL
	}
	tokens, err := sealer(cfg.Vault.Keyset.Bytes(), to.Tenant, gateway.TokenClient(issuer, client), to.Name)
	return transforms.Options{
		Tokens: tokens, EHR: append([]string{to.BaseURL}, to.Aliases...), Base: cfg.PublicURL + to.Path,
		Window: int(cfg.Limits.Window),
	}, cfg.Policy.Bundle, err
}

func namedEHR(cfg *configs.Config, name string) (*configs.EHR, error) {
	for i := range cfg.EHRs {
		if name == "" || cfg.EHRs[i].Name == name {
			return &cfg.EHRs[i], nil
		}
	}
	return nil, usage{fmt.Errorf("no EHR %q in the configuration", name)}
}

func sealer(keyset []byte, tenant, client, ehr string) (*vault.Sealer, error) {
	v, err := vault.Open(vault.Options{Keyset: keyset, Now: time.Now})
	if err != nil {
		return nil, err
	}
	return v.Sealer(tenant, client, ehr)
}

// filterWhole writes nothing unless the whole input was good.
func filterWhole(plan *transforms.Plan, out io.Writer, in io.Reader, o transforms.Options) (err error) {
	s := &spool{}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := plan.Filter(s, in, o); err != nil {
		return err
	}
	return s.copyTo(out)
}

// spool is a sink that keeps what is released until all of it is known to be good: in
// memory, and beyond spoolBytes in a temporary file.
type spool struct {
	held []byte
	file *os.File
}

// Release keeps a window.
func (s *spool) Release(w *transforms.Window) error {
	if s.file == nil && len(s.held)+len(w.Body) <= spoolBytes {
		s.held = append(s.held, w.Body...)
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "halfdoor-filter-*")
		if err != nil {
			return err
		}
		s.file = f
		if _, err := f.Write(s.held); err != nil {
			return err
		}
		s.held = nil
	}
	_, err := s.file.Write(w.Body)
	return err
}

func (s *spool) copyTo(out io.Writer) error {
	if s.file == nil {
		_, err := out.Write(s.held)
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(out, s.file)
	return err
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
