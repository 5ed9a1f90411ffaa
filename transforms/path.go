package transforms

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A row's path is the names of elements joined by dots, as FHIR's JSON has them. A name may have
// conditions, and the row is then for those objects only that meet them all:
//
//	identifier[system=http://hospital.example/mrn].value
//	telecom[system=phone,use=work]
//	extension[url='http://example.org/a,b']
//
// A condition is met by an object that has, as its own member, the string; nothing else meets it.
// A value stands as it is, or in single quotes, and must where it has a comma, a bracket, a quote,
// a backslash or white space in it; in quotes, \' and \\ stand for a quote and a backslash.
//
// The last name may be *, for everything below.

type segment struct {
	name       string
	conditions []condition // by member
}

type condition struct{ member, value string }

const (
	maxSteps = 32
	maxName  = 64
	maxValue = 1024
)

var errPath = errors.New("")

// parsePath reads a path. The error says what is wrong with a condition, or nothing.
func parsePath(s string) ([]segment, error) {
	var path []segment
	for rest := s; ; rest = rest[1:] {
		n := 0
		for n < len(rest) && rest[n] != '.' && rest[n] != '[' {
			n++
		}
		at := segment{name: rest[:n]}
		rest = rest[n:]
		switch {
		case len(path) == maxSteps:
			return nil, fmt.Errorf("more than %d names", maxSteps)
		case at.name == "*" && rest != "":
			return nil, errors.New("* is for everything below, so nothing can follow it")
		case at.name != "*" && !isName(at.name):
			return nil, errPath
		}
		if rest != "" && rest[0] == '[' {
			var err error
			if at.conditions, rest, err = parseConditions(rest[1:]); err != nil {
				return nil, err
			}
		}
		path = append(path, at)
		if rest == "" {
			return path, nil
		}
		if rest[0] != '.' {
			return nil, fmt.Errorf("after ] comes a dot or nothing, not %q", rest[:1])
		}
	}
}

// parseConditions reads conditions behind their opening bracket, and returns what follows the
// closing one.
func parseConditions(s string) ([]condition, string, error) {
	var all []condition
	for {
		i := strings.IndexAny(s, "=,]")
		switch {
		case i < 0:
			return nil, "", errors.New("a condition is [member=value]; the ] is missing")
		case s[i] != '=' && len(all) > 0:
			return nil, "", fmt.Errorf("%q is not member=value; a value with a comma is quoted: [system='a,b']", s[:i])
		case s[i] != '=':
			return nil, "", fmt.Errorf("%q is not a condition like [system=http://loinc.org]", s[:i])
		case !isName(s[:i]):
			return nil, "", fmt.Errorf("%q is not the name of a member", s[:i])
		}
		c := condition{member: s[:i]}
		var err error
		if c.value, s, err = parseValue(s[i+1:]); err != nil {
			return nil, "", fmt.Errorf("%s=: %w", c.member, err)
		}
		if slices.ContainsFunc(all, func(o condition) bool { return o.member == c.member }) {
			return nil, "", fmt.Errorf("%s= is there twice; a row is for one value of it", c.member)
		}
		all = append(all, c)
		end := s[0]
		if s = s[1:]; end == ']' {
			break
		}
	}
	slices.SortFunc(all, func(a, b condition) int { return strings.Compare(a.member, b.member) })
	return all, s, nil
}

// parseValue reads a condition's value, and returns what follows: a comma or a bracket.
func parseValue(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, "'") {
		i := strings.IndexAny(s, ",]")
		if i < 0 {
			return "", "", errors.New("the ] is missing")
		}
		value, rest = s[:i], s[i:]
		switch {
		case value == "":
			return "", "", errors.New("a value is missing")
		case strings.ContainsAny(value, "['\\\" \t\r\n"):
			return "", "", fmt.Errorf("quote it: '%s'", strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
		}
		return value, rest, checkValue(value)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' && i+1 < len(s) && (s[i+1] == ',' || s[i+1] == ']'):
			return b.String(), s[i+1:], checkValue(b.String())
		case c == '\'':
			return "", "", errors.New(`after the closing quote comes , or ]; a quote in a value is \'`)
		case c == '\\' && i+1 < len(s) && (s[i+1] == '\'' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case c == '\\':
			return "", "", errors.New(`a backslash stands before ' or \ only`)
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("the closing quote is missing")
}

func checkValue(value string) error {
	if len(value) > maxValue {
		return fmt.Errorf("longer than %d bytes", maxValue)
	}
	return nil
}

// isName reports whether s can name an element.
func isName(s string) bool {
	if len(s) == 0 || len(s) > maxName || s[0]|0x20 < 'a' || s[0]|0x20 > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isPath reports whether s is names joined by dots.
func isPath(s string) bool {
	names := strings.Split(s, ".")
	return len(names) <= maxSteps && !slices.ContainsFunc(names, func(n string) bool { return !isName(n) })
}

// canonical writes a path so that two that mean the same are the same text.
func canonical(path []segment) string {
	var b strings.Builder
	for i, s := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		for j, c := range s.conditions {
			b.WriteByte("[,"[min(j, 1)])
			fmt.Fprintf(&b, "%s=%q", c.member, c.value)
		}
		if s.conditions != nil {
			b.WriteByte(']')
		}
	}
	return b.String()
}

// ElementsIn returns the elements that a row's path is about, as plain paths: what it names, without conditions and without a *
// at its end, which is empty for a whole resource; then what its conditions look at. It returns nothing for what is no path.
func ElementsIn(path string) []string {
	steps, err := parsePath(path)
	if err != nil {
		return nil
	}
	named, all := "", []string{""}
	for _, s := range steps {
		if s.name == "*" {
			break
		}
		named = strings.TrimPrefix(named+"."+s.name, ".")
		for _, c := range s.conditions {
			all = append(all, named+"."+c.member)
		}
	}
	all[0] = named
	return all
}
