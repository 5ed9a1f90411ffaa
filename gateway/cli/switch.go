package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/configs"
)

func switchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "switch",
		Short: "Switch a client, ticket category, EHR, type, interaction or workflow off, and on again",
		Long: `Switch something off in a gateway that runs, by its admin listener and the token
of the configuration. Every call of it that begins after is refused as
switched-off (503); calls under way go on to their end. It stays off over reloads
and restarts. Each act is in the access log, with its reason.

A bundle can switch things off as well, in data.halfdoor.switched_off; what it
switches off, another bundle switches on.

KIND is client (the OAuth client id), category (of tickets), ehr (its name in the
configuration), type (a FHIR resource type), interaction (read, search-type,
create, …) or workflow (the name of the dataset that its answers have).`,
		Example: "  halfdoor switch off client acme-portal --reason \"a laptop is lost\" --config /etc/halfdoor/halfdoor.yaml\n  halfdoor switch on client acme-portal --config /etc/halfdoor/halfdoor.yaml\n  halfdoor switch list --config /etc/halfdoor/halfdoor.yaml",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(switchOffCommand(), switchOnCommand(), switchListCommand())
	return c
}

func switchOffCommand() *cobra.Command {
	var a adminClient
	var reason string
	c := &cobra.Command{
		Use:   "off KIND NAME --reason TEXT --config FILE",
		Short: "Switch something off",
		Args:  kindAndName,
		RunE: func(c *cobra.Command, args []string) error {
			if reason == "" {
				return usage{errors.New("--reason TEXT is needed: it is recorded, and must tell nothing of a patient")}
			}
			body, err := json.Marshal(map[string]string{"kind": args[0], "name": args[1], "reason": reason})
			if err != nil {
				return err
			}
			return a.switches(c, http.MethodPost, "", body)
		},
	}
	a.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "why, in `TEXT` that tells nothing of a patient")
	return c
}

func switchOnCommand() *cobra.Command {
	var a adminClient
	c := &cobra.Command{
		Use:   "on KIND NAME --config FILE",
		Short: "Switch something on again",
		Args:  kindAndName,
		RunE: func(c *cobra.Command, args []string) error {
			return a.switches(c, http.MethodDelete, "?"+url.Values{"kind": {args[0]}, "name": {args[1]}}.Encode(), nil)
		},
	}
	a.flags(c)
	return c
}

func switchListCommand() *cobra.Command {
	var a adminClient
	c := &cobra.Command{
		Use:   "list --config FILE",
		Short: "List what is switched off, by whom and why",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return a.switches(c, http.MethodGet, "", nil) },
	}
	a.flags(c)
	return c
}

func kindAndName(c *cobra.Command, args []string) error {
	if len(args) != 2 {
		return hint(usage{fmt.Errorf("%s takes KIND and NAME", c.CommandPath())}, "see \""+c.CommandPath()+" --help\"")
	}
	return nil
}

// adminClient reaches a running gateway's admin listener as its configuration says.
type adminClient struct{ config, url, ca, certificate, key string }

func (a *adminClient) flags(c *cobra.Command) {
	configFlag(c, &a.config)
	f := c.Flags()
	f.StringVar(&a.url, "url", "", "the admin listener's `URL`, where it is not reached as the configuration says")
	f.StringVar(&a.ca, "ca", "", "a PEM `FILE` of who certifies it; default: its own certificate")
	f.StringVar(&a.certificate, "certificate", "", "a PEM `FILE` of a client certificate, where it asks for one")
	f.StringVar(&a.key, "key", "", "a PEM `FILE` of its private key")
}

// switches asks the listener and prints what is switched off then.
func (a *adminClient) switches(c *cobra.Command, method, query string, body []byte) error {
	cfg, err := load(a.config)
	if err != nil {
		return err
	}
	client, base, err := a.client(cfg)
	if err != nil {
		return err
	}
	if !cfg.Admin.Token.IsSet() {
		return errors.New("the configuration has no admin.token: administrative acts are off")
	}
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, base+"/switches"+query, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+cfg.Admin.Token.Value())
	resp, err := client.Do(req)
	if err != nil {
		return hint(err, "is the gateway running, and is this its configuration?")
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	var now struct {
		Problem string `json:"problem"`
		Off     []struct {
			Kind, Name, Reason, By string
			Since                  time.Time
		} `json:"switched_off"`
	}
	if err := json.Unmarshal(text, &now); err != nil {
		return fmt.Errorf("the gateway answered %d: %.200s", resp.StatusCode, strings.TrimSpace(string(text)))
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(now.Problem)
	}
	if len(now.Off) == 0 {
		_, err := fmt.Fprintln(c.OutOrStdout(), "nothing is switched off")
		return err
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tNAME\tBY\tSINCE\tREASON")
	for _, s := range now.Off {
		since := ""
		if !s.Since.IsZero() {
			since = s.Since.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Kind, s.Name, s.By, since, s.Reason)
	}
	return w.Flush()
}

// client is of the listener, and its URL.
func (a *adminClient) client(cfg *configs.Config) (*http.Client, string, error) {
	base, transport := a.url, &http.Transport{}
	if cfg.Admin.TLS != nil || strings.HasPrefix(base, "https:") {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		file := a.ca
		if file == "" && cfg.Admin.TLS != nil {
			file = cfg.Admin.TLS.Certificate
		}
		if file != "" {
			pool, err := certs.Pool(file)
			if err != nil {
				return nil, "", err
			}
			config.RootCAs = pool
		}
		if a.certificate != "" {
			pair, err := tls.LoadX509KeyPair(a.certificate, a.key)
			if err != nil {
				return nil, "", err
			}
			config.Certificates = []tls.Certificate{pair}
		}
		transport.TLSClientConfig = config
	}
	if base == "" {
		host, port, err := net.SplitHostPort(cfg.Admin.Listen)
		if err != nil {
			return nil, "", err
		}
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			host = "localhost" // every interface's, so this machine's too
		}
		base = "http://" + net.JoinHostPort(host, port)
		if cfg.Admin.TLS != nil {
			base = "https" + strings.TrimPrefix(base, "http")
		}
	}
	return &http.Client{Transport: transport}, strings.TrimSuffix(base, "/"), nil
}
