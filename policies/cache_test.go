package policies_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/policies"
)

// withRules is a bundle that works, with these rules.
func withRules(t testing.TB, rules string) fstest.MapFS {
	t.Helper()
	return fstest.MapFS{
		"halfdoor/decision.rego":           {Data: []byte(rules)},
		"halfdoor/datasets/desk/data.yaml": {Data: []byte("title: A desk\nversion: 1\nresources: {Patient: {id: token}}\n")},
	}
}

// The key is made of every value of the document, each under its own reference.
func TestKeyHasTheWholeInput(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(policies.InputJSON(t, &policies.Input{}), &doc); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for name, value := range doc {
		below, ok := value.(map[string]any)
		if !ok {
			paths = append(paths, "input."+name)
		}
		for inner := range below {
			paths = append(paths, "input."+name+"."+inner)
		}
	}
	slices.Sort(paths)
	if got := policies.LeafPaths(); !slices.Equal(got, paths) {
		t.Errorf("the key is made of %q, the input has %q", got, paths)
	}
}

// Two inputs have one key only if they are one document.
func TestKeyTellsInputsApart(t *testing.T) {
	seen := map[string]string{}
	add := func(in policies.Input) {
		key, doc := string(policies.Key(&in)), string(policies.InputJSON(t, &in))
		if before, ok := seen[key]; ok && before != doc {
			t.Errorf("one key for\n%s\n%s", before, doc)
		}
		seen[key] = doc
	}
	texts := []string{"", "a", "aa", "\x01a", "a\x00"}
	for _, a := range texts {
		for _, b := range texts {
			for field := range reflect.TypeFor[policies.Caller]().NumField() {
				for other := range reflect.TypeFor[policies.Caller]().NumField() {
					in := policies.Input{}
					for i, text := range map[int]string{field: a, other: b} {
						if f := reflect.ValueOf(&in.Caller).Elem().Field(i); f.Kind() == reflect.String {
							f.SetString(text)
						} else {
							f.Set(reflect.ValueOf([]string{text}))
						}
					}
					add(in)
				}
			}
			add(policies.Input{Request: policies.Request{Parameters: []string{a, b}}})
			add(policies.Input{Request: policies.Request{Parameters: []string{a}, Includes: []string{b}}})
			add(policies.Input{Request: policies.Request{Parameters: []string{a + b}}})
			add(policies.Input{Ticket: policies.Ticket{ID: a, Category: b}, Purpose: a})
			add(policies.Input{Ticket: policies.Ticket{ID: a + b}, Purpose: a})
			add(policies.Input{Request: policies.Request{Entries: len(a), HasID: len(b) > 0}, Time: policies.Time{Hour: len(b)}})
		}
	}
	if len(seen) < 300 {
		t.Errorf("only %d inputs", len(seen))
	}
}

// The default bundle's decisions depend on no name of a person, patient or machine.
func TestDefaultReads(t *testing.T) {
	e := load(t, policies.Options{})
	want := []string{
		"input.break_glass.reason", "input.caller.roles", "input.context.tenant", "input.purpose", "input.request.interaction",
		"input.request.operation", "input.request.type", "input.ticket.category", "input.ticket.id", "input.time.hour", "input.time.weekday",
	}
	if got := e.Reads(); !slices.Equal(got, want) {
		t.Errorf("it reads %q", got)
	}
	if is, why := e.Cacheable(); !is || why != "" {
		t.Error(why)
	}
}

