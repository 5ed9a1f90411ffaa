package configs_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v3"

	"github.com/halfdoor/halfdoor/configs"
)

const hidden = "s3cret-0123456789-0123456789-0123456789"

func TestSecretIsNeverPrinted(t *testing.T) {
	type holder struct {
		Shown  configs.Secret
		hidden configs.Secret // fmt calls no methods on it
		config configs.Config
		Map    map[string]configs.Secret
	}
	s := configs.NewSecret([]byte(hidden))
	var c configs.Config
	c.Admin.Token, c.EHRs = s, []configs.EHR{{Bearer: s}}
	values := map[string]any{"secret": s, "pointer": &s, "config": c, "config pointer": &c,
		"holder": holder{s, s, c, map[string]configs.Secret{"a": s}}, "slice": []configs.Secret{s}, "any": []any{s}}
	for name, v := range values {
		forms := map[string]string{"Sprint": fmt.Sprint(v), "error": fmt.Errorf("x: %v", v).Error()}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10.3s"} {
			forms[verb] = fmt.Sprintf(verb, v)
		}
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var z, sj, st bytes.Buffer
		l := zerolog.New(&z)
		l.Info().Interface("v", v).Any("w", v).Str("s", fmt.Sprint(v)).Stringer("t", s).Msgf("%v", v)
		slog.New(slog.NewJSONHandler(&sj, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&st, nil)).Info("m", "v", v)
		forms["json"], forms["yaml"], forms["zerolog"], forms["slog json"], forms["slog text"] = string(j), string(y), z.String(), sj.String(), st.String()
		for form, text := range forms {
			for _, leak := range []string{hidden, hidden[:10], fmt.Sprintf("%x", hidden[:10]), fmt.Sprintf("%X", hidden[:10]), "115 51 99"} {
				if strings.Contains(text, leak) {
					t.Errorf("%s of a %s shows the secret: %s", form, name, text)
				}
			}
		}
	}
	for form, got := range map[string]string{"String": s.String(), "GoString": s.GoString(), "%d": fmt.Sprintf("%d", s), "slog": s.LogValue().String()} {
		if got != "[redacted]" {
			t.Errorf("%s: %s", form, got)
		}
	}
	if x, err := xml.Marshal(s); err != nil || string(x) != "<Secret>[redacted]</Secret>" {
		t.Errorf("%s, %v", x, err)
	}
	if y, err := yaml.Marshal(s); err != nil || string(y) != "'[redacted]'\n" {
		t.Errorf("%s, %v", y, err)
	}
	if got := fmt.Sprint(configs.Secret{}); got != "[redacted]" {
		t.Errorf("an unset secret shows that it is: %s", got)
	}
}

func TestSecretValue(t *testing.T) {
	value := []byte(hidden)
	s := configs.NewSecret(value)
	value[0] = 'X'
	s.Bytes()[0] = 'Y'
	if s.Value() != hidden || string(s.Bytes()) != hidden || !s.IsSet() {
		t.Error("the value was changed from outside")
	}
	var unset configs.Secret
	if unset.IsSet() || unset.Value() != "" || unset.Bytes() != nil || configs.NewSecret(nil).IsSet() {
		t.Error("unset is not empty")
	}
	for _, tt := range []struct {
		secret    configs.Secret
		presented string
		want      bool
	}{{s, hidden, true}, {s, hidden + "x", false}, {s, hidden[1:], false}, {s, "", false}, {unset, "", false}, {unset, hidden, false}} {
		if got := tt.secret.Matches(tt.presented); got != tt.want {
			t.Errorf("Matches(%q) = %t", tt.presented, got)
		}
	}
}

// Whatever is written in a secret's place, no message repeats it.
func TestSecretInPlace(t *testing.T) {
	dir := folder(t)
	for _, form := range []string{hidden, `"` + hidden + `"`, "'" + hidden + "'", "*" + hidden, "&" + hidden, "&a " + hidden, "!" + hidden, "!!str " + hidden,
		"[" + hidden + "]", "|\n    " + hidden, "\n    " + hidden, "- " + hidden, "env:" + hidden, "env: " + hidden[:3], "%" + hidden, "@" + hidden, "`" + hidden,
		`"\` + hidden, `"` + hidden, "{a: " + hidden + "}", "value:" + hidden, "12345678901234567890", "\x00" + hidden, "${" + hidden + "}"} {
		_, err := configs.Parse("c.yaml", []byte("admin:\n  token: "+form+"\n"), dir)
		if err == nil || strings.Contains(err.Error(), hidden[:8]) || strings.Contains(err.Error(), "1234567890") {
			t.Errorf("%q: %v", form, err)
		}
	}
}

// Every secret of the configuration is fetched: none is forgotten in the list of them.
func TestEverySecretIsFetched(t *testing.T) {
	dir := folder(t)
	c := load(t, dir, "halfdoor.yaml")
	found := 0
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch {
		case v.Type() == reflect.TypeFor[configs.Secret]():
			s := v.Interface().(configs.Secret)
			if s.IsSet() {
				found++
			}
			if s.IsSet() != (s.Reference() != "") {
				t.Errorf("%s refers to %q and is set: %t", path, s.Reference(), s.IsSet())
			}
		case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[configs.Config]().PkgPath():
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i), path+"."+v.Type().Field(i).Name)
				}
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), path)
			}
		case v.Kind() == reflect.Pointer && !v.IsNil():
			walk(v.Elem(), path)
		}
	}
	walk(reflect.ValueOf(c).Elem(), "Config")
	if found != 9 {
		t.Errorf("%d secrets are set, want each of 9 that can be together", found)
	}
	// The tenth stands in place of another.
	text := strings.Replace(string(read(t, "halfdoor.yaml")), "      client_secret: file:keys/introspection", "      private_key: file:keys/introspection", 1)
	c, err := configs.Parse("halfdoor.yaml", []byte(text), dir)
	if err != nil || !c.Issuers[0].Introspection.PrivateKey.IsSet() || c.Issuers[0].Introspection.ClientSecret.IsSet() {
		t.Errorf("private_key: %v", err)
	}
}

func TestSecretFileMode(t *testing.T) {
	dir := folder(t)
	key := filepath.Join(dir, "keys/vault.json")
	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o600: true, 0o640: true, 0o440: true, 0o644: false, 0o604: false, 0o602: false, 0o601: false, 0o777: false} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		_, err := configs.Parse("minimal.yaml", read(t, "minimal.yaml"), dir)
		if (err == nil) != ok {
			t.Errorf("%04o: %v", mode, err)
		}
	}
}
