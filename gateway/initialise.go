package gateway

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/vault"
)

// Start is what a first configuration is made of. Every field is required, but for those
// that say otherwise.
type Start struct {
	PublicURL   string   // https://host[:port]
	Listen      string   // host:port
	AdminListen string   // host:port
	EHR         string   // FHIR base URL
	Aliases     []string // other base URLs of the EHR; optional
	Insecure    bool     // the EHR is plain HTTP on another machine
	Issuer      string   // URL
	IssuerCA    string   // PEM file; optional
	Audience    string   // of the tokens; default PublicURL + "/fhir"
	Trusted     []string // client ids that may state ticket, category and purpose by header; optional
	LogOrigin   string   // name of the access log; default the host of PublicURL + "/audit"
}

// Initialised is what Initialise made.
type Initialised struct {
	Config   string // file
	CA       string // PEM file of the development CA
	LogDir   string
	Verifier string // the access log's public key
	Admin    string // file of the administrators' token
}

var startTemplate = template.Must(template.New("halfdoor.yaml").Parse(`# Made by "halfdoor init". configs/halfdoor.yaml explains every key.
public_url: {{printf "%q" .PublicURL}}
listen: {{printf "%q" .Listen}}
tls:
  certificate: certs/server.pem # of a development CA: replace both for real use
  key: certs/server-key.pem
admin:
  listen: {{printf "%q" .AdminListen}}
  token: file:keys/admin-token
ehrs:
  - name: main
    path: /fhir
    base_url: {{printf "%q" .EHR}}
{{- if .Insecure}}
    insecure_http: true
{{- end}}
{{- if .Aliases}}
    aliases:
{{- range .Aliases}}
      - {{printf "%q" .}}
{{- end}}
{{- end}}
issuers:
  - url: {{printf "%q" .Issuer}}
    audiences: [{{printf "%q" .Audience}}]
{{- if .IssuerCA}}
    ca: {{printf "%q" .IssuerCA}}
{{- end}}
{{- if .Trusted}}
clients:
{{- range .Trusted}}
  - id: {{printf "%q" .}}
    trust_headers: [ticket, category, purpose]
{{- end}}
{{- end}}
vault:
  keyset: file:keys/token-keyset.json
  dir: vault
access_log:
  dir: log
  origin: {{printf "%q" .LogOrigin}}
  signing_key: file:keys/log-signing-key
  patient_key: file:keys/log-patient-key
`))

// Initialise makes a folder with a configuration, a development CA and certificate, token
// keys and access log keys. It overwrites nothing: a folder that has a configuration is
// refused.
func Initialise(dir string, s Start, now func() time.Time) (*Initialised, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	public, err := url.Parse(s.PublicURL)
	if err != nil || public.Host == "" {
		return nil, fmt.Errorf("the public URL %q is not https://host[:port]", s.PublicURL)
	}
	if s.LogOrigin == "" {
		s.LogOrigin = public.Hostname() + "/audit"
	}
	if s.Audience == "" {
		s.Audience = s.PublicURL + "/fhir"
	}
	made := &Initialised{
		Config: filepath.Join(dir, "halfdoor.yaml"), CA: filepath.Join(dir, "certs", "ca.pem"),
		LogDir: filepath.Join(dir, "log"), Admin: filepath.Join(dir, "keys", "admin-token"),
	}
	if _, err := os.Lstat(made.Config); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is there already: name another folder, or remove that one", made.Config)
	}
	for _, sub := range []string{"certs", "keys", "vault", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	hosts := []string{public.Hostname()}
	if host, _, err := net.SplitHostPort(s.Listen); err == nil && host != "" && host != public.Hostname() {
		hosts = append(hosts, host)
	}
	if _, err := certs.Development(filepath.Join(dir, "certs"), hosts, now); err != nil {
		return nil, err
	}
	keyset, err := vault.NewKeyset(rand.Reader, now())
	if err != nil {
		return nil, err
	}
	signer, verifier, err := accesslog.GenerateKey(s.LogOrigin)
	if err != nil {
		return nil, err
	}
	made.Verifier = verifier
	var config bytes.Buffer
	if err := startTemplate.Execute(&config, s); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{"keys/token-keyset.json", keyset},
		{"keys/log-signing-key", []byte(signer)},
		{"keys/log-verifier-key", []byte(verifier + "\n")},
		{"keys/log-patient-key", newSecret()},
		{"keys/admin-token", newSecret()},
		{"halfdoor.yaml", config.Bytes()}, // last: what it names is there
	} {
		if err := create(filepath.Join(dir, f.name), f.content); err != nil {
			return nil, err
		}
	}
	// What a start would refuse is refused now, and can be made again.
	if _, err := configs.Load(made.Config); err != nil {
		return nil, errors.Join(err, os.RemoveAll(filepath.Join(dir, "keys")), os.Remove(made.Config))
	}
	return made, nil
}

// newSecret is 256 random bits as text.
func newSecret() []byte {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	return []byte(base64.RawURLEncoding.EncodeToString(b[:]))
}

func create(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
