package demo

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// A test says whether a resource is one of those that a search asks for.
type test func(*resource) bool

// each calls f with every value at path below v, into each repetition.
func each(v gjson.Result, path string, f func(gjson.Result)) {
	if v.IsArray() {
		v.ForEach(func(_, e gjson.Result) bool { each(e, path, f); return true })
		return
	}
	if path == "" {
		if v.Exists() && v.Type != gjson.Null {
			f(v)
		}
		return
	}
	head, rest, _ := strings.Cut(path, ".")
	each(v.Get(head), rest, f)
}

func (r *resource) values(p searchParameter) []gjson.Result {
	var all []gjson.Result
	doc := gjson.ParseBytes(r.current().body)
	for _, path := range p.paths {
		each(doc, path, func(v gjson.Result) { all = append(all, v) })
	}
	return all
}

// compile makes the test of one parameter with its modifier and its value, whose
// commas mean "or". Several parameters mean "and".
func compile(kind, name, modifier, value, base string) (test, error) {
	p, ok := parameter(kind, name)
	if !ok {
		return nil, unknownParameter(kind, name)
	}
	if modifier == "missing" {
		if value != "true" && value != "false" {
			return nil, badParameter(name, "true or false")
		}
		return func(r *resource) bool { return (len(r.values(p)) == 0) == (value == "true") }, nil
	}
	var tests []func(gjson.Result) bool
	for _, v := range splitEscaped(value, ',') {
		if v == "" {
			return nil, badParameter(name, "a value")
		}
		t, err := p.compile(name, modifier, v, base)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	not := modifier == "not"
	return func(r *resource) bool {
		found := slices.ContainsFunc(r.values(p), func(v gjson.Result) bool {
			return slices.ContainsFunc(tests, func(t func(gjson.Result) bool) bool { return t(v) })
		})
		return found != not
	}, nil
}

func (p searchParameter) compile(name, modifier, value, base string) (func(gjson.Result) bool, error) {
	switch {
	case p.kind == paramToken && (modifier == "" || modifier == "not"):
		return matchToken(value), nil
	case p.kind == paramString && (modifier == "" || modifier == "exact" || modifier == "contains"):
		return matchString(modifier, unescape(value)), nil
	case p.kind == paramDate && modifier == "":
		prefix, rest := splitPrefix(value)
		asked, err := parseSpan(rest)
		if err != nil || !slices.Contains([]string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"}, prefix) {
			return nil, badParameter(name, "a date with one of the prefixes eq ne gt lt ge le sa eb")
		}
		return func(v gjson.Result) bool { s, ok := spanOf(v); return ok && s.match(prefix, asked) }, nil
	case p.kind == paramReference:
		if modifier != "" && parameters[modifier] == nil {
			break
		}
		return p.matchReference(modifier, value, base), nil
	}
	return nil, badParameter(name, "no modifier "+modifier)
}

// matchToken follows https://hl7.org/fhir/R4/search.html#token: "code" is of any
// system, "|code" of none, "system|" of any code.
func matchToken(value string) func(gjson.Result) bool {
	parts := splitEscaped(value, '|')
	anySystem := len(parts) == 1
	system, code := "", unescape(parts[len(parts)-1])
	if !anySystem {
		system = unescape(parts[0])
	}
	same := func(s, c string) bool {
		return (anySystem || s == system) && (c == code || !anySystem && code == "" && system != "")
	}
	return func(v gjson.Result) bool {
		if !v.IsObject() {
			return (anySystem || system == "") && v.String() == code
		}
		if codings := v.Get("coding"); codings.IsArray() {
			return slices.ContainsFunc(codings.Array(), func(c gjson.Result) bool { return same(c.Get("system").Str, c.Get("code").Str) })
		}
		c := v.Get("code")
		if !c.Exists() {
			c = v.Get("value") // Identifier and ContactPoint
		}
		return same(v.Get("system").Str, c.Str)
	}
}

// matchString ignores case and accents and matches at the start
// (https://hl7.org/fhir/R4/search.html#string).
func matchString(modifier, value string) func(gjson.Result) bool {
	fold := func(s string) string { return strings.ToLower(letters.Replace(s)) }
	folded := fold(value)
	return func(v gjson.Result) bool {
		switch modifier {
		case "exact":
			return v.Str == value
		case "contains":
			return strings.Contains(fold(v.Str), folded)
		}
		return strings.HasPrefix(fold(v.Str), folded)
	}
}

// matchReference takes "id", "Type/id" and the absolute URL of the sandbox's own.
func (p searchParameter) matchReference(kind, value, base string) func(gjson.Result) bool {
	value = strings.TrimPrefix(unescape(value), base+"/")
	if kind == "" {
		kind = p.target
	}
	return func(v gjson.Result) bool {
		have := relative(v.Get("reference").Str)
		haveKind, id, ok := strings.Cut(have, "/")
		if !ok || kind != "" && haveKind != kind {
			return false
		}
		return have == value || id == value
	}
}

// splitEscaped splits at a separator that no backslash precedes
// (https://hl7.org/fhir/R4/search.html#escaping).
func splitEscaped(s string, separator byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

var escapes = strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\|`, `|`, `\$`, `$`)

func unescape(s string) string { return escapes.Replace(s) }
