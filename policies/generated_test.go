package policies_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/policies"
)

// A generated policy is a few bits, each from one way of reading the input, in the code of its reason. The values of the
// input are few, so that it is seen when a bit depends on one that the key does not have.

// ways are how a rule can read the input. P is a text of the input, O an object of it and K one of its names, L a list,
// V a value.
var ways = []string{
	`P == "V"`,
	`P != "V"`,
	`not P == "V"`,
	`some k in ["K", "none"]; O[k] == "V"`,
	`some k; O[k] == "V"`,
	`some k, v in O; k == "K"; v == "V"`,
	`O[lower("K")] == "V"`,
	`input[O2].K2 == "V"`,
	`x := O; x.K == "V"`,
	`x := O; y := x; y.K == "V"`,
	`x := input; x.OBJ.K == "V"`,
	`x := input; y := x.OBJ; z := y.K; z == "V"`,
	`[x, y] := [O, P]; x.K == y`,
	`x := {"in": O}; x["in"].K == "V"`,
	`x := [O, 1]; x[0].K == "V"`,
	`object.get(input, ["OBJ", "K"], "") == "V"`,
	`object.get(O, "K", "") == "V"`,
	`contains(json.marshal(input), "\"K\":\"V\"")`,
	`contains(sprintf("%v", [O]), "V")`,
	`walk(input, [["OBJ", "K"], v]); v == "V"`,
	`walk(O, [_, v]); v == "V"`,
	`count([v | some v in O; v == "V"]) == 1`,
	`{v | v := O[_]} & {"V"} != set()`,
	`count({k: v | some k, v in O; v == "V"}) == 2`,
	`some v in L; v == "V"`,
	`"V" in L`,
	`L[0] == "V"`,
	`L[_] == P`,
	`x := L; x[count(x) - 1] == "V"`,
	`every v in L { v != "V" }`,
	`every v in O { v != P }`,
	`count(L) == 1`,
	`concat(",", L) == "V,V"`,
	`not missing(O)`,
	`whole(input, "OBJ", "K") == "V"`,
	`part(O).K == "V"`,
	`fallback(P) == 1`,
	`chosen == "V"`,
	`elsewhere == "V"`,
	`imported.id == "V"`,
	`other with input.purpose as P`,
	`other with input.purpose as "a" with data.halfdoor.table as {"a": P}`,
	`other with input as {"purpose": P}`,
	`mocked(P) == "V" with mocked as pass`,
	`count(O) == "V" with count as pick`,
	`data.halfdoor.table[P] == "V"`,
	`name := lower("PARTS"); data.halfdoor.sub[name].purpose == "V"`,
	`data.halfdoor.sub.parts.all.purpose == "V"`,
	`some rule, v in data.halfdoor.sub.parts; rule == "purpose"; v == "V"`,
	`x := P; x == "V"; O.K == x`,
	`x := O; x.K == "V"; not contains(json.marshal(x), "\"a\"")`,
	`{"id": id, "category": _} = input.ticket; id == "V"`,
	`input.time.hour >= 9`,
	`input.request.has_id`,
	`input.request.entries + input.time.hour == 9`,
	`walk(data.halfdoor.sub, [_, v]); v == "V"`,
}

const library = `
table := {"a": "b", "b": "a", "": "a"}

other if data.halfdoor.table[input.purpose] == "b"

default chosen := ""

chosen := input.ticket.id if {
	input.purpose == "a"
} else := input.ticket.category if {
	input.purpose == "b"
}

default elsewhere := "none"

elsewhere := data.halfdoor.sub.parts.purpose if input.request.has_id

default fallback(_) := 2

fallback(x) := 1 if x == input.request.type

missing(x) if not x[input.purpose]

whole(x, a, b) := x[a][b]

part(x) := x

mocked(_) := ""

pass(x) := x

pick(x) := v if {
	some v in x
	v == input.purpose
} else := ""
`

