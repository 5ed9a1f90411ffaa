package probe

import (
	"fmt"
	"strings"
)

// class is by which part of a resource a canary would escape.
type class string

const (
	inElement   class = "element"
	inNarrative class = "narrative"
	inContained class = "contained"
	inExtension class = "extension"
	inDisplay   class = "coding-display"
	inReference class = "reference-display"
)

// classOf reads the class from an element's path, without the resource type.
func classOf(path string) class {
	names := strings.Split(path, ".")
	last := names[len(names)-1]
	under := func(name string) bool {
		for _, n := range names {
			if strings.TrimPrefix(n, "_") == name {
				return true
			}
		}
		return false
	}
	switch {
	case under("contained"):
		return inContained
	case under("extension"), under("modifierExtension"):
		return inExtension
	case names[0] == "text":
		return inNarrative
	case last == "display" && len(names) > 1 && strings.HasSuffix(names[len(names)-2], "oding"), last == "display" && names[0] == "class":
		return inDisplay
	case last == "display":
		return inReference
	}
	return inElement
}

// canary is one value that stands nowhere else.
type canary struct {
	value string
	key   string // of the resource that it was planted in
	kind  string // the resource's type
	path  string // "address.city"
	class class
}

func (c canary) String() string {
	return fmt.Sprintf("canary %s, planted in %s.%s", c.value, c.kind, c.path)
}

// canaries makes those of one run.
type canaries struct {
	run string // what all of them begin with
	all []canary
}

func newCanaries(run string) *canaries { return &canaries{run: run} }

// system is the identifier system of everything planted.
const system = "https://halfdoor.example/canary"

// sheet is a resource on its way to be planted.
type sheet struct {
	c         *canaries
	key, kind string
}

// mark makes a canary for a text element. It has letters and digits only, so that nothing
// escapes it.
func (s sheet) mark(path string) string {
	value := fmt.Sprintf("%sx%03d", s.c.run, len(s.c.all))
	s.c.all = append(s.c.all, canary{value, s.key, s.kind, path, classOf(path)})
	return value
}

// day makes a canary of a date that nobody alive was born on.
func (s sheet) day(path string) string {
	n := len(s.c.all)
	value := fmt.Sprintf("18%02d-%02d-%02d", 10+n*7%80, 1+n%12, 11+n%17)
	s.c.all = append(s.c.all, canary{value, s.key, s.kind, path, inElement})
	return value
}

// of finds the value that was planted in an element.
func (c *canaries) of(key, path string) string {
	for _, one := range c.all {
		if one.key == key && one.path == path {
			return one.value
		}
	}
	return ""
}

// name is the identifier value of what was planted under a key. It is not secret: the probe
// asks for it.
func (c *canaries) name(key string) string { return c.run + "-" + key }

// identifier is a search for what was planted under a key.
func (c *canaries) identifier(key string) string { return "identifier=" + system + "%7C" + c.name(key) }
