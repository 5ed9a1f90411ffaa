package transforms_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// TestAlike compares the filter with the oracle on Bundles of resources that repeat each other's members, in an order
// that they mostly keep: what is remembered of one must not show in another that differs.
func TestAlike(t *testing.T) {
	docs := 30
	if testing.Short() {
		docs = 10
	}
	for seed := range uint64(40) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 11))}
		ds, plan := g.dataset(t)
		for n := range docs {
			doc := g.alike()
			o := options()
			g.ask(&o)
			want := reference.Filter(ds, parts, o, doc)
			got := filter(t, plan, chunks{bytes.NewReader(doc), 1 + g.IntN(9000)}, transforms.Buffered(o, 512<<g.IntN(7)))
			agree(t, fmt.Sprintf("seed %d, document %d", seed, n), doc, want, got, o)
			if t.Failed() {
				t.Fatalf("%s\n%v\n got %s\nwant %v", doc, ds.Resources, got.body, want.Value)
			}
			for _, at := range token.FindAllSubmatchIndex(got.body, -1) {
				if kind, value := openToken(token.FindSubmatch(got.body[at[0]:at[1]])); kind == "Patient" {
					named(t, "alike", got, at[0], reference.Subject{Type: kind, ID: value})
				}
			}
		}
	}
}