const subPackage = `package halfdoor.sub.parts

purpose := input.purpose

all := input
`

var (
	objects = map[string][]string{
		"caller":  {"subject", "issuer", "client", "fhir_user", "binding"},
		"ticket":  {"id", "category"},
		"request": {"interaction", "type", "operation"},
		"context": {"patient", "encounter", "ehr", "tenant"},
		"network": {"source"},
	}
	lists = []string{"input.caller.roles", "input.request.parameters", "input.request.includes"}
)

// generated is a policy of some bits, and what it is made of.
func generated(r *rand.Rand) string {
	names := []string{"caller", "ticket", "request", "context", "network"}
	var bits, list []string
	for i := range 1 + r.IntN(3) {
		object := names[r.IntN(len(names))]
		key := objects[object][r.IntN(len(objects[object]))]
		second := names[r.IntN(len(names))]
		text := "input." + second + "." + objects[second][r.IntN(len(objects[second]))]
		if r.IntN(4) == 0 {
			text = "input.purpose"
		}
		body := strings.NewReplacer(
			"PARTS", "PARTS", "O2", fmt.Sprintf("lower(%q)", strings.ToUpper(object)), "K2", key,
			"OBJ", object, "O", "input."+object, "K", key, "P", text, "L", lists[r.IntN(len(lists))], "V", []string{"a", "b"}[r.IntN(2)],
		).Replace(ways[r.IntN(len(ways))])
		bits = append(bits, fmt.Sprintf("bit%d := 1 if { %s } else := 0", i, body))
		list = append(list, fmt.Sprintf("bit%d", i))
	}
	return "package halfdoor\n\nimport input.ticket as imported\n\n" +
		fmt.Sprintf("decision := {\"allow\": false, \"reason\": {\"code\": sprintf(\"c%s\", [%s]), \"text\": \"T.\"}, \"purpose\": imported_once}\n\n",
			strings.Repeat("%d", len(list)), strings.Join(list, ", ")) +
		"imported_once := \"\" if not imported.id == \"never\"\n\n" + strings.Join(bits, "\n\n") + "\n" + library
}

// step changes one value of the input, of the few that there are.
func step(r *rand.Rand, in *policies.Input) {
	value := []string{"", "a", "b"}[r.IntN(3)]
	texts := []*string{
		&in.Caller.Subject, &in.Caller.Issuer, &in.Caller.Client, &in.Caller.FHIRUser, &in.Caller.Binding, &in.Ticket.ID, &in.Ticket.Category,
		&in.Purpose, &in.Purpose, &in.Request.Interaction, &in.Request.Type, &in.Request.Operation, &in.Context.Patient, &in.Context.Encounter,
		&in.Context.EHR, &in.Context.Tenant, &in.Network.Source, &in.BreakGlass.Reason,
	}
	switch n := r.IntN(len(texts) + 6); n - len(texts) {
	case 0:
		in.Request.HasID = !in.Request.HasID
	case 1:
		in.Request.Entries = r.IntN(2)
	case 2:
		in.Time.Hour = 8 + r.IntN(2)
	case 3, 4, 5:
		list := []*[]string{&in.Caller.Roles, &in.Request.Parameters, &in.Request.Includes}[n-len(texts)-3]
		*list = nil
		for range r.IntN(3) {
			*list = append(*list, []string{"a", "b"}[r.IntN(2)])
		}
	default:
		*texts[n] = value
	}
}

// differ walks through inputs and compares the decisions of two engines; it returns the first that differ. Each step goes
// from an input that was just asked about to one that differs in one value.
func differ(t *testing.T, r *rand.Rand, one, other *policies.Engine, steps int) string {
	t.Helper()
	at := policies.Input{}
	for range steps {
		next := at
		in := &next
		step(r, in)
		if r.IntN(3) == 0 {
			at = next
		}
		a, errA := one.Decide(context.Background(), in)
		b, errB := other.Decide(context.Background(), in)
		if fmt.Sprint(errA) != fmt.Sprint(errB) {
			return fmt.Sprintf("%s: %v, %v", policies.InputJSON(t, in), errA, errB)
		}
		if errA == nil && !reflect.DeepEqual(a, b) {
			return fmt.Sprintf("%s: %+v, %+v", policies.InputJSON(t, in), a, b)
		}
	}
	return ""
}

