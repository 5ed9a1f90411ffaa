package cases_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/halfdoor/halfdoor/test/bench/cases"
)

// TestCases holds each case to its name, with the corpus where it is there and without.
func TestCases(t *testing.T) {
	for _, corpus := range []string{"", t.TempDir()} {
		if corpus != "" {
			t.Setenv("HALFDOOR_CORPUS", corpus)
		}
		set := cases.Open("../../..")
		if corpus != "" && set.Source() != "generated" {
			t.Fatalf("documents are %s, without a corpus", set.Source())
		}
		for _, name := range cases.Names() {
			c, err := set.Case(name)
			if err != nil {
				t.Fatal(err)
			}
			if !c.Lines && !json.Valid(c.Data) {
				t.Errorf("%s, %s: not valid", c.Name, c.Source)
			}
			least, most := 1_600_000, 2_400_000
			switch name {
			case "compact-20k":
				least, most = 20_000, 36_000
			case "compact-10m":
				least, most = 10_000_000, 11_000_000
			case "indented-3.2m":
				least, most = 2_700_000, 3_500_000
			case "non-ascii":
				most = 2_600_000
			}
			if n := len(c.Data); n < least || n > most {
				t.Errorf("%s, %s: %d bytes", c.Name, c.Source, n)
			}
			o, err := c.Options()
			if err != nil {
				t.Fatal(err)
			}
			report, err := c.Filter(cases.Discard{}, new(cases.Reader), o)
			if err != nil {
				t.Errorf("%s, %s: %v", c.Name, c.Source, err)
			}
			share := float64(report.BytesOut) / float64(report.BytesIn)
			if kept := name == "keep-most"; !c.Hostile && (kept && share < 0.4 || !kept && (share < 0.02 || share > 0.5)) {
				t.Errorf("%s, %s: %.2f of it leaves", c.Name, c.Source, share)
			}
			t.Logf("%-16s %-9s %8d bytes, %4.1f%% non-ASCII, %.2f leaves", c.Name, c.Source, len(c.Data), 100*nonASCII(c.Data), share)
		}
	}
}

func nonASCII(b []byte) float64 {
	n := 0
	for _, c := range b {
		if c >= 0x80 {
			n++
		}
	}
	return float64(n) / float64(len(b))
}

// TestSame holds a case to being the same each time.
func TestSame(t *testing.T) {
	t.Setenv("HALFDOOR_CORPUS", t.TempDir())
	for _, name := range []string{"compact-20k", "non-ascii", "late-type", "hostile-keys"} {
		a, err := cases.Open("").Case(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cases.Open("").Case(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s is not the same twice", name)
		}
	}
}
