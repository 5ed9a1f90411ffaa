package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/probe"
	"github.com/halfdoor/halfdoor/transforms"
)

func probeCommand() *cobra.Command {
	var p probing
	c := &cobra.Command{
		Use:   "probe {--url URL --token TOKEN | --demo}",
		Short: "Attack a FHIR gateway as a client would, and grade it",
		Long: `Try on a FHIR gateway what an attacker who has a client's token would try, and
grade what was seen: A where nothing failed; B and C where the gateway took what it
should have refused; D where there is one leak, F where there are several.

With --ehr, canaries are planted in the EHR behind the gateway: made-up patients,
appointments and observations with values that stand nowhere else, in elements that
must stay hidden. They are removed at the end. A leak is a canary that came
through, and is printed; a real value never is. Use an EHR for tests. Without
--ehr, less can be tried, and what leaves is judged by the names of elements.

What may leave says --dataset: a file, or the name of a dataset of the default
bundle. Without it, that is everything but what no helpdesk needs.

A token is given as it is, as env:NAME or as file:NAME. Only the two URLs are
called. --list prints every check and the attack that it tries.

Exit status 0 where nothing failed, 1 where a check failed, 2 where the gateway or
the EHR cannot be reached, or the token is given nothing to judge.`,
		Example: `  halfdoor probe --demo
  halfdoor probe --list
  halfdoor probe --url https://gateway.example/fhir --token env:TOKEN --ehr https://ehr.example/fhir --ehr-token env:EHR_TOKEN --dataset ./scheduling.yaml
  halfdoor probe --url https://gateway.example/fhir --token env:TOKEN --only 'leak/*' --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if p.list {
				return probe.WriteList(c.OutOrStdout())
			}
			report, err := p.run(c)
			if err != nil {
				return err
			}
			write := report.WriteText
			if p.json {
				write = report.WriteJSON
			}
			if err := write(c.OutOrStdout()); err != nil {
				return err
			}
			if failed, _ := report.Failed(); failed > 0 {
				return exit(1)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&p.options.URL, "url", "", "the gateway's FHIR base `URL`")
	f.StringVar(&p.token, "token", "", "the `TOKEN` of a client")
	f.StringVar(&p.other, "other-token", "", "the `TOKEN` of another client, to try page links that are stolen")
	f.StringVar(&p.held, "patient-token", "", "a `TOKEN` that is held to one patient")
	f.StringVar(&p.options.Patient, "patient", "", "with --patient-token: that patient's `ID` at the EHR")
	f.StringVar(&p.options.EHR, "ehr", "", "the base `URL` of the EHR behind the gateway, to plant canaries in")
	f.StringVar(&p.ehrToken, "ehr-token", "", "a `TOKEN` that may create, read and delete there")
	f.StringVar(&p.dataset, "dataset", "", "what may leave: a `FILE` in YAML or JSON, or access, scheduling or billing")
	f.StringVar(&p.ca, "ca", "", "trust the certificates in this `FILE` beside the system's")
	f.StringArrayVar(&p.headers, "header", nil, "send this `NAME: VALUE` with each call, such as a ticket; may be repeated")
	f.StringArrayVar(&p.options.Only, "only", nil, "make only the checks whose names fit this `PATTERN`, such as 'leak/*'; may be repeated")
	f.DurationVar(&p.options.Timeout, "timeout", 0, "how long one answer may take (default 10s)")
	f.DurationVar(&p.options.Slow, "slow", 0, "how long a client that sends a byte at a time may be borne (default 35s)")
	f.DurationVar(&p.options.Limit, "limit", 0, "how long all may take (default 3m)")
	f.IntVar(&p.options.Most, "requests", 0, "how many requests may be sent (default 4000)")
	f.BoolVar(&p.demo, "demo", false, "start the demo on loopback, and grade that")
	f.BoolVar(&p.json, "json", false, "print a line of JSON for each check, with name, ok and evidence")
	f.BoolVar(&p.list, "list", false, "print the checks")
	_ = c.MarkFlagFilename("ca") // the flags are there
	_ = c.MarkFlagFilename("dataset", "yaml", "yml", "json")
	return c
}

// probing is one run of the command.
type probing struct {
	options                      probe.Options
	token, other, held, ehrToken string
	dataset, ca                  string
	headers                      []string
	demo, json, list             bool
}

func (p *probing) run(c *cobra.Command) (report *probe.Report, err error) {
	if p.demo {
		if p.options.URL != "" || p.token != "" || p.options.EHR != "" || p.held != "" {
			return nil, usage{errors.New("--demo brings its own gateway, EHR and tokens")}
		}
		if !slices.Contains([]string{"", "access", "scheduling", "billing"}, p.dataset) {
			return nil, usage{errors.New("--demo has the desks and datasets access, scheduling and billing")}
		}
		d, err := demo.Start(c.Context(), demo.Options{Listen: "127.0.0.1:0", Log: c.ErrOrStderr(), Version: version()})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		if err := p.ofDemo(d); err != nil {
			return nil, err
		}
	}
	if p.options.URL == "" || !p.demo && p.token == "" {
		return nil, hint(usage{errors.New("--url URL and --token TOKEN are needed, or --demo")}, "halfdoor probe --demo grades the demo")
	}
	if err := p.read(); err != nil {
		return nil, usage{err}
	}
	report, err = probe.Run(c.Context(), p.options)
	return report, p.explain(err)
}

// ofDemo takes the part of the desk that the dataset is named after, or of the scheduling desk,
// whose dataset has the most types.
func (p *probing) ofDemo(d *demo.Demo) (err error) {
	p.options.URL, p.options.EHR, p.options.Patient, p.ca = d.FHIR(), d.EHR(), d.Patient(), d.CA()
	other := "demo-billing"
	switch p.dataset {
	case "":
		p.dataset = "scheduling"
	case "billing":
		other = "demo-scheduling"
	}
	for client, to := range map[string]*probe.Token{"demo-" + p.dataset: &p.options.Token, other: &p.options.Other, "demo-app": &p.options.PatientToken} {
		token, err := d.Token(client, demo.TokenOptions{})
		if err != nil {
			return err
		}
		*to = probe.Token(token)
	}
	return nil
}

// read makes of the flags what the probe takes.
func (p *probing) read() (err error) {
	for _, t := range []struct {
		given string
		to    *probe.Token
	}{{p.token, &p.options.Token}, {p.other, &p.options.Other}, {p.held, &p.options.PatientToken}, {p.ehrToken, &p.options.EHRToken}} {
		if t.given == "" {
			continue
		}
		text, err := secret(t.given)
		if err != nil {
			return err
		}
		*t.to = probe.Token(text)
	}
	if p.ca != "" {
		if p.options.Roots, err = certs.Pool(p.ca); err != nil {
			return err
		}
	}
	p.options.Header = http.Header{}
	for _, h := range p.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return fmt.Errorf("--header %q is not NAME: VALUE", h)
		}
		p.options.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if p.dataset != "" {
		p.options.Dataset, err = datasetOf(p.dataset)
	}
	return err
}

// secret reads a token that is given as it is, or as env:NAME or file:NAME, which shows it to
// no list of processes.
func secret(s string) (string, error) {
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		if s = os.Getenv(name); s == "" {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return s, nil
	}
	if name, ok := strings.CutPrefix(s, "file:"); ok {
		text, err := os.ReadFile(name)
		if err == nil && len(strings.TrimSpace(string(text))) == 0 {
			err = fmt.Errorf("%s is empty", name)
		}
		return strings.TrimSpace(string(text)), err
	}
	return s, nil
}

// datasetOf reads a dataset from a file, or takes one of the default bundle by its name.
func datasetOf(name string) (*transforms.Dataset, error) {
	if filepath.Ext(name) == "" && !strings.ContainsRune(name, filepath.Separator) {
		engine, err := gateway.Policies("")
		if err != nil {
			return nil, err
		}
		plan, ok := engine.Plan(name)
		if !ok {
			return nil, fmt.Errorf("no dataset %q: there are %v", name, engine.Datasets())
		}
		return plan.Dataset(), nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if text, err = json.Marshal(doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	title := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if title == "data" { // in a bundle, the folder names it
		if whole, err := filepath.Abs(name); err == nil {
			title = filepath.Base(filepath.Dir(whole))
		}
	}
	ds, err := transforms.ParseDataset(title, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return ds, nil
}

// explain makes of the probe's error one of this command's: all mean that nothing was graded.
func (p *probing) explain(err error) error {
	var u *probe.Unreachable
	switch {
	case err == nil:
		return nil
	case errors.As(err, &u) && u.What == "EHR":
		err = hint(usage{err}, "--ehr wants a base URL below which --ehr-token may create, search and delete")
	case errors.As(err, &u):
		err = hint(usage{err}, "see --url, --token, --ca and --header")
	case errors.Is(err, context.Canceled):
		err = usage{errors.New("ended before all was tried: nothing is graded")}
	default:
		err = usage{err}
	}
	return err
}
