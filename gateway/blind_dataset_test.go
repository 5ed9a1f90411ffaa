package gateway_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// blindfold is a random dataset, whose rows name leaves and References alone, so that what it
// hides is known without asking the filter; and what else a policy holds a call to.
type blindfold struct {
	rows    map[string]map[string]string // type -> element path -> method
	search  map[string][]string
	write   map[string][]string
	labels  bool
	patient string

	compartment map[string][]string
	named       map[string]bool     // "Type.path" that a named search reads: it may be asked about
	pool        map[string][]string // "Type.path" -> scalars, references as they are written
	seed        uint64
}

var (
	dateText   = regexp.MustCompile(`^"\d{4}-\d\d-\d\d([T"]|$)`)
	neverShown = regexp.MustCompile(`^(resourceType|id|contained\..*|text\..*|meta\.(security|versionId|lastUpdated).*|(.*\.)?(display|extension.*|div|_.*))$`)
)

// newBlindfold makes one of what a sandbox holds.
func newBlindfold(seed uint64, rng *rand.Rand, ehr *demo.EHR) *blindfold {
	b := &blindfold{
		rows: map[string]map[string]string{}, search: map[string][]string{}, write: map[string][]string{},
		compartment: fhir.PatientCompartment(), named: map[string]bool{}, pool: map[string][]string{}, seed: seed,
	}
	for _, kind := range ehr.Types() {
		dates := map[string]bool{} // elements that are dates wherever they are
		kinds := map[string]string{}
		for _, id := range ehr.IDs(kind) {
			body, _ := ehr.Resource(kind, id)
			leaves(parseTree(gjson.ParseBytes(body)), "", func(path string, v any) {
				switch v := v.(type) {
				case members:
					kinds[path] = "reference"
					b.pool[kind+"."+path] = append(b.pool[kind+"."+path], v.get("reference").(string))
				case string:
					b.pool[kind+"."+path] = append(b.pool[kind+"."+path], v)
					is := dateText.MatchString(v)
					if _, known := kinds[path]; known {
						is = is && dates[path]
					}
					dates[path], kinds[path] = is, "scalar"
					if v[0] == '"' {
						kinds[path] = "text"
					}
				}
			})
		}
		if rng.IntN(8) == 0 {
			continue // a type without a row
		}
		share := 2 + rng.IntN(8)
		rows := map[string]string{}
		for _, path := range slices.Sorted(maps.Keys(kinds)) {
			if neverShown.MatchString(path) || rng.IntN(10) > share || withinReference(kinds, path) {
				continue
			}
			switch {
			case kinds[path] == "reference":
				rows[path] = pick(rng, "reference", "reference", "reference", "keep")
			case dates[path]:
				rows[path] = pick(rng, "keep", "keep", "keep", "year", "month", "shift")
			case kinds[path] == "text":
				rows[path] = pick(rng, "keep", "keep", "keep", "keep", "mask", "hash", "token", "{fixed: unknown}")
			default:
				rows[path] = "keep"
			}
		}
		if id := pick(rng, "token", "token", "token", "keep", ""); id != "" {
			rows["id"] = id
		}
		if rng.IntN(4) > 0 {
			rows["meta.versionId"] = "keep"
		}
		if rng.IntN(2) > 0 {
			rows["meta.lastUpdated"] = "keep"
		}
		if len(rows) == 0 {
			continue
		}
		b.rows[kind] = rows
		if rng.IntN(2) > 0 {
			b.write[kind] = b.writable(rng, kind)
		}
	}
	for _, c := range []struct{ kind, combination string }{{"Patient", "identifier"}, {"Patient", "family+birthdate"}, {"Appointment", "identifier"}} {
		if b.rows[c.kind] != nil && rng.IntN(3) == 0 {
			b.search[c.kind] = append(b.search[c.kind], c.combination)
			for name := range strings.SplitSeq(c.combination, "+") {
				def, _ := fhir.Parameter(c.kind, name)
				for _, path := range def.Elements {
					b.named[c.kind+"."+path] = true
				}
			}
		}
	}
	b.labels = rng.IntN(2) > 0
	if rng.IntN(3) == 0 {
		b.patient = ehr.IDs("Patient")[0]
	}
	return b
}

// withinReference says whether some References have only an identifier where others have a
// reference: the row is the whole's.
func withinReference(kinds map[string]string, path string) bool {
	for p := range kinds {
		if kinds[p] == "reference" && strings.HasPrefix(path, p+".") {
			return true
		}
	}
	return false
}