func generatedTree(t *testing.T, rules string) fstest.MapFS {
	t.Helper()
	tree := withRules(t, rules)
	tree["halfdoor/sub/parts/parts.rego"] = &fstest.MapFile{Data: []byte(subPackage)}
	return tree
}

// What is remembered is what the rules would have said.
func TestRememberedAsDecided(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	remembering, codes := 0, map[string]bool{}
	for range 250 {
		rules := generated(r)
		tree := generatedTree(t, rules)
		o := policies.Options{Bundle: tree, Compartment: compartment}
		cached, err := policies.Load(o)
		if err != nil {
			if strings.Contains(err.Error(), "match error") || strings.Contains(err.Error(), "undefined ref") {
				continue // the schema tells that this can never hold
			}
			t.Fatalf("%s\n%v", rules, err)
		}
		if diff := differ(t, r, cached, load(t, policies.Options{Bundle: tree, NoCache: true}), 150); diff != "" {
			// The two engines are of the same files and thus of one revision.
			t.Fatalf("%s\nreads %v\n%s", rules, cached.Reads(), diff)
		}
		if cached.Counts().Remembered > 0 {
			remembering++
		}
		for _, source := range []string{"", "a", "b"} {
			in := &policies.Input{Purpose: source, Ticket: policies.Ticket{ID: source, Category: source}}
			if d, err := cached.Decide(context.Background(), in); err == nil {
				codes[d.Reason.Code] = true
			}
		}
	}
	if remembering < 200 || len(codes) < 8 {
		t.Errorf("%d policies were remembered, which said %v", remembering, codes)
	}
}

// The same of the default bundle, on calls of its desks.
func TestDefaultRememberedAsDecided(t *testing.T) {
	cached, plain := load(t, policies.Options{}), load(t, policies.Options{NoCache: true})
	r := rand.New(rand.NewPCG(5, 6))
	for range 4000 {
		in := randomInput(r)
		a, errA := cached.Decide(context.Background(), in)
		b, errB := plain.Decide(context.Background(), in)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		a, b = without(a), without(b)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\nis remembered as %+v\nand decided as %+v", in, a, b)
		}
	}
	if cached.Counts().Remembered < 1000 {
		t.Errorf("%d were remembered", cached.Counts().Remembered)
	}
}

// The walk through inputs finds a read that the key does not have.
func TestMissedReadIsSeen(t *testing.T) {
	for way, missed := range map[string]string{
		`input.ticket.id == "a"`:                      "input.ticket.id",
		`"a" in input.caller.roles`:                   "input.caller.roles",
		`walk(input, [["request", "type"], "b"])`:     "input.request.type",
		`input.time.hour >= 9`:                        "input.time.hour",
		`x := input; y := x.context; y.tenant == "a"`: "input.context.tenant",
	} {
		rules := "package halfdoor\n\ndecision := {\"allow\": false, \"reason\": {\"code\": sprintf(\"c%d\", [bit]), \"text\": \"T.\"}}\n\nbit := 1 if { " + way + " } else := 0\n"
		tree := withRules(t, rules)
		cached := load(t, policies.Options{Bundle: tree})
		if !cached.Unread(missed) {
			t.Fatalf("%s does not read %s", way, missed)
		}
		r := rand.New(rand.NewPCG(7, 8))
		if differ(t, r, cached, load(t, policies.Options{Bundle: tree, NoCache: true}), 400) == "" {
			t.Errorf("%s: nobody sees that %s is missing", way, missed)
		}
	}
}