// alike is a searchset of resources of one type, now and then of another, whose members have few values.
func (g generator) alike() []byte {
	kind := pick(g, "Patient", "Encounter", "Observation")
	m := map[string]func() string{"id": g.text, "meta": g.meta, "subject": g.referring, "coding": func() string { return g.value(2) }}
	for range 6 {
		g.member(m, 1)
	}
	if g.one(4) {
		m["contained"] = func() string { return g.array(func() string { return g.some(g.local) }) }
	}
	delete(m, "resourceType")
	names := slices.Sorted(maps.Keys(m))
	g.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	pool := map[string][]string{}
	for _, name := range names {
		for range 1 + g.IntN(3) {
			pool[name] = append(pool[name], m[name]())
		}
	}
	var out strings.Builder
	out.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := range 12 + g.IntN(30) {
		if i > 0 {
			out.WriteByte(',')
		}
		if g.one(15) {
			out.WriteString(`{"resource":` + g.resource() + `}`)
			continue
		}
		out.WriteByte('{')
		if !g.one(4) {
			base := pick(g, "https://ehr.example.org/fhir/", "https://ehr.example.org/fhir/", "https://ehr2.example.org/r4/", "https://other.example.org/fhir/", "")
			out.WriteString(`"fullUrl":` + g.quote(base+pick(g, kind, kind, kind, "Patient", "")+"/"+pick(g, "p1", "p2", "o", "o/_history/1", "", "é", strings.Repeat("x", 64), strings.Repeat("x", 65))) + `,`)
		}
		if !g.one(4) {
			out.WriteString(`"search":` + pick(g, searches...) + `,`)
		}
		out.WriteString(`"resource":{"resourceType":"` + kind + `"`)
		order := names
		if g.one(15) {
			order = slices.Clone(names)
			g.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		for _, name := range order {
			if g.one(6) {
				continue
			}
			value := pick(g, pool[name]...)
			if g.one(12) {
				value = m[name]()
			}
			if g.one(4000) {
				name = names[0] // perhaps twice
			}
			out.WriteString("," + g.space() + g.quote(name) + ":" + g.space() + value)
		}
		out.WriteString(`}}`)
	}
	out.WriteString(`]}`)
	return []byte(out.String())
}

var searches = []string{`{"mode":"match"}`, `{"mode":"match"}`, `{"mode":"include","score":0.5}`, `{"mode":"Match"}`, `{}`}

// TestEchoes has resources that say what others said, and asks for few of their tokens anew; but in the next stream,
// where they may be others.
func TestEchoes(t *testing.T) {
	f := load(t, "narrow", narrow)
	var entries []string
	for n := range 200 {
		entries = append(entries, fmt.Sprintf(`{"resource":{"resourceType":"Encounter","id":"e%d","status":"finished","serviceProvider":{"reference":"Organization/o%d","display":"x"}}}`, n, n%2))
	}
	doc := bundleOf(entries)
	for _, by := range []string{"a", "b"} {
		counting := &renamed{by: by}
		o := options()
		o.Tokens = counting
		got := filter(t, f.plan, bytes.NewReader(doc), o)
		if got.err != nil || got.report.Tokenized["Encounter.serviceProvider"] != 200 || bytes.Count(got.body, []byte(`"Organization/`+by+"o1")) != 100 {
			t.Errorf("error %v, report %v, body %.300s", got.err, got.report, got.body)
		}
		if counting.asked < 202 || counting.asked > 220 {
			t.Errorf("%d tokens were asked for", counting.asked)
		}
	}
}

// TestEchoesLead has an included resource leave behind what repeats a reference that did not leave before.
func TestEchoesLead(t *testing.T) {
	f := load(t, "included", `{"resources": {"Encounter": {"id": "token", "participant.individual": "reference"}, "Practitioner": {"id": "token"}}}`)
	encounter := func(patient string) string {
		return `{"resource":{"resourceType":"Encounter","subject":{"reference":"Patient/` + patient + `"},"participant":[{"individual":{"reference":"Practitioner/d1"}}]}}`
	}
	doc := bundleOf(append(slices.Repeat([]string{encounter("p2")}, 9), encounter("p1"),
		`{"resource":{"resourceType":"Practitioner","id":"d2"}}`, `{"resource":{"resourceType":"Practitioner","id":"d1"}}`))
	o := options()
	o.Searched, o.Patient = []string{"Encounter"}, "p1"
	got := filter(t, f.plan, bytes.NewReader(doc), o)
	agree(t, "included", doc, reference.Filter(f.ds, compartment, o, doc), got, o)
	if got.report.Released["Practitioner"] != 1 {
		t.Errorf("released %v", got.report.Released)
	}
}

// renamed is a Tokenizer whose tokens begin with a letter.
type renamed struct {
	by    string
	asked int
}

func (r *renamed) AppendToken(dst []byte, _ string, value []byte) ([]byte, error) {
	r.asked++
	return append(append(dst, r.by...), value...), nil
}

// TestHabitDuplicate names a member twice where both were expected, where one was, and where none was.
func TestHabitDuplicate(t *testing.T) {
	f := load(t, "narrow", narrow)
	usual := `{"resource":{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"period":{"start":"2024"}}}`
	for _, last := range []string{
		`{"resourceType":"Encounter","id":"e1","status":"finished","status":"finished"}`,
		`{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"status":"finished"}`,
		`{"resourceType":"Encounter","id":"e1","st\u0061tus":"finished","status":"finished"}`,
		`{"resourceType":"Encounter","id":"e1","status":"finished", "st\u0061tus":"finished"}`,
		`{"resourceType":"Encounter","id":"e1","other":1,"other":1}`,
		`{"resourceType":"Encounter","resourceType":"Encounter"}`,
	} {
		doc := bundleOf(append(slices.Repeat([]string{usual}, 9), `{"resource":`+last+`}`))
		o := options()
		want := reference.Filter(f.ds, compartment, o, doc)
		if !slices.Contains(want.Errs, error(transforms.ErrDuplicate)) {
			t.Fatalf("%s: the oracle says %v", last, want.Errs)
		}
		agree(t, last, doc, want, filter(t, f.plan, bytes.NewReader(doc), o), o)
	}
}

// TestHabitKeys counts the members that were expected with the others, whichever comes last.
func TestHabitKeys(t *testing.T) {
	f := load(t, "narrow", narrow)
	const usual = `"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"}`
	members := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"x%d":0`, i))
		}
		return strings.Join(names, ",")
	}
	for _, c := range []struct {
		last string
		want error
	}{
		{"{" + usual + "," + members(transforms.MaxKeys-4) + "}", nil},
		{"{" + usual + "," + members(transforms.MaxKeys-3) + "}", transforms.ErrKeys},
		{`{"resourceType":"Encounter",` + members(transforms.MaxKeys-2) + `,"status":"finished"}`, nil},
		{`{"resourceType":"Encounter",` + members(transforms.MaxKeys-2) + `,"status":"finished","class":{"code":"AMB"}}`, transforms.ErrKeys},
	} {
		doc := bundleOf(append(slices.Repeat([]string{`{"resource":{` + usual + `}}`}, 9), `{"resource":`+c.last+`}`))
		o := options()
		got := filter(t, f.plan, bytes.NewReader(doc), o)
		if !errors.Is(got.err, c.want) {
			t.Errorf("%.60s: %v, want %v", c.last, got.err, c.want)
		}
		agree(t, c.last[:60], doc, reference.Filter(f.ds, compartment, o, doc), got, o)
	}
}

// TestFullURL has resources behind a fullUrl of another type, or with another id: a token is of one type's id.
func TestFullURL(t *testing.T) {
	f := load(t, "narrow", narrow)
	var entries []string
	for _, url := range []string{"Encounter/1", "Patient/1", "Encounter/1", "Patient/1", "Patient/2", "Encounter/2", "Encounter/1/_history/1"} {
		for _, kind := range []string{"Patient", "Encounter"} {
			entries = append(entries, `{"fullUrl":"https://ehr.example.org/fhir/`+url+`","resource":{"resourceType":"`+kind+`","id":"1"}}`)
		}
	}
	doc := bundleOf(entries)
	o := options()
	agree(t, "full", doc, reference.Filter(f.ds, compartment, o, doc), filter(t, f.plan, bytes.NewReader(doc), o), o)
}
