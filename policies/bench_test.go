package policies_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/halfdoor/halfdoor/policies"
)

func BenchmarkDecide(b *testing.B) {
	e := load(b, policies.Options{Budget: time.Hour})
	refused := call()
	refused.Request.Type = "Observation"
	for name, in := range map[string]*policies.Input{"allowed": call(), "refused": refused} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Decide(context.Background(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNaive is the same question asked as OPA's first example has it: the input by way of JSON, the store of plain
// maps, a context with a deadline.
func BenchmarkNaive(b *testing.B) {
	options := []func(*rego.Rego){
		rego.Query("data.halfdoor.decision"),
		rego.Store(inmem.NewFromObject(policies.ReadData(b, policies.Default()))),
	}
	for name, source := range policies.ReadRego(b, policies.Default()) {
		options = append(options, rego.Module(name, source))
	}
	query, err := rego.New(options...).PrepareForEval(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	doc := policies.InputJSON(b, call())
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		var in any
		if err := json.Unmarshal(doc, &in); err != nil {
			b.Fatal(err)
		}
		results, err := query.Eval(ctx, rego.EvalInput(in))
		cancel()
		if err != nil || len(results) != 1 {
			b.Fatal(results, err)
		}
		if d := results[0].Expressions[0].Value.(map[string]any); d["allow"] != true {
			b.Fatal(d)
		}
	}
}
