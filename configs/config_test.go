package configs_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/configs"
)

const adminToken = "adm1n-0123456789abcdef0123456789abcdef"

// files are what the examples refer to; "0600 " stands before the content of those that are secret.
var files = map[string]string{
	"tls/server.pem": "certificate", "tls/server-key.pem": "0600 key", "tls/clients.pem": "authorities", "tls/east-ca.pem": "authorities",
	"keys/vault.json": "0600 {\"keys\":\"kept-in-vault\"}\n", "keys/log.key": "0600 PRIVATE+KEY+gateway.example/audit\n", "keys/log.key.old": "0600 PRIVATE+KEY+gateway.example/audit\n",
	"keys/patient.key": "0600 0123456789abcdef0123456789abcdef\r\n", "keys/east.token": "0640 east-token", "keys/introspection": "0600 introspection-secret", "keys/empty": "0600 \n",
	"keys/west-2031.pem": "0600 key", "keys/west-2030.pem": "0600 key", "keys/north.secret": "0600 north-secret",
	"tls/gateway-at-north.pem": "certificate", "tls/gateway-at-north-key.pem": "0600 key", "tls/login-north-ca.pem": "authorities",
	"keys/open": "everyone can read this", "policies/main.rego": "package halfdoor",
}

// folder returns a folder with all that the examples refer to, and sets the environment likewise.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(content, "06") {
			m, err := strconv.ParseUint(content[:4], 8, 32)
			if err != nil {
				t.Fatal(err)
			}
			mode, content = os.FileMode(m), content[5:]
		}
		write(t, filepath.Join(dir, name), content, mode)
	}
	t.Setenv("HALFDOOR_ADMIN_TOKEN", adminToken)
	t.Setenv("HALFDOOR_EMPTY", "")
	return dir
}

