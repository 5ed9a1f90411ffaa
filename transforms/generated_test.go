package transforms_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// TestGenerated compares the filter with the oracle on datasets and documents made at random from few names, so that
// rows and members meet: shapes that no server would answer with. The seeds are fixed.
func TestGenerated(t *testing.T) {
	docs := 400
	if testing.Short() {
		docs = 40
	}
	for seed := range uint64(50) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 7))}
		ds, plan := g.dataset(t)
		released := 0
		for n := range docs {
			doc := g.document()
			o := options()
			g.ask(&o)
			want := reference.Filter(ds, parts, o, doc)
			got := filter(t, plan, chunks{bytes.NewReader(doc), 1 + g.IntN(200)}, transforms.Buffered(o, 512<<g.IntN(4)))
			agree(t, fmt.Sprintf("seed %d, document %d", seed, n), doc, want, got, o)
			if t.Failed() {
				t.Fatalf("%s\n%v\n got %s\nwant %v", doc, ds.Resources, got.body, want.Value)
			}
			for _, at := range token.FindAllSubmatchIndex(got.body, -1) {
				if kind, value := openToken(token.FindSubmatch(got.body[at[0]:at[1]])); kind == "Patient" {
					named(t, "generated", got, at[0], reference.Subject{Type: kind, ID: value})
				}
			}
			released += len(got.report.Released)
		}
		if released == 0 {
			t.Errorf("seed %d: nothing was released", seed)
		}
	}
}

// TestAnyOrder has members that decide on each other come in every order.
func TestAnyOrder(t *testing.T) {
	f := load(t, "order", `{"resources": {"Patient": {"a": "keep", "b": "keep", "b.text": "keep", "link.other": "reference"}}}`)
	for _, members := range [][]string{
		{`"reference":"#c"`, `"_reference":{"id":"r"}`, `"text":{"div":"x"}`, `"_text":{"id":"t"}`, `"x":1`, `"y":{}`},
		{`"reference":"Patient/p1"`, `"_reference":{"id":"r"}`, `"text":{"div":"x","a":1}`, `"_text":{"id":"t"}`, `"display":"d"`, `"x":[]`},
		{`"reference":"#c"`, `"_reference":{"extension":[1]}`, `"text":"x"`, `"_text":[{"id":"t"}]`, `"type":"Patient"`},
		{`"reference":null`, `"_reference":{"id":"r"}`, `"text":null`, `"_text":{"id":"t"}`, `"_display":{"id":"d"}`},
		{`"reference":{"reference":"#c"}`, `"_reference":"r"`, `"text":[{"div":"x"}]`, `"_text":"t"`, `"type":1`},
	} {
		permute(members, func(members []string) {
			object := "{" + strings.Join(members, ",") + "}"
			doc := []byte(`{"resourceType":"Patient","a":[` + object + `,` + object + `],"b":` + object + `,"link":[{"other":` + object + `}]}`)
			o := options()
			agree(t, object, doc, reference.Filter(f.ds, nil, o, doc), filter(t, f.plan, bytes.NewReader(doc), o), o)
		})
	}
}

// permute calls f with s in each of its orders.
func permute[T any](s []T, f func([]T)) {
	var at func(int)
	at = func(n int) {
		if n == len(s) {
			f(s)
			return
		}
		for i := n; i < len(s); i++ {
			s[n], s[i] = s[i], s[n]
			at(n + 1)
			s[n], s[i] = s[i], s[n]
		}
	}
	at(0)
}

// The tag of what was reduced.
const (
	tagSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	tagCode   = "SUBSETTED"
)

type generator struct{ *rand.Rand }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

// one reports true once in n times.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

var (
	elements = []string{"a", "b", "subject", "coding"}
	specials = []string{"extension", "modifierExtension", "display", "text", "div", "contained", "reference", "type", "id"}
	parts    = transforms.Compartment{"Encounter": {"subject", "a.subject"}, "Observation": {"b", "coding.a", "meta.a"}}
)

func (g generator) name() string {
	if g.one(2) {
		return pick(g, specials...)
	}
	return pick(g, elements...)
}

