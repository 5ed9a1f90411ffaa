package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// Imported is a dataset made of the rules of Microsoft's Tools for Health Data Anonymization.
type Imported struct {
	Rows map[string]map[string]transforms.Rule // by resource type and path
	Told []string                              // rules that were not taken over, or not as they were meant, and why
}

// ImportAnonymizer reads such a rule file. There, the first rule that fits an element counts, and what none fits is the tool's to
// keep; here, what no rule names does not leave, and neither does what a rule cannot say in this form. Each rule is taken apart into
// single values, so that what an earlier rule takes out is not let in by a later one that is about more. Rules that are about data
// types are for the given resource types, and for those that other rules name.
func ImportAnonymizer(doc []byte, types []string, defs Definitions) (*Imported, error) {
	var file struct {
		Rules []struct {
			Path        string          `json:"path"`
			Method      string          `json:"method"`
			ReplaceWith json.RawMessage `json:"replaceWith"`
		} `json:"fhirPathRules"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf")), &file); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(file.Rules) == 0 {
		return nil, errors.New("there are no fhirPathRules")
	}
	im := &importer{defs: defs, rows: map[string]map[string]transforms.Rule{}}
	for _, kind := range types {
		if _, ok := defs.Type(kind, "id"); !ok {
			return nil, fmt.Errorf("R4 has no resource type %s", kind)
		}
		im.rows[kind] = map[string]transforms.Rule{}
	}
	for _, r := range file.Rules {
		if kind, _, ok := strings.Cut(r.Path, "."); ok || r.Path != "" {
			if _, known := defs.Type(kind, "id"); known && im.rows[kind] == nil {
				im.rows[kind] = map[string]transforms.Rule{}
			}
		}
	}
	for _, r := range file.Rules {
		im.rule(r.Path, r.Method, r.ReplaceWith)
	}
	out := &Imported{Rows: map[string]map[string]transforms.Rule{}, Told: im.told}
	for kind, rows := range im.rows {
		for path, rule := range rows {
			if rule.Method == transforms.Remove && !strings.Contains(path, "[") {
				continue // as without a row
			}
			if out.Rows[kind] == nil {
				out.Rows[kind] = map[string]transforms.Rule{}
			}
			out.Rows[kind][path] = rule
		}
	}
	return out, nil
}

type importer struct {
	defs Definitions
	rows map[string]map[string]transforms.Rule // first come; Remove for what a rule takes out
	told []string
}

func (im *importer) tell(path, format string, args ...any) {
	if line := path + ": " + fmt.Sprintf(format, args...); !slices.Contains(im.told, line) {
		im.told = append(im.told, line)
	}
}

var (
	byType  = regexp.MustCompile(`^nodesByType\('(\w+)'\)((?:\.\w+)*)$`)
	inType  = regexp.MustCompile(`^(\w+)\.nodesByType\('(\w+)'\)((?:\.\w+)*)$`)
	byPath  = regexp.MustCompile(`^(\w+)((?:\.\w+(?:\(\w+ ?= ?'[^'\\]*'\))?)+)$`)
	oneStep = regexp.MustCompile(`\.(\w+)(?:\((\w+) ?= ?'([^'\\]*)'\))?`)
)

// rule takes one rule over.
func (im *importer) rule(path, method string, replace json.RawMessage) {
	method = strings.ToLower(method)
	switch method {
	case "keep", "redact", "dateshift", "cryptohash", "encrypt", "substitute":
	case "perturb", "generalize":
		im.tell(path, "%s has no like here: what it is about does not leave", method)
		method = "redact"
	default:
		im.tell(path, "the method %q is not known: what it is about does not leave", method)
		method = "redact"
	}
	kinds := slices.Sorted(maps.Keys(im.rows))
	switch m := byType.FindStringSubmatch(path); {
	case path == "Resource" || len(byPath.FindStringSubmatch(path)) == 0 && im.rows[path] != nil:
		if method != "redact" {
			im.tell(path, "lets everything leave that no other rule names: not taken over, name the elements that the desk needs")
		}
		return
	case m != nil:
		for _, kind := range kinds {
			im.ofType(kind, m[1], m[2], path, method, replace)
		}
		return
	}
	if m := inType.FindStringSubmatch(path); m != nil && (im.rows[m[1]] != nil) {
		im.ofType(m[1], m[2], m[3], path, method, replace)
		return
	}
	m := byPath.FindStringSubmatch(path)
	if m == nil {
		im.unsaid(path)
		return
	}
	at, plain := "", ""
	for _, step := range oneStep.FindAllStringSubmatch(m[2], -1) {
		switch {
		case step[1] == "where" && step[2] != "" && at != "":
			at += "[" + step[2] + "=" + quoted(step[3]) + "]"
		case step[2] != "":
			im.unsaid(path)
			return
		default:
			at, plain = strings.TrimPrefix(at+"."+step[1], "."), strings.TrimPrefix(plain+"."+step[1], ".")
		}
	}
	if m[1] != "Resource" {
		if im.rows[m[1]] == nil {
			im.tell(path, "R4 has no resource type %s", m[1])
			return
		}
		kinds = []string{m[1]}
	}
	known := false
	for _, kind := range kinds {
		if paths := im.choices(kind, plain); len(paths) > 0 {
			known = true
			for _, p := range paths {
				im.element(kind, at+strings.TrimPrefix(p, plain), p, path, method, replace, 0)
			}
		}
	}
	if !known {
		im.tell(path, "R4 has no such element")
	}
}

// unsaid takes out all that a rule could be about whose path cannot be said here: what is below the elements that it begins
// with, or everything. What earlier rules let leave stays.
func (im *importer) unsaid(path string) {
	im.tell(path, "this path cannot be said here: nothing leaves, by later rules either, of what it begins with")
	begin, _, _ := strings.Cut(path, "(")
	begin = begin[:max(0, strings.LastIndexByte(begin, '.'))]
	kind, rest, _ := strings.Cut(begin, ".")
	kinds := []string{kind}
	if im.rows[kind] == nil {
		if kinds = slices.Sorted(maps.Keys(im.rows)); kind != "Resource" {
			rest = ""
		}
	}
	for _, kind := range kinds {
		paths := im.choices(kind, rest)
		if rest == "" || len(paths) == 0 {
			paths = im.defs.Below(kind, "")
		}
		for _, p := range paths {
			im.element(kind, p, p, path, "redact", nil, 0)
		}
	}
}

func quoted(s string) string { return "'" + s + "'" }

// choices are the JSON names of an element: of a choice, as FHIRPath has it ("value"), one for each type.
func (im *importer) choices(kind, path string) (all []string) {
	if _, ok := im.defs.Type(kind, path); ok {
		return []string{path}
	}
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	for _, below := range im.defs.Below(kind, parent) {
		rest, ok := strings.CutPrefix(below, name)
		whole := strings.TrimPrefix(parent+"."+below, ".")
		if of, _ := im.defs.Type(kind, whole); ok && rest != "" && strings.EqualFold(rest, of) {
			all = append(all, whole)
		}
	}
	return all
}

// ofType finds the elements of a data type in a resource type, and what is named below them.
func (im *importer) ofType(kind, dataType, below, path, method string, replace json.RawMessage) {
	var walk func(at string, depth int)
	walk = func(at string, depth int) {
		for _, name := range im.defs.Below(kind, at) {
			here := strings.TrimPrefix(at+"."+name, ".")
			of, _ := im.defs.Type(kind, here)
			if strings.EqualFold(of, dataType) {
				for _, p := range im.choices(kind, here+below) {
					im.element(kind, p, p, path, method, replace, 0)
				}
			} else if !simple(of) && depth < 4 && of != "Extension" && of != "Resource" && of != "Reference" {
				walk(here, depth+1)
			}
		}
	}
	walk("", 0)
}

// element lays a rule on an element and all single values below it, where none came before it.
func (im *importer) element(kind, row, plain, path, method string, replace json.RawMessage, depth int) {
	of, _ := im.defs.Type(kind, plain)
	if _, before := im.rows[kind][plain]; before && row != plain {
		return // a rule without conditions came first
	}
	put := func(rule transforms.Rule) {
		if _, before := im.rows[kind][row]; !before {
			im.rows[kind][row] = rule
		}
	}
	switch {
	case of == "Extension" || of == "Resource" || of == "Narrative" || of == "Attachment" || of == "base64Binary" || of == "xhtml":
		if method != "redact" && depth == 0 {
			im.tell(path, "lets %s leave, in which anything can stand: not taken over", oneOf(of))
		}
		return
	case of == "Reference":
		if method == "redact" || method == "substitute" {
			put(transforms.Rule{})
			return
		}
		put(transforms.Rule{Method: transforms.Reference})
		return
	case !simple(of):
		if depth > 4 {
			return
		}
		for _, name := range im.defs.Below(kind, plain) {
			if name != "id" && name != "display" && name != "text" { // the whole once more, in words
				im.element(kind, row+"."+name, plain+"."+name, path, method, replace, depth+1)
			}
		}
		return
	}
	text := of != "boolean" && of != "integer" && of != "decimal" && of != "positiveInt" && of != "unsignedInt"
	date := of == "date" || of == "dateTime" || of == "instant"
	id := plain == "id"
	switch {
	case id && method != "redact":
		put(transforms.Rule{Method: transforms.Token}) // an id in the clear serves nobody
	case method == "keep":
		put(transforms.Rule{Method: transforms.Keep})
	case method == "dateshift" && date:
		put(transforms.Rule{Method: transforms.Shift})
	case method == "cryptohash" && text:
		put(transforms.Rule{Method: transforms.Hash})
	case method == "encrypt" && text:
		put(transforms.Rule{Method: transforms.Token})
	case method == "substitute" && depth == 0 && scalar(replace):
		put(transforms.Rule{Method: transforms.Fixed, Value: string(replace)})
	default:
		if method != "redact" {
			im.tell(path, "%s cannot be done to %s.%s, which is a %s: it does not leave", method, kind, plain, of)
		}
		put(transforms.Rule{})
	}
}

func oneOf(dataType string) string {
	if strings.ContainsRune("AEIOU", rune(dataType[0])) {
		return "an " + dataType
	}
	return "a " + dataType
}

// scalar says whether a rule gives a single value in place of what is there.
func scalar(doc json.RawMessage) bool {
	return len(doc) > 0 && json.Valid(doc) && !strings.ContainsRune("{[n", rune(doc[0]))
}

// YAML writes the dataset, with what was not taken over in comments before it.
func (im *Imported) YAML(title string) []byte {
	var w bytes.Buffer
	for _, line := range im.Told {
		fmt.Fprintf(&w, "# %s\n", strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, line))
	}
	name, err := json.Marshal(title) // JSON's text is YAML's
	if err != nil {
		panic(err) // a string
	}
	fmt.Fprintf(&w, "title: %s\nversion: 1\nresources:\n", name)
	for _, kind := range slices.Sorted(maps.Keys(im.Rows)) {
		fmt.Fprintf(&w, "  %s:\n", kind)
		for _, path := range slices.Sorted(maps.Keys(im.Rows[kind])) {
			rule := im.Rows[kind][path]
			method := rule.Method.String()
			if rule.Method == transforms.Fixed {
				method = "{fixed: " + rule.Value + "}"
			}
			if strings.ContainsAny(path, "[") {
				fmt.Fprintf(&w, "    %q: %s\n", path, method)
				continue
			}
			fmt.Fprintf(&w, "    %s: %s\n", path, method)
		}
	}
	return w.Bytes()
}