func (b *blindfold) writable(rng *rand.Rand, kind string) []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(b.rows[kind])) {
		if b.rows[kind][path] == "keep" && path != "id" && !strings.HasPrefix(path, "meta.") && rng.IntN(2) > 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// yaml is the dataset as a bundle's data.
func (b *blindfold) yaml() string {
	var s strings.Builder
	s.WriteString("title: Random\nversion: 1\nresources:\n")
	for _, kind := range slices.Sorted(maps.Keys(b.rows)) {
		fmt.Fprintf(&s, "  %s:\n", kind)
		for _, path := range slices.Sorted(maps.Keys(b.rows[kind])) {
			fmt.Fprintf(&s, "    %s: %s\n", path, b.rows[kind][path])
		}
	}
	for name, lists := range map[string]map[string][]string{"search": b.search, "write": b.write} {
		s.WriteString(name + ":")
		if len(lists) == 0 {
			s.WriteString(" {}\n")
			continue
		}
		s.WriteByte('\n')
		for _, kind := range slices.Sorted(maps.Keys(lists)) {
			fmt.Fprintf(&s, "  %s: [%s]\n", kind, strings.Join(lists[kind], ", "))
		}
	}
	return s.String()
}

// rego is a policy that allows whatever the code and the dataset do not refuse.
func (b *blindfold) rego() string {
	more := ""
	if b.labels {
		more += `, "deny_labels": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]`
	}
	if b.patient != "" {
		more += fmt.Sprintf(`, "patient": %q`, b.patient)
	}
	return strings.Replace(allowAll, `"dataset": "access"`, `"dataset": "blind"`+more, 1)
}

// stays says whether a path is what the gateway itself reads, or lets be asked about.
func (b *blindfold) stays(kind, path string) bool {
	switch path {
	case "resourceType", "id", "meta.versionId", "meta.lastUpdated":
		return true
	}
	return path == "meta.security" || strings.HasPrefix(path, "meta.security.") || b.named[kind+"."+path] || slices.Contains(b.compartment[kind], path)
}

// seen says whether anything at a path or below is shown, or stays.
func (b *blindfold) seen(kind, path string) bool {
	below := func(p string) bool { return p == path || strings.HasPrefix(p, path+".") }
	for p := range b.rows[kind] {
		if below(p) {
			return true
		}
	}
	for p := range b.named {
		if below(strings.TrimPrefix(p, kind+".")) && strings.HasPrefix(p, kind+".") {
			return true
		}
	}
	return slices.ContainsFunc(b.compartment[kind], below) || b.stays(kind, path) || path == "meta"
}

// disguise changes everything of a resource that the dataset hides: the same for the same
// resource, so that its versions differ in nothing else.
func (b *blindfold) disguise(kind, id string, body []byte) []byte {
	h := fnv.New64a()
	h.Write([]byte(kind + "/" + id))
	d := disguise{blindfold: b, kind: kind, rng: rand.New(rand.NewPCG(b.seed, h.Sum64()))}
	tree := d.object(parseTree(gjson.ParseBytes(body)).(members), "")
	for _, m := range []member{
		{"text", members{{"status", `"generated"`}, {"div", quoted("<div>" + strings.Repeat(d.word(), d.rng.IntN(200)) + "</div>")}}},
		{"contained", []any{members{{"resourceType", `"Patient"`}, {"id", `"c1"`}, {"birthDate", `"1901-01-01"`}}}},
		{"extension", []any{d.extension()}},
		{"modifierExtension", []any{d.extension()}},
		{"language", `"tlh"`},
		{"implicitRules", `"https://elsewhere.example/rules"`},
	} {
		switch d.rng.IntN(4) {
		case 0:
			tree = tree.put(m.name, m.value)
		case 1:
			tree = slices.DeleteFunc(tree, func(o member) bool { return o.name == m.name })
		case 2:
			if tree.get(m.name) == nil {
				tree = slices.Insert(tree, d.rng.IntN(len(tree)+1), m)
			}
		}
	}
	return appendTree(nil, tree)
}

// disguise is the work on one resource.
type disguise struct {
	*blindfold
	kind string
	rng  *rand.Rand
}

func (d *disguise) word() string { return "h" + strconv.FormatUint(d.rng.Uint64()%1e6, 36) }

func (d *disguise) extension() members {
	return members{{"url", quoted("https://elsewhere.example/" + d.word())}, {"valueString", quoted(d.word())}}
}

func (d *disguise) object(o members, path string) members {
	var out members
	for _, m := range o {
		full := strings.TrimPrefix(path+"."+m.name, ".")
		if m.name[0] == '_' {
			if d.rng.IntN(3) > 0 {
				out = append(out, member{m.name, d.sibling(m.value)})
			}
			continue
		}
		if !d.seen(d.kind, full) {
			if d.rng.IntN(5) == 0 {
				continue
			}
			out = append(out, member{m.name, d.hidden(m.value, full)})
			if _, scalar := m.value.(string); scalar && d.rng.IntN(8) == 0 && o.get("_"+m.name) == nil {
				out = append(out, member{"_" + m.name, members{{"extension", []any{d.extension()}}}})
			}
			continue
		}
		out = append(out, member{m.name, d.shown(m.value, full)})
	}
	if path != "" && d.rng.IntN(6) == 0 && o.get("extension") == nil {
		out = slices.Insert(out, d.rng.IntN(len(out)+1), member{"extension", []any{d.extension()}})
	}
	return out
}

// sibling changes the extensions of a primitive, and leaves their places in a list.
func (d *disguise) sibling(v any) any {
	switch v := v.(type) {
	case members:
		return members{{"extension", []any{d.extension()}}}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = d.sibling(v[i])
		}
		return out
	}
	return v
}

