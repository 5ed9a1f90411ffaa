package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/certs"
)

// handedOut are the clients whose tokens the demo hands out, by the name of their variable.
var handedOut = []struct{ variable, client string }{
	{"HALFDOOR_TOKEN_ACCESS", "demo-access"},
	{"HALFDOOR_TOKEN_SCHEDULING", "demo-scheduling"},
	{"HALFDOOR_TOKEN_BILLING", "demo-billing"},
	{"HALFDOOR_TOKEN_EMERGENCY", "demo-emergency"},
	{"HALFDOOR_TOKEN_NOBODY", "demo-nobody"},
}

// show writes the environment file, and tells what to try.
func (p *parts) show(ctx context.Context, o Options) error {
	env, access, err := p.environment()
	if err != nil {
		return err
	}
	own := filepath.Join(p.dir, "demo.env")
	if err := writeWhole(own, env); err != nil {
		return err
	}
	side, query, err := p.sideBySide(ctx, access)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Halfdoor demo: everything runs on this machine, and every patient is made up.\n\n")
	fmt.Fprintf(&b, "  FHIR base URL    %s\n  EHR behind it    %s\n  sign-in server   %s\n  admin            http://%s (/readyz, /metrics)\n  access log       %s\n\n",
		p.fhir(), p.ehr, p.issuer.URL(), p.back.Addr(), p.made.LogDir)
	b.WriteString(side)
	call := `curl -sS --cacert "$HALFDOOR_CA_FILE" -H "Authorization: Bearer $HALFDOOR_TOKEN_`
	fmt.Fprintf(&b, "\nIn another terminal, first:\n\n  set -a; . %s; set +a\n\n", quote(own))
	fmt.Fprintf(&b, "Identity and access desk: is this person registered here? May this clinician sign in?\n\n  %sACCESS\" \"$HALFDOOR_FHIR_URL/Patient?%s\"\n  %sACCESS\" \"$HALFDOOR_FHIR_URL/Practitioner?active=true&_count=2\"\n\n", call, query, call)
	fmt.Fprintf(&b, "Scheduling desk: what status has the appointment?\n\n  %sSCHEDULING\" -H \"Ticket-Id: INC-4711\" \"$HALFDOOR_FHIR_URL/Appointment?_count=2\"\n\n", call)
	fmt.Fprintf(&b, "Scheduling desk: a reminder went out. However often this is sent, it is noted once.\n\n  %sSCHEDULING\" -H \"Ticket-Id: INC-4711\" -H \"Idempotency-Key: reminder-1\" -H \"Content-Type: application/fhir+json\" \\\n    \"$HALFDOOR_FHIR_URL/Communication\" --data '{\"resourceType\":\"Communication\",\"status\":\"completed\",\"sent\":\"2026-06-15T10:00:00Z\"}'\n\n", call)
	fmt.Fprintf(&b, "Billing desk: does a coverage hold?\n\n  %sBILLING\" \"$HALFDOOR_FHIR_URL/Coverage?status=active&_count=2\"\n\n", call)
	fmt.Fprintf(&b, "In an emergency: a reason has to be stated, access ends by itself, and stands out in the log.\n\n  %sEMERGENCY\" -H \"Break-Glass: records-down\" -i \"$HALFDOOR_FHIR_URL/Encounter?_count=1\"\n  halfdoor audit query --log \"$HALFDOOR_LOG_DIR\" --break-glass\n\n", call)
	fmt.Fprintf(&b, "What must not work: a valid token without scopes, and what a desk has no need of:\n\n  %sNOBODY\" \"$HALFDOOR_FHIR_URL/Patient\"\n  %sACCESS\" \"$HALFDOOR_FHIR_URL/Appointment\"\n\n", call, call)
	b.WriteString("Who saw what, and is the log whole?\n\n  halfdoor audit query --log \"$HALFDOOR_LOG_DIR\" --ticket INC-4711 --format table\n  halfdoor audit verify --log \"$HALFDOOR_LOG_DIR\" --key \"$HALFDOOR_LOG_KEY\"\n\nCtrl-C ends the demo.\n")
	if _, err := io.WriteString(o.Out, b.String()); err != nil {
		return err
	}
	if o.Env == "" {
		return nil
	}
	return writeWhole(o.Env, env)
}

