package policies_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/sdk"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/halfdoor/halfdoor/policies"
)

// BenchmarkDecide asks about the same calls in five ways, each from what the gateway knows of a call:
//
//	cached    Decide
//	uncached  Decide, which remembers nothing
//	map       OPA's prepared query, as its documentation has it: plain maps, a context with a deadline
//	sdk       OPA's sdk.Decision
//	naive     Decide, which remembers nothing, with the same rules written without a thought for speed
func BenchmarkDecide(b *testing.B) {
	decide := func(e *policies.Engine) func(context.Context, *policies.Input) (bool, error) {
		return func(ctx context.Context, in *policies.Input) (bool, error) {
			d, err := e.Decide(ctx, in)
			return err == nil && d.Allow, err
		}
	}
	uncached := load(b, policies.Options{Budget: time.Hour, NoCache: true})
	naive := load(b, policies.Options{Budget: time.Hour, NoCache: true, Bundle: naiveBundle(b)})
	b.Run("cached", func(b *testing.B) { benchmark(b, decide(load(b, policies.Options{Budget: time.Hour}))) })
	b.Run("uncached", func(b *testing.B) { benchmark(b, decide(uncached)) })
	b.Run("map", func(b *testing.B) { benchmark(b, byMap(b)) })
	b.Run("sdk", func(b *testing.B) { benchmark(b, bySDK(b)) })
	b.Run("naive", func(b *testing.B) { benchmark(b, decide(naive)) })
}

func benchmark(b *testing.B, decide func(context.Context, *policies.Input) (bool, error)) {
	ctx, cancel := context.WithCancel(context.Background()) // a call's context can be cancelled
	defer cancel()
	b.ReportAllocs()
	begun := cpu(b)
	defer func() { b.ReportMetric(float64(cpu(b)-begun)/float64(b.N), "cpu-ns/op") }()
	for i := 0; b.Loop(); i++ {
		c := &deskCalls[i%len(deskCalls)]
		allow, err := decide(ctx, c.input())
		if err != nil || allow != (c.refused == "") {
			b.Fatalf("%+v: %v, %v", c, allow, err)
		}
	}
}

// cpu is the processor time that this process has used: on a machine that has other work, the clock on the wall tells of
// that work.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// byMap is rego's prepared query on the default bundle.
func byMap(b testing.TB) func(context.Context, *policies.Input) (bool, error) {
	options := []func(*rego.Rego){
		rego.Query("data.halfdoor.decision"),
		rego.Store(inmem.NewFromObject(policies.ReadData(b, policies.Default()))),
		rego.StrictBuiltinErrors(true),
	}
	for name, source := range policies.ReadRego(b, policies.Default()) {
		options = append(options, rego.Module(name, source))
	}
	query, err := rego.New(options...).PrepareForEval(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, in *policies.Input) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		results, err := query.Eval(ctx, rego.EvalInput(asMap(in)))
		if err != nil || len(results) != 1 {
			return false, fmt.Errorf("%d results: %w", len(results), err)
		}
		return results[0].Expressions[0].Value.(map[string]any)["allow"] == true, nil
	}
}

// bySDK is OPA as a whole, with the default bundle from a folder.
func bySDK(b testing.TB) func(context.Context, *policies.Input) (bool, error) {
	folder := b.TempDir()
	if err := os.CopyFS(folder, policies.Default()); err != nil {
		b.Fatal(err)
	}
	config := fmt.Sprintf(`{"bundles": {"halfdoor": {"resource": "file://%s"}}}`, folder)
	opa, err := sdk.New(context.Background(), sdk.Options{Config: strings.NewReader(config)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { opa.Stop(context.Background()) })
	return func(ctx context.Context, in *policies.Input) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		result, err := opa.Decision(ctx, sdk.DecisionOptions{Path: "halfdoor/decision", Input: asMap(in), StrictBuiltinErrors: true})
		if err != nil {
			return false, err
		}
		return result.Result.(map[string]any)["allow"] == true, nil
	}
}

// asMap is the document as a program without OPA's types would make it.
func asMap(in *policies.Input) map[string]any {
	texts := func(s []string) []any {
		out := make([]any, len(s))
		for i, t := range s {
			out[i] = t
		}
		return out
	}
	return map[string]any{
		"version": policies.InputVersion,
		"caller": map[string]any{
			"subject": in.Caller.Subject, "issuer": in.Caller.Issuer, "client": in.Caller.Client,
			"roles": texts(in.Caller.Roles), "fhir_user": in.Caller.FHIRUser, "binding": in.Caller.Binding,
		},
		"ticket":  map[string]any{"id": in.Ticket.ID, "category": in.Ticket.Category},
		"purpose": in.Purpose,
		"request": map[string]any{
			"interaction": in.Request.Interaction, "type": in.Request.Type, "has_id": in.Request.HasID,
			"parameters": texts(in.Request.Parameters), "includes": texts(in.Request.Includes),
			"operation": in.Request.Operation, "entries": in.Request.Entries,
		},
		"context": map[string]any{
			"patient": in.Context.Patient, "encounter": in.Context.Encounter, "ehr": in.Context.EHR, "tenant": in.Context.Tenant,
		},
		"network": map[string]any{"source": in.Network.Source},
		"time":    map[string]any{"weekday": in.Time.Weekday, "hour": in.Time.Hour},
	}
}