// hidden is another value in place of one that is hidden whole.
func (d *disguise) hidden(v any, path string) any {
	switch v := v.(type) {
	case members:
		if v.get("reference") != nil {
			return members{{"reference", pick(d.rng, d.pool[d.kind+"."+path]...)}, {"display", quoted(d.word())}}
		}
		return d.object(v, path)
	case []any:
		var out []any
		for _, e := range v {
			if len(out) == 0 || d.rng.IntN(4) > 0 {
				out = append(out, d.hidden(e, path))
			}
		}
		if d.rng.IntN(4) == 0 {
			out = append(out, d.hidden(v[0], path))
		}
		return out
	}
	return d.scalar(v.(string), path)
}

// scalar is another one of the same kind: often one that another resource has.
func (d *disguise) scalar(v, path string) string {
	if pool := d.pool[d.kind+"."+path]; len(pool) > 0 && d.rng.IntN(2) > 0 {
		return pick(d.rng, pool...)
	}
	switch {
	case v == "true":
		return "false"
	case v == "false":
		return "true"
	case dateText.MatchString(v):
		return fmt.Sprintf(`"%04d-%02d-%02d%s`, 1950+d.rng.IntN(70), 1+d.rng.IntN(12), 1+d.rng.IntN(28), v[11:])
	case v[0] == '"':
		return quoted(d.word())
	}
	return strconv.Itoa(d.rng.IntN(1000))
}

// shown keeps what is shown of a value, and changes the rest.
func (d *disguise) shown(v any, path string) any {
	rule, stays := d.rows[d.kind][path], d.stays(d.kind, path)
	switch v := v.(type) {
	case members:
		if rule == "keep" {
			return v.put("display", quoted(d.word()))
		}
		if v.get("reference") == nil {
			return d.object(v, path)
		}
		if rule != "" || stays {
			out := members{{"reference", v.get("reference")}, {"display", quoted(d.word())}}
			if t := v.get("type"); t != nil {
				out = append(out, member{"type", t})
			}
			return out
		}
		return d.hidden(v, path)
	case []any:
		out := make([]any, 0, len(v)+1)
		for _, e := range v {
			out = append(out, d.shown(e, path))
		}
		if extra := d.unseen(v[d.rng.IntN(len(v))], path); extra != nil && rule != "keep" && d.rng.IntN(3) == 0 {
			out = slices.Insert(out, d.rng.IntN(len(out)+1), extra)
		}
		return out
	}
	text := v.(string)
	switch {
	case stays:
	case rule == "mask" || strings.HasPrefix(rule, "{fixed"):
		return d.scalar(text, path)
	case rule == "year" && len(text) > 8:
		return text[:6] + fmt.Sprintf("%02d-%02d", 1+d.rng.IntN(12), 1+d.rng.IntN(28)) + text[11:]
	case rule == "month" && len(text) > 10:
		return text[:9] + fmt.Sprintf("%02d", 1+d.rng.IntN(28)) + text[11:]
	}
	return text
}

// unseen is what of an element nothing is shown of; nil where there is nothing.
func (d *disguise) unseen(v any, path string) any {
	o, ok := v.(members)
	if !ok || o.get("reference") != nil {
		return nil
	}
	var out members
	for _, m := range o {
		if full := path + "." + m.name; m.name[0] != '_' && !d.seen(d.kind, full) {
			out = append(out, member{m.name, d.hidden(m.value, full)})
		}
	}
	if out == nil {
		return nil
	}
	return out
}
