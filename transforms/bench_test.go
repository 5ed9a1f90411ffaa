package transforms_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
)

// loads are what the benchmarks run on: a Bundle made here, and Synthea's where the corpus is there.
func loads(b *testing.B) []document {
	b.Helper()
	docs := []document{{"generated", readAll(b, newBundle(1<<20))}}
	if dir := corpus(b); dir != "" {
		docs = append(docs, read(b, filepath.Join(dir, "synthea", "derived_searchset_3M_*.json"))...)
	}
	return docs
}

// discard is a Sink that keeps nothing.
type discard struct{}

func (discard) Release(*transforms.Window) error { return nil }

// plainTokens is a Tokenizer that costs next to nothing, so that the filter alone is measured.
type plainTokens struct{}

func (plainTokens) AppendToken(dst []byte, _ string, value []byte) ([]byte, error) {
	return append(append(dst, 't'), value...), nil
}

// BenchmarkFilter filters a searchset of megabytes. Compare it with BenchmarkJSONValid in the same run.
func BenchmarkFilter(b *testing.B) {
	for _, doc := range loads(b) {
		for _, f := range fixtures(b)[:2] {
			b.Run(doc.name+"/"+f.name, func(b *testing.B) {
				o := options()
				o.Tokens = plainTokens{}
				src := bytes.NewReader(nil)
				b.SetBytes(int64(len(doc.data)))
				b.ReportAllocs()
				for b.Loop() {
					src.Reset(doc.data)
					if _, err := f.plan.Filter(discard{}, src, o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkJSONValid is the yardstick.
func BenchmarkJSONValid(b *testing.B) {
	for _, doc := range loads(b) {
		b.Run(doc.name, func(b *testing.B) {
			b.SetBytes(int64(len(doc.data)))
			for b.Loop() {
				if !json.Valid(doc.data) {
					b.Fatal("not valid")
				}
			}
		})
	}
}