// dataset makes rows until they are some that compile.
func (g generator) dataset(t *testing.T) (*transforms.Dataset, *transforms.Plan) {
	for {
		resources, require := map[string]map[string]any{}, map[string][]string{}
		for _, kind := range []string{"Patient", "Encounter", "Observation"} {
			rows := map[string]any{}
			for range 1 + g.IntN(8) {
				path := pick(g, pick(g, elements...), pick(g, elements...), g.name(), pick(g, "meta", "meta.tag", "meta.security", "id", "meta.tag.code"))
				if g.one(5) && !strings.HasPrefix(path, "meta") {
					path += g.conditions()
				}
				for g.one(3) {
					path += "." + g.name()
					if g.one(5) && !strings.HasSuffix(path, "text") {
						path += g.conditions()
					}
				}
				if g.one(12) {
					path = pick(g, "*", path+".*")
					rows[path] = "keep"
					continue
				}
				rows[path] = pick[any](g, "keep", "keep", "keep", "keep", "token", "mask", "year", "reference", "month", "shift", "shift", "hash",
					map[string]any{"fixed": pick[any](g, "é", 1, true)}, "remove")
				if rows[path] == "keep" && g.one(2) {
					rows[path+"."+pick(g, "extension", "display", "text", "modifierExtension", "a.display", "coding.extension", "extension[type=x]", "coding[a=x].extension")] = "keep"
				}
			}
			if g.one(2) {
				rows["contained"] = "keep"
			}
			resources[kind] = rows
			if path := pick(g, slices.Sorted(maps.Keys(rows))...); g.one(2) && path[0] != '*' {
				require[kind] = []string{path[:strings.IndexAny(path+".", ".[")]}
			}
		}
		if g.one(2) {
			resources["Parameters"] = map[string]any{"parameter.value" + pick(g, "", "A", "A.coding", "A.subject"): pick(g, "keep", "token", "reference")}
		}
		doc, err := json.Marshal(map[string]any{"title": "Generated", "version": 1, "resources": resources, "require": require})
		if err != nil {
			t.Fatal(err)
		}
		ds, err := transforms.ParseDataset("generated", doc)
		if err != nil {
			continue // rows that contradict each other
		}
		plan, err := transforms.Compile(ds, parts)
		if err != nil {
			t.Fatalf("%s parses, but does not compile: %v", doc, err)
		}
		return ds, plan
	}
}

// conditions are such as some of the documents' objects meet.
func (g generator) conditions() string {
	value := func() string { return pick(g, "x", "x", "1974", "'p1'", `'"\\`+"\n'") }
	if g.one(3) {
		return "[type=" + value() + ",a=" + value() + "]"
	}
	return "[" + pick(g, "type", "type", "a", "reference", "id") + "=" + value() + "]"
}

func (g generator) ask(o *transforms.Options) {
	o.Window = pick(g, 1, 50, 0)
	o.Total = g.one(2)
	if g.one(2) {
		o.Link = links
	}
	if g.one(3) {
		o.Patient = "p1"
	}
	if g.one(3) {
		o.DenyLabels = []transforms.Label{{System: "s", Code: "R"}, {System: tagSystem, Code: tagCode}}
	}
	if g.one(4) {
		o.Types = []string{pick(g, "Patient", "Encounter"), pick(g, "Parameters", "Observation", "Claim")}
	}
	if g.one(4) {
		o.Searched = []string{pick(g, "Patient", "Encounter", "Observation", "Claim")}
	}
	if g.one(6) {
		o.EntryID = pick(g, "p1", "p2")
	}
	if g.one(6) {
		o.BundleType = pick(g, bundles...)
	}
	if g.one(6) {
		o.Root = pick(g, "Bundle", "Patient", "Encounter", "OperationOutcome")
		if g.one(2) {
			o.RootID = pick(g, "p1", "p2")
		}
	}
}

// members writes an object of the given members, in any order, between any white space, with any escapes.
func (g generator) members(members map[string]func() string) string {
	names := slices.Sorted(maps.Keys(members))
	g.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	out := "{" + g.space()
	for i, name := range names {
		if i > 0 {
			out += "," + g.space()
		}
		out += g.quote(name) + g.space() + ":" + g.space() + members[name]() + g.space()
	}
	return out + "}"
}

