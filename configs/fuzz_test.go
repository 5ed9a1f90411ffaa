package configs_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/configs"
)

// Whatever the document, the answer is a whole configuration that is valid by itself, or problems that each say
// something on one line.
func FuzzParse(f *testing.F) {
	dir := folder(f)
	names, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(names) == 0 {
		f.Fatal("no seeds: ", err)
	}
	for _, name := range append(names, "minimal.yaml", "halfdoor.yaml") {
		seed := read(f, name)
		if _, err := configs.Parse(name, seed, dir); (err == nil) == strings.HasSuffix(name, ".bad.yaml") {
			f.Fatalf("seed %s: %v", name, err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := configs.Parse("fuzz.yaml", data, dir)
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Fatalf("accepted, and not valid: %v", err)
			}
			if text := fmt.Sprintf("%+v", c); strings.Contains(text, adminToken) || strings.Contains(text, "kept-in-vault") {
				t.Fatalf("a secret is shown: %s", text)
			}
			return
		}
		var problems *configs.Error
		if c != nil || !errors.As(err, &problems) || len(problems.Problems) == 0 {
			t.Fatalf("%v, %v", c, err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u2028") +
			strings.Count(string(data), "\u2029") + strings.Count(string(data), "\u0085") + 1
		for _, p := range problems.Problems {
			if p.Text == "" || strings.ContainsAny(p.String(), "\r\n") || p.Line < 0 || p.Line > lines+1 {
				t.Fatalf("%+v", p)
			}
		}
	})
}