func write(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// load copies an example to dir and loads it there.
func load(t testing.TB, dir, example string) *configs.Config {
	t.Helper()
	path := filepath.Join(dir, example)
	write(t, path, string(read(t, example)), 0o644)
	c, err := configs.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMinimal(t *testing.T) {
	dir := folder(t)
	c := load(t, dir, "minimal.yaml")
	want := configs.Default()
	if c.Listen != want.Listen || c.Limits != want.Limits || c.Log != want.Log || c.TLS.MinVersion != "1.3" || c.TLS.ClientAuth != "none" {
		t.Errorf("defaults are not in force: %+v", c)
	}
	e := configs.DefaultEHR()
	e.Name, e.BaseURL = "main", "https://ehr.example/fhir/r4"
	if !reflect.DeepEqual(c.EHRs, []configs.EHR{e}) {
		t.Errorf("EHR %+v", c.EHRs)
	}
	if got, want := c.TLS.Key, filepath.Join(dir, "tls/server-key.pem"); got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	if got := c.AccessLog.PatientKey.Value(); got != "0123456789abcdef0123456789abcdef" {
		t.Errorf("patient key %q", got)
	}
	if c.Admin.Token.IsSet() || c.Admin.TLS != nil {
		t.Errorf("admin %+v", c.Admin)
	}
	wantFiles := []string{"keys/log.key", "keys/patient.key", "keys/vault.json", "minimal.yaml", "tls/server-key.pem", "tls/server.pem"}
	for i := range wantFiles {
		wantFiles[i] = filepath.Join(dir, wantFiles[i])
	}
	if got := c.Files(); !slices.Equal(got, wantFiles) {
		t.Errorf("files %q", got)
	}
}

func TestFull(t *testing.T) {
	dir := folder(t)
	c := load(t, dir, "halfdoor.yaml")
	if got := c.Admin.Token.Value(); got != adminToken {
		t.Error("admin token not fetched")
	}
	if c.Clients[0].Issuer != c.Issuers[0].URL {
		t.Errorf("client's issuer %q", c.Clients[0].Issuer)
	}
	if got := c.TrustedProxies[1].String(); got != "2001:db8::1/128" {
		t.Errorf("proxy %s", got)
	}
	if got := c.Issuers[0]; got.Claims.Roles != "realm_access.roles" || got.Claims.Ticket != "ticket" || time.Duration(got.ClockSkew) != 30*time.Second {
		t.Errorf("issuer %+v", got)
	}
	west, north := c.EHRs[1].OAuth, c.EHRs[2].OAuth
	if west.JWKSPath != "/west/fhir/.well-known/jwks.json" || west.Keys[1] != filepath.Join(dir, "keys/west-2030.pem") || north.JWKSPath != "" ||
		north.ClientSecret.Value() != "north-secret" || !slices.Contains(c.Files(), filepath.Join(dir, "keys/north.secret")) ||
		!slices.Contains(c.Files(), west.Keys[0]) || !slices.Contains(c.Files(), c.EHRs[2].Key) {
		t.Errorf("OAuth %+v, %+v of %q", west, north, c.Files())
	}
	if !slices.Contains(c.Files(), filepath.Join(dir, "policies")) || slices.Contains(c.Files(), filepath.Join(dir, "data/log")) {
		t.Errorf("files %q", c.Files())
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// What is commented out in the full example must be right too.
func TestFullUncommented(t *testing.T) {
	dir := folder(t)
	for _, name := range []string{"tls/admin.pem", "tls/operators.pem", "tls/login-ca.pem", "keys/login-jwks.json", "keys/login-metadata.json"} {
		write(t, filepath.Join(dir, name), "PEM", 0o644)
	}
	write(t, filepath.Join(dir, "tls/admin-key.pem"), "PEM", 0o600)
	text := regexp.MustCompile(`(?m)^( *)# ( *[a-z_]+:( |$))`).ReplaceAllString(string(read(t, "halfdoor.yaml")), "$1$2")
	c, err := configs.Parse("halfdoor.yaml", []byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	d := configs.Default()
	if c.Limits != d.Limits || c.Log != d.Log || c.ShutdownTimeout != d.ShutdownTimeout || c.Admin.Listen != d.Admin.Listen ||
		c.AccessLog.SegmentSize != d.AccessLog.SegmentSize || c.EHRs[0].Timeouts != configs.DefaultEHR().Timeouts ||
		c.EHRs[0].Breaker != configs.DefaultEHR().Breaker {
		t.Error("a default that the example states is not the default")
	}
	for path := range keys() {
		if !regexp.MustCompile(`(?m)^[ #-]*` + path[strings.LastIndex(path, ".")+1:] + `:`).MatchString(text) {
			t.Errorf("the example lacks %s", path)
		}
	}
}

// keys returns the path of every key, with the struct and the field that it is read into.
func keys() map[string][2]string {
	found := map[string][2]string{}
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for i := range t.NumField() {
			f := t.Field(i)
			key := f.Tag.Get("yaml")
			if key == "" {
				continue
			}
			found[path+key] = [2]string{t.Name(), f.Name}
			ft := f.Type
			for ft.Kind() == reflect.Slice || ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			if ft.Kind() == reflect.Struct {
				walk(ft, path+key+".")
			}
		}
	}
	walk(reflect.TypeFor[configs.Config](), "")
	return found
}

// The comments are the reference: each field has one, which says what the default is, truly.
func TestComments(t *testing.T) {
	comments := map[[2]string]string{}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					for _, f := range s.Fields.List {
						for _, id := range f.Names {
							comments[[2]string{spec.Name.Name, id.Name}] = strings.Join(strings.Fields(f.Doc.Text()), " ")
						}
					}
				}
			}
			return true
		})
	}
	defaults := map[string]any{"Config": *configs.Default(), "EHR": configs.DefaultEHR(), "Issuer": configs.DefaultIssuer(),
		"Timeouts": configs.DefaultEHR().Timeouts, "Claims": configs.DefaultIssuer().Claims, "Limits": configs.Default().Limits,
		"Log": configs.Default().Log, "TLS": configs.Default().TLS, "Admin": configs.Default().Admin, "AccessLog": configs.Default().AccessLog}
	for path, field := range keys() {
		text := comments[field]
		if !strings.HasPrefix(text, field[1]+" ") || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: the comment of %s.%s is %q", path, field[0], field[1], text)
			continue
		}
		owner, ok := defaults[field[0]]
		if !ok {
			continue
		}
		value := reflect.ValueOf(owner).FieldByName(field[1])
		var want string
		switch v := value.Interface().(type) {
		case configs.Duration:
			want = v.String()
		case configs.Bytes:
			want, _ = strings.CutSuffix(v.String(), "B")
		case []string:
			want = strings.Join(v, ", ")
		case int:
			want = strconv.Itoa(v)
		case string:
			want = v
		default:
			continue
		}
		if want == "" {
			if !regexp.MustCompile(`Required|required by|Default none|Default: the only|At least one is required`).MatchString(text) {
				t.Errorf("%s: the comment says neither that it is required nor that there is no default: %s", path, text)
			}
		} else if !regexp.MustCompile(`[Dd]efault:? "?` + regexp.QuoteMeta(want)).MatchString(text) {
			t.Errorf("%s: the comment does not say that the default is %s: %s", path, want, text)
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "no such file or directory",
		dir:                             "not a regular file",
	} {
		_, err := configs.Load(name)
		var problems *configs.Error
		if err == nil || errors.As(err, &problems) || err.Error() != "read configuration "+name+": "+want {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, filepath.Join(dir, "large.yaml"), strings.Repeat("#", 1<<20+1), 0o644)
	if _, err := configs.Load(filepath.Join(dir, "large.yaml")); err == nil || !strings.HasSuffix(err.Error(), "larger than 1MiB") {
		t.Error(err)
	}
}

func TestValidateInGo(t *testing.T) {
	c := configs.Default()
	var problems *configs.Error
	if err := c.Validate(); !errors.As(err, &problems) || len(problems.Problems) != 11 || problems.Problems[0].String() != "public_url: required" {
		t.Fatal(err)
	}
	key := configs.NewSecret([]byte("0123456789abcdef0123456789abcdef"))
	c.PublicURL, c.TLS.Certificate, c.TLS.Key = "https://127.0.0.1:1", "a", "b"
	e, i := configs.DefaultEHR(), configs.DefaultIssuer()
	e.Name, e.BaseURL, i.URL, i.Audiences = "demo", "http://127.0.0.1:2", "http://127.0.0.1:3", []string{"x"}
	c.EHRs, c.Issuers = []configs.EHR{e}, []configs.Issuer{i}
	c.Vault = configs.Vault{Keyset: key, Dir: "v"}
	c.AccessLog.Dir, c.AccessLog.Origin, c.AccessLog.SigningKey, c.AccessLog.PatientKey = "l", "demo", key, key
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}