func (g generator) space() string {
	if g.one(8) {
		return pick(g, " ", "\n", "\t\r", "            ")
	}
	return ""
}

func (g generator) quote(s string) string {
	out := `"`
	for _, c := range s {
		switch {
		case g.one(80) && c < 0x10000:
			out += fmt.Sprintf(`\u%04x`, c)
		case c == '"' || c == '\\' || c == '/' && g.one(4):
			out += `\` + string(c)
		case c < ' ':
			out += fmt.Sprintf(`\u%04X`, c)
		default:
			out += string(c)
		}
	}
	return out + `"`
}

func (g generator) text() string {
	return g.quote(pick(g, "", "x", "1974", "1974-12", "19741", "p1", "R", "s", "é", "😀", "\u2028", "\"\\\n", "Patient", "long text of more than a word or two",
		"x", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "9999", "2020-01-31T23:59:60.5-14:00", "2020-02-30T00:00:00Z", "2020-02-03T00:00:00Z", "2020-02-03T"))
}

func (g generator) literal() string {
	return g.quote(pick(g, "Patient/p1", "Patient/p2", "Encounter/e1", "https://ehr.example.org/fhir/Patient/p1",
		"https://ehr.example.org/fhir/Observation/o/_history/1", "Patient/p3/_history/2", "#x", "#y", "#x", "urn:uuid:1", "Patient", ""))
}

func (g generator) document() []byte {
	switch {
	case g.one(12):
		return []byte(g.bundle())
	case g.one(12):
		return []byte(g.parameters())
	case g.one(40):
		return []byte(g.value(0))
	}
	return []byte(pick(g, g.resource, g.resource, g.bundle)())
}

func (g generator) bundle() string {
	m := map[string]func() string{}
	for _, name := range []string{"type", "total", "link", "entry", "id", "meta", "other"} {
		if g.one(2) {
			m[name] = func() string { return g.value(2) }
		}
	}
	if !g.one(20) {
		m["resourceType"] = func() string {
			return g.quote(pick(g, "Bundle", "Bundle", "Bundle", "Bundle", "Bundle", "Bundle", "List"))
		}
		m["entry"] = func() string { return g.array(g.entry) }
	}
	if g.one(2) {
		m["type"] = func() string { return g.quote(pick(g, bundles...)) }
	}
	if g.one(2) {
		m["link"] = func() string { return g.array(g.link) }
		m["total"] = func() string { return pick(g, "0", "12", "1E2", "-1") }
	}
	return g.members(m)
}

func (g generator) link() string {
	return g.members(map[string]func() string{
		"relation": func() string { return pick(g, `"self"`, `"next"`, `"other"`, "1") }, "url": g.text, "x": func() string { return g.value(3) },
	})
}

func (g generator) entry() string {
	if g.one(15) {
		return g.value(2)
	}
	m := map[string]func() string{"resource": g.resource, "x": func() string { return g.value(3) }}
	if g.one(2) {
		m["fullUrl"] = g.literal
	}
	if g.one(3) {
		m["response"] = func() string { return g.some(g.response) }
	}
	if g.one(5) {
		m["request"] = func() string {
			return g.some(func() string {
				return g.members(map[string]func() string{
					"method": func() string { return g.some(func() string { return g.quote(pick(g, "GET", "PUT", "get", "DELETE")) }) },
					"url": func() string {
						return pick(g, g.literal, g.literal, func() string { return g.quote(pick(g, "Patient", "Claim", "Patient?name=x", "Claim/9")) })()
					},
				})
			})
		}
	}
	if g.one(4) {
		delete(m, "resource")
	}
	if g.one(2) {
		m["search"] = func() string {
			return g.members(map[string]func() string{
				"mode": g.text, "score": func() string { return pick(g, "0.50", "1", "null") }, "extension": g.grades,
			})
		}
	}
	return g.members(m)
}

// grades are what a match's entry says of how sure it is, or something like it.
func (g generator) grades() string {
	const url = "http://hl7.org/fhir/StructureDefinition/match-grade"
	return g.some(func() string {
		return g.array(func() string {
			return g.members(map[string]func() string{
				"url":       func() string { return g.quote(pick(g, url, url, url, "x")) },
				"valueCode": func() string { return g.quote(pick(g, "certain", "certainly-not", "Zenobia")) },
				pick(g, "id", "valueString", "extension"): func() string { return g.value(5) },
			})
		})
	})
}

var bundles = []string{"searchset", "history", "collection", "document", "message", "batch-response", "batch-response", "transaction-response"}

// some is mostly of the shape that is wanted.
func (g generator) some(of func() string) string {
	if g.one(12) {
		return g.value(5)
	}
	return of()
}

func (g generator) response() string {
	m := map[string]func() string{"etag": g.text, "lastModified": g.text}
	if !g.one(4) {
		m["status"] = func() string {
			return g.some(func() string { return g.quote(pick(g, "200", "201 Created", "2000", "20", "4x4", "404 x")) })
		}
	}
	if g.one(2) {
		m["location"] = func() string { return pick(g, g.literal, func() string { return g.some(g.text) })() }
	}
	if g.one(2) {
		m["outcome"] = func() string { return g.some(pick(g, g.outcome, g.outcome, g.resource)) }
	}
	return g.members(m)
}

func (g generator) outcome() string {
	return g.members(map[string]func() string{
		"resourceType": func() string { return `"OperationOutcome"` }, "issue": g.issues, "meta": g.meta, "x": g.text,
	})
}

func (g generator) issues() string {
	return g.array(func() string {
		return g.members(map[string]func() string{"severity": g.text, "code": func() string { return g.value(4) }, "x": g.text})
	})
}

func (g generator) resource() string {
	switch g.IntN(24) {
	case 0, 1:
		return g.bundle()
	case 2:
		return g.parameters()
	}
	m := map[string]func() string{}
	for range g.IntN(8) {
		g.member(m, 1)
	}
	if g.one(4) {
		g.lists(m)
	}
	if !g.one(30) {
		m["resourceType"] = func() string {
			return g.quote(pick(g, "Patient", "Patient", "Encounter", "Encounter", "Observation", "Observation", "OperationOutcome", "Claim", "Bundle"))
		}
	}
	if !g.one(4) {
		m["id"] = func() string { return pick(g, `"p1"`, `"p1"`, `"p2"`, g.text()) }
	}
	if g.one(3) {
		m["meta"] = g.meta
	}
	if g.one(3) {
		m["contained"] = func() string { return g.array(func() string { return g.some(g.local) }) }
	}
	if g.one(10) {
		m["issue"] = g.issues
	}
	return g.members(m)
}

// local is a contained resource.
func (g generator) local() string {
	m := map[string]func() string{"id": func() string { return g.quote(pick(g, "x", "y", "z", "", "é")) }}
	for range g.IntN(5) {
		g.member(m, 3)
	}
	if !g.one(60) {
		m["resourceType"] = func() string { return g.quote(pick(g, "Patient", "Encounter", "Observation", "Claim", "Bundle")) }
	}
	if g.one(4) {
		m["meta"] = g.meta
	}
	return g.members(m)
}

func (g generator) parameters() string {
	m := map[string]func() string{"parameter": func() string {
		return g.array(func() string { return g.some(func() string { return g.parameter(0) }) })
	}}
	if !g.one(30) {
		m["resourceType"] = func() string { return `"Parameters"` }
	}
	if g.one(3) {
		m["meta"] = g.meta
	}
	if g.one(3) {
		g.member(m, 1)
	}
	return g.members(m)
}

func (g generator) parameter(depth int) string {
	m := map[string]func() string{"name": func() string { return g.some(g.text) }}
	for _, name := range []string{"value", "valueA", "valueB"} {
		if g.one(2) {
			m[name] = func() string { return pick(g, g.referring, g.text, func() string { return g.value(4) })() }
		}
	}
	if g.one(3) {
		m["resource"] = func() string { return g.some(g.resource) }
	}
	if g.one(3) && depth < 3 {
		m["part"] = func() string {
			return g.array(func() string { return g.some(func() string { return g.parameter(depth + 1) }) })
		}
	}
	if g.one(4) {
		m[pick(g, "_name", "_valueA", "_part", "x")] = g.sibling
	}
	return g.members(m)
}

func (g generator) meta() string {
	if g.one(6) {
		return g.value(3)
	}
	m := map[string]func() string{}
	for _, name := range []string{"tag", "security"} {
		m[name] = func() string {
			if g.one(5) {
				return g.value(4)
			}
			return g.array(g.coding)
		}
	}
	g.member(m, 3)
	return g.members(m)
}

func (g generator) coding() string {
	if g.one(6) {
		return g.value(5)
	}
	m := map[string]func() string{
		"system": func() string { return g.quote(pick(g, "s", tagSystem)) },
		"code":   func() string { return g.quote(pick(g, "R", "N", tagCode)) },
	}
	if g.one(3) {
		g.member(m, 5)
	}
	return g.members(m)
}

// member adds a member of a plan's name, with or without an underscore.
func (g generator) member(m map[string]func() string, depth int) {
	name := g.name()
	switch {
	case g.one(5):
		name = "_" + name
	case g.one(30):
		name = pick(g, "_", "", "__a", "resourceType", "unknown", "é", "modifierExtensionX")
	}
	m[name] = func() string {
		switch {
		case name == "reference" && !g.one(6):
			return g.literal()
		case name == "_reference" || name == "_text":
			return g.sibling()
		case name == "subject" && !g.one(3), g.one(4):
			return pick(g, g.referring, func() string { return g.array(g.referring) }, func() string { return g.array(func() string { return g.array(g.referring) }) })()
		}
		return g.value(depth + 1)
	}
}

// referring is what a Reference or a CodeableConcept may look like: with members that leave or do not, and others
// that follow them.
func (g generator) referring() string {
	m := map[string]func() string{"reference": g.literal}
	for _, name := range []string{"_reference", "_text", "_display"} {
		if g.one(2) {
			m[name] = g.sibling
		}
	}
	if g.one(3) {
		m["text"] = func() string { return pick(g, g.text(), `{"div":"x"}`, `{"a":1}`) }
	}
	if g.one(3) {
		m[pick(g, "display", "type", "a")] = g.text
	}
	if g.one(5) {
		delete(m, "reference")
	}
	return g.members(m)
}

// sibling is the value of a name with an underscore. It names nobody: what a reference in there is worth depends on
// what follows it.
func (g generator) sibling() string {
	return pick(g, "null", "{}", "[]", g.text(), `{"id":"x"}`, `{"extension":[{"url":"x"}]}`, `[null,{"id":"x"},{"extension":[1]}]`)
}

func (g generator) array(element func() string) string {
	out := "[" + g.space()
	for i := range g.IntN(4) {
		if i > 0 {
			out += "," + g.space()
		}
		out += element() + g.space()
	}
	return out + "]"
}

// lists are an element's and its sibling's, with places that hold nothing.
func (g generator) lists(m map[string]func() string) {
	name := pick(g, elements...)
	m[name] = func() string {
		return g.array(func() string { return pick(g, "null", "null", `"x"`, `"1974"`, "[null,1]", "{}", `{"a":[null]}`) })
	}
	m["_"+name] = func() string {
		return g.array(func() string {
			return pick(g, "null", "null", `{"id":"x"}`, `{"extension":[{"url":"x"}]}`, `{"a":[null,1],"_a":[{"id":"x"}]}`)
		})
	}
}

func (g generator) value(depth int) string {
	switch n := g.IntN(10); {
	case n < 2 && depth < 7:
		return g.array(func() string { return g.value(depth + 1) })
	case n < 6 && depth < 7:
		m := map[string]func() string{}
		for range g.IntN(5) {
			g.member(m, depth)
		}
		if g.one(5) {
			g.lists(m)
		}
		return g.members(m)
	case n < 8:
		return g.text()
	}
	return pick(g, "null", "true", "false", "0", "-1.50", "1e3", "1974", "{}", "[]", `""`)
}