func TestReads(t *testing.T) {
	const head = "package halfdoor\n\n"
	whole := policies.LeafPaths()
	ticket := []string{"input.ticket.category", "input.ticket.id"}
	for _, tt := range []struct {
		name, rules string
		want        []string
	}{
		{"nothing", `decision := 1`, nil},
		{"a value", `decision := input.purpose`, []string{"input.purpose"}},
		{"an object", `decision := input.ticket`, ticket},
		{"an element", `decision := input.caller.roles[0]`, []string{"input.caller.roles"}},
		{"any element", `decision := count([r | r := input.caller.roles[_]])`, []string{"input.caller.roles"}},
		{"a name that is not constant", "decision := input.ticket[k] if { k := lower(\"ID\") }", ticket},
		{"any name", "decision := count([1 | input[_].id == \"x\"])", whole},
		{"another's rule that nothing uses", "decision := 1\n\nother := input.purpose", nil},
		{"by rules", "decision := a\n\na := b\n\nb := input.purpose", []string{"input.purpose"}},
		{"else", "decision := 1 if { input.purpose == \"a\" } else := 2 if { input.ticket.id == \"b\" }", []string{"input.purpose", "input.ticket.id"}},
		{"else that is a value", "decision := 1 if { false } else := input.purpose", []string{"input.purpose"}},
		{"alias in a rule that an else asks", "decision := 1 if { false } else := 2 if { a }\n\na if { t := input.ticket; t.id == \"b\" }", ticket},
		{"text with a part", "decision := $\"for {input.purpose}\"", []string{"input.purpose"}},
		{"alias in a rule that a part of the decision asks", "decision.reason := \"x\" if { a }\n\ndecision.allow := false if { false } else := true if { b }\n\na if input.purpose == \"x\"\n\nb if { x := input.ticket; x.id == \"b\" }", append([]string{"input.purpose"}, ticket...)},
		{"with data", "decision := 1 if { a with data.halfdoor.q as b }\n\na if data.halfdoor.q == \"x\"\n\nb := input.purpose", []string{"input.purpose"}},
		{"default that is a comprehension", "default decision := [p | p := input.purpose]\n\ndecision := 1 if false", []string{"input.purpose"}},
		{"index of data", "decision := data.halfdoor.datasets[input.purpose]", []string{"input.purpose"}},
		{"index of the input", "decision := input.ticket[input.purpose]", append([]string{"input.purpose"}, ticket...)},
		{"whole, to a function", "decision := f(input)\n\nf(x) := x.purpose", whole},
		{"part, to a function", "decision := f(input.ticket)\n\nf(x) := x.id", ticket},
		{"whole, to a built-in", "decision := json.marshal(input)", whole},
		{"object.get", "decision := object.get(input, [\"purpose\"], \"\")", whole},
		{"walk", "decision := count([1 | walk(input.ticket, [_, _])])", ticket},
		{"alias", "decision := t.id if { t := input.ticket }", ticket},
		{"alias of the whole", "decision := t.id if { x := input; t := x.ticket }", whole},
		{"rule as alias", "decision := t.id\n\nt := input.ticket", ticket},
		{"import", "import input.ticket as t\n\ndecision := t.id", []string{"input.ticket.id"}},
		{"pattern", "decision := id if { {\"id\": id, \"category\": _} = input.ticket }", ticket},
		{"every", "decision := 1 if { every r in input.caller.roles { r == input.purpose } }", []string{"input.caller.roles", "input.purpose"}},
		{"not", "decision := 1 if { not input.purpose == \"x\" }", []string{"input.purpose"}},
		{"with a value", "decision := 1 if { a with input.purpose as input.ticket.id }\n\na if input.purpose == \"x\"", []string{"input.purpose", "input.ticket.id"}},
		{"with a function", "decision := x if { x := a(1) with a as b }\n\na(x) := x\n\nb(_) := input.purpose", []string{"input.purpose"}},
		{"with a built-in", "decision := x if { x := count([]) with count as b }\n\nb(_) := input.purpose", []string{"input.purpose"}},
		{"with the whole", "decision := 1 if { a with input as {\"purpose\": \"x\"} }\n\na if input.purpose == \"x\"", whole},
		{"dynamic package", "decision := data.halfdoor.sub[k] if { k := lower(\"A\") }", []string{"input.purpose"}},
		{"dynamic package within", "decision := data.halfdoor.sub", []string{"input.purpose"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := withRules(t, head+tt.rules+"\n")
			tree["halfdoor/sub/a.rego"] = &fstest.MapFile{Data: []byte("package halfdoor.sub\n\na := input.purpose\n")}
			e := load(t, policies.Options{Bundle: tree})
			slices.Sort(tt.want)
			if got := e.Reads(); !slices.Equal(got, tt.want) {
				t.Errorf("reads %q, want %q", got, tt.want)
			}
		})
	}
}

func TestUnsteady(t *testing.T) {
	for call, want := range map[string]string{
		`time.now_ns()`:     "it calls time.now_ns, ",
		`rand.intn("x", 3)`: "it calls rand.intn, ",
		`io.jwt.decode_verify("", {"secret": "x"})`: "it calls io.jwt.decode_verify, ",
		`time.clock(7)`: "",
	} {
		got := policies.Unsteady(t, "package halfdoor\n\ndecision := [f(1), other]\n\nf(_) := "+call+"\n\nother := 1\n")
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q", call, got)
		}
	}
}

