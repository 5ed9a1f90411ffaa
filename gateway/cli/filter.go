package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
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
	var f filtering
	c := &cobra.Command{
		Use:   "filter --dataset NAME [FILE]",
		Short: "Show what would leave of a FHIR resource or Bundle",
		Long: `Read a FHIR resource or Bundle from FILE, or from standard input, and write what
the gateway would send of it under a dataset, byte for byte.

With --config, --client and --issuer, ids are in the very tokens that this client
would get; without, they are in example tokens that open nowhere. Resources with a
security label that the bundle's data denies are dropped. A search is answered with
the type that it asks for: --type drops the others of a Bundle. Links are left out,
as those to other pages are sealed for one caller.

--report writes to standard error what the access log would say of the body: what left
and what did not, members that no row of the dataset names, and what it requires and is
missing.

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
			in := c.InOrStdin()
			if len(args) == 1 && args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close()
				in = file
			}
			return f.run(c.OutOrStdout(), c.ErrOrStderr(), in)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.dataset, "dataset", "", "the dataset's `NAME`: access, scheduling or billing in the default bundle")
	flags.StringVar(&f.bundle, "bundle", "", "a folder with policies and datasets: `DIR`; default the configuration's, or the one in the program")
	flags.StringVar(&f.ehrURL, "ehr-url", "https://ehr.example/fhir", "the base `URL` by which the resource's EHR names itself, in absolute references")
	flags.StringVar(&f.config, "config", "", "use the keys, EHR and policies of this configuration `FILE`")
	flags.StringVar(&f.client, "client", "", "with --config: the OAuth client `ID` that would ask")
	flags.StringVar(&f.issuer, "issuer", "", "with --config: the client's issuer `URL`; default the first configured")
	flags.StringVar(&f.ehr, "ehr", "", "with --config: the EHR's `NAME`; default the first configured")
	flags.StringSliceVar(&f.options.Types, "type", nil, "let only resources of this `TYPE` leave, as in the answer to a search for it; may be repeated; default all that the dataset has")
	flags.StringVar(&f.patient, "patient", "", "hold the answer to the compartment of the patient with this real `ID`")
	flags.BoolVar(&f.report, "report", false, "write to standard error, as JSON, what the access log would say of the body")
	_ = c.MarkFlagDirname("bundle") // the flags are there
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	return c
}

// filtering is one run of the command.
type filtering struct {
	dataset, bundle, ehrURL              string
	config, client, issuer, ehr, patient string
	report                               bool

	options transforms.Options
	undo    []func() error // what it made, last first
}

func (f *filtering) run(out, told io.Writer, in io.Reader) (err error) {
	defer func() {
		for _, undo := range slices.Backward(f.undo) {
			err = errors.Join(err, undo())
		}
	}()
	if f.dataset == "" {
		return usage{errors.New("--dataset NAME is needed")}
	}
	if f.config == "" {
		err = f.example()
	} else {
		err = f.configured()
	}
	if err != nil {
		return err
	}
	engine, err := gateway.Policies(f.bundle)
	if err != nil {
		return err
	}
	plan, ok := engine.Plan(f.dataset)
	if !ok {
		return usage{fmt.Errorf("no dataset %q: there are %v", f.dataset, engine.Datasets())}
	}
	f.options.Patient, f.options.DenyLabels = f.patient, engine.StatedLabels()
	f.options.Total = f.patient == "" && len(f.options.DenyLabels) == 0
	if !f.report {
		told = nil
	}
	return filterWhole(plan, out, told, in, f.options)
}

// example sets the options of a gateway that is nobody's.
func (f *filtering) example() error {
	if f.client != "" || f.issuer != "" || f.ehr != "" {
		return usage{errors.New("--client, --issuer and --ehr go with --config")}
	}
	f.options.EHR, f.options.Base = []string{strings.TrimSuffix(f.ehrURL, "/")}, "https://gateway.example/fhir"
	return f.seal([]byte(exampleKeyset), "default", gateway.TokenClient("https://issuer.example", "example"), "main")
}

// configured sets the options of a gateway for a client at an EHR.
func (f *filtering) configured() error {
	if f.client == "" {
		return usage{errors.New("--config goes with --client: tokens differ between clients")}
	}
	cfg, err := load(f.config)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(cfg.EHRs, func(e configs.EHR) bool { return f.ehr == "" || e.Name == f.ehr })
	if at < 0 {
		return usage{fmt.Errorf("no EHR %q in the configuration", f.ehr)}
	}
	ehr := cfg.EHRs[at]
	if f.issuer == "" {
		f.issuer = cfg.Issuers[0].URL
	}
	if f.bundle == "" {
		f.bundle = cfg.Policy.Bundle
	}
	f.options.EHR, f.options.Base = append([]string{ehr.BaseURL}, ehr.Aliases...), cfg.PublicURL+ehr.Path
	f.options.Window = int(cfg.Limits.Window)
	return f.seal(cfg.Vault.Keyset.Bytes(), ehr.Tenant, gateway.TokenClient(f.issuer, f.client), ehr.Name)
}

// seal sets the tokens of one client. The mapping of ids too long for a token goes to a
// folder that is removed: nothing leaves that would have to be opened again.
func (f *filtering) seal(keyset []byte, tenant, client, ehr string) error {
	dir, err := os.MkdirTemp("", "halfdoor-filter-")
	if err != nil {
		return err
	}
	f.undo = append(f.undo, func() error { return os.RemoveAll(dir) })
	v, err := vault.Open(vault.Options{Keyset: keyset, Dir: dir, Now: time.Now})
	if err != nil {
		return err
	}
	f.undo = append(f.undo, v.Close)
	s, err := v.Sealer(tenant, client, ehr)
	if err != nil {
		return err
	}
	f.options.Tokens, f.options.Shift, f.options.Hash = s, s, s
	return nil
}

// filterWhole writes nothing unless the whole input was good; where it is told, the report to told.
func filterWhole(plan *transforms.Plan, out, told io.Writer, in io.Reader, o transforms.Options) (err error) {
	s := &spool{}
	defer func() { err = errors.Join(err, s.close()) }()
	report, err := plan.Filter(s, in, o)
	if err != nil {
		return err
	}
	if err := s.copyTo(out); err != nil || told == nil {
		return err
	}
	enc := json.NewEncoder(told)
	enc.SetIndent("", "  ")
	return enc.Encode(gateway.Totals(report))
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