// environment is the content of the environment file, and the access desk's token.
func (p *parts) environment() (env []byte, access string, err error) {
	var b bytes.Buffer
	line := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, quote(value)) }
	line("HALFDOOR_FHIR_URL", p.fhir())
	line("HALFDOOR_ADMIN_URL", "http://"+p.back.Addr().String())
	line("HALFDOOR_CA_FILE", p.made.CA)
	line("HALFDOOR_EHR_URL", p.ehr)
	line("HALFDOOR_ISSUER", p.issuer.URL())
	line("HALFDOOR_TOKEN_URL", p.issuer.URL()+TokenPath)
	line("HALFDOOR_LOG_DIR", p.made.LogDir)
	line("HALFDOOR_LOG_KEY", p.made.Verifier)
	line("HALFDOOR_CONFIG", p.made.Config)
	for _, d := range handedOut {
		token, err := p.issuer.Token(d.client, TokenOptions{})
		if err != nil {
			return nil, "", err
		}
		if d.client == "demo-access" {
			access = token
		}
		line(d.variable, token)
	}
	return b.Bytes(), access, nil
}

// quote makes a value safe for a shell; a plain one stays as it is.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:+=@%,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// writeWhole makes a file appear with all of its content, readable by its owner alone.
func writeWhole(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// sideBySide asks the EHR for one patient, and the gateway for the same; it returns the two
// answers beside each other, and the search that finds the patient. A real EHR may have
// nothing to show; that does not end the demo.
func (p *parts) sideBySide(ctx context.Context, access string) (text, query string, err error) {
	open := &http.Client{Timeout: 30 * time.Second}
	bundle, err := get(ctx, open, p.ehr+"/Patient?_count=1", "")
	if err != nil && p.sandbox {
		return "", "", fmt.Errorf("ask the EHR for a patient: %w", err)
	}
	if err != nil {
		return "  (The EHR did not show a patient to a caller without credentials: " + err.Error() + ")\n", "identifier=unknown", nil
	}
	patient := gjson.GetBytes(bundle, "entry.0.resource")
	number := patient.Get("identifier.0")
	if number.Get("value").String() == "" {
		return "  (The EHR has no patient with an identifier to show.)\n", "identifier=unknown", nil
	}
	query = "identifier=" + url.QueryEscape(number.Get("system").String()+"|"+number.Get("value").String())
	roots, err := certs.Pool(p.made.CA)
	if err != nil {
		return "", "", err
	}
	trusting := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	defer trusting.CloseIdleConnections()
	answer, err := get(ctx, trusting, p.fhir()+"/Patient?"+query, access)
	if err != nil && p.sandbox {
		return "", "", fmt.Errorf("ask the gateway for a patient: %w", err)
	}
	left := lines([]byte(patient.Raw))
	right := []string{"(refused)"}
	if err == nil {
		right = lines([]byte(gjson.GetBytes(answer, "entry.0.resource").Raw))
	}
	return columns(left, right), query, nil
}

func get(ctx context.Context, c *http.Client, address, token string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/fhir+json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return body, nil
}

// lines indents a resource, and cuts it to what a screen can show.
func lines(resource []byte) []string {
	const most = 44
	var b bytes.Buffer
	if err := json.Indent(&b, resource, "", " "); err != nil {
		return []string{"(no answer)"}
	}
	all := strings.Split(b.String(), "\n")
	if len(all) > most {
		all = append(all[:most:most], fmt.Sprintf("… and %d lines more", len(all)-most))
	}
	return all
}

// columns sets two texts beside each other.
func columns(left, right []string) string {
	const width = 56
	var b strings.Builder
	row := func(l, r string) {
		l = fit(l, width)
		fmt.Fprintf(&b, "  %s%s │ %s\n", l, strings.Repeat(" ", width-utf8.RuneCountInString(l)), fit(r, width))
	}
	row("WHAT THE EHR SAID", "WHAT LEFT FOR THE IDENTITY AND ACCESS DESK")
	row(strings.Repeat("─", width), strings.Repeat("─", width))
	for i := range max(len(left), len(right)) {
		row(at(left, i), at(right, i))
	}
	return b.String()
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

func fit(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}