func TestRemembers(t *testing.T) {
	e := load(t, policies.Options{})
	first, err := e.Decide(context.Background(), call())
	if err != nil {
		t.Fatal(err)
	}
	other := call() // in all that the policy does not read
	other.Caller.Subject, other.Network.Source, other.Request.Parameters, other.Context.Patient = "agent-8", "192.0.2.99", []string{"date"}, "p"
	again, err := e.Decide(context.Background(), other)
	if err != nil || again != first {
		t.Errorf("decided anew: %v", err)
	}
	differs := call()
	differs.Request.Type = "Observation"
	if d, err := e.Decide(context.Background(), differs); err != nil || d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
	if r, n := e.Counts().Remembered, e.Counts().Evaluated; r != 1 || n != 2 {
		t.Errorf("%d remembered, %d evaluated", r, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Decide(ctx, call()); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone is answered: %v", err)
	}
	plain := load(t, policies.Options{NoCache: true})
	for range 2 {
		if _, err := plain.Decide(context.Background(), call()); err != nil {
			t.Fatal(err)
		}
	}
	if r, n := plain.Counts().Remembered, plain.Counts().Evaluated; r != 0 || n != 2 {
		t.Errorf("%d remembered, %d evaluated", r, n)
	}
}

// A failure is not remembered: it may have been the machine's.
func TestFailuresAreNotRemembered(t *testing.T) {
	e := load(t, policies.Options{Bundle: withRules(t, "package halfdoor\n\ndecision := 7\n")})
	for range 3 {
		if _, err := e.Decide(context.Background(), call()); !errors.Is(err, policies.ErrShape) {
			t.Fatal(err)
		}
	}
	if n, _ := e.Cached(); n != 0 || e.Counts().Evaluated != 3 {
		t.Errorf("%d entries, %d evaluated", n, e.Counts().Evaluated)
	}
}

// A flood of calls that all differ takes bounded memory, and does not push out what is asked for.
func TestFlood(t *testing.T) {
	e := load(t, policies.Options{Bundle: withRules(t, "package halfdoor\n\ndecision := {\"allow\": false, \"reason\": {\"code\": \"a\", \"text\": input.ticket.id}}\n")})
	ask := func(ticket string) {
		if _, err := e.Decide(context.Background(), &policies.Input{Ticket: policies.Ticket{ID: ticket}}); err != nil {
			t.Fatal(err)
		}
	}
	ask("T-1")
	evaluated := e.Counts().Evaluated
	const flood = 2 * policies.MaxEntries
	for i := range flood {
		ask(fmt.Sprintf("F-%d", i))
		if i%50 == 0 {
			ask("T-1")
		}
	}
	if got := e.Counts().Evaluated - evaluated; got != flood {
		t.Errorf("%d were evaluated: the call that was asked for all the time was forgotten", got)
	}
	if entries, bytes := e.Cached(); entries > policies.MaxEntries || entries < policies.MaxEntries/4 || bytes > policies.MaxBytes {
		t.Errorf("%d entries, %d bytes", entries, bytes)
	}
	long := strings.Repeat("x", 400)
	for i := range 3 * policies.MaxEntries / 2 {
		ask(fmt.Sprintf("%s-%d", long, i))
	}
	if entries, bytes := e.Cached(); bytes > policies.MaxBytes || entries < 1000 {
		t.Errorf("%d entries, %d bytes", entries, bytes)
	}
}

// A call with a key as long as an attacker likes is decided and not kept.
func TestLongKey(t *testing.T) {
	e := load(t, policies.Options{})
	in := call()
	in.Caller.Roles = []string{"helpdesk-scheduling", strings.Repeat("x", policies.MaxKey)}
	for range 2 {
		if d, err := e.Decide(context.Background(), in); err != nil || !d.Allow {
			t.Fatal(d, err)
		}
	}
	if n, _ := e.Cached(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestConcurrentCache(t *testing.T) {
	e := load(t, policies.Options{Bundle: withRules(t, "package halfdoor\n\ndecision := {\"allow\": false, \"reason\": {\"code\": \"a\", \"text\": input.ticket.id}}\n")})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 3000 {
				id := fmt.Sprint(i % (1 + 300*(g%3)))
				d, err := e.Decide(context.Background(), &policies.Input{Ticket: policies.Ticket{ID: id + "."}})
				if err != nil || d.Reason.Text != id+"." {
					t.Errorf("%s: %+v, %v", id, d, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
