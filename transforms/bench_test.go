package transforms_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/test/bench/cases"
	"github.com/halfdoor/halfdoor/transforms"
)

// The cases are those of the command test/bench, which measures by processor time and is what the
// README quotes; here they are for profiles, and for a look while working.

func eachCase(b *testing.B, run func(*testing.B, *cases.Case)) {
	set := cases.Open("..")
	for _, name := range cases.Names() {
		b.Run(name, func(b *testing.B) {
			c, err := set.Case(name)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(c.Data)))
			b.ReportAllocs()
			run(b, c)
		})
	}
}

func BenchmarkFilter(b *testing.B) {
	eachCase(b, func(b *testing.B, c *cases.Case) {
		o, err := c.Options()
		if err != nil {
			b.Fatal(err)
		}
		o.Report = new(transforms.Report)
		src := new(cases.Reader)
		for b.Loop() {
			if o.Tokens, err = c.Tokens(); err != nil {
				b.Fatal(err)
			}
			if _, err := c.Filter(cases.Discard{}, src, o); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkJSONValid(b *testing.B) { eachCase(b, validates(json.Valid)) }

func BenchmarkGJSONValid(b *testing.B) { eachCase(b, validates(gjson.ValidBytes)) }

// validates runs a function that validates a document: of NDJSON, each line.
func validates(valid func([]byte) bool) func(*testing.B, *cases.Case) {
	return func(b *testing.B, c *cases.Case) {
		for b.Loop() {
			if !c.Lines {
				if !valid(c.Data) {
					b.Fatal("not valid")
				}
				continue
			}
			for line := range bytes.Lines(c.Data) {
				if !valid(line) {
					b.Fatal("not valid")
				}
			}
		}
	}
}
