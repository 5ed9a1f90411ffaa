package gateway

import (
	"fmt"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/transforms"
)

// checkDataset holds a dataset to what FHIR R4 has: types, elements and search parameters. One that is misspelt would let
// nothing leave, and only ever be missed by the desk that needs it.
func checkDataset(ds *transforms.Dataset) (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, kind := range sortedKeys(ds.Resources) {
		if !fhir.Known(kind) {
			add("%s: R4 has no such resource type", kind)
			continue
		}
		for _, path := range sortedKeys(ds.Resources[kind]) {
			for _, element := range transforms.ElementsIn(path) {
				if wrong := noElement(kind, element); wrong != "" {
					add("%s.%s: %s", kind, path, wrong)
					break
				}
			}
		}
	}
	for _, kind := range sortedKeys(ds.Search) {
		if !fhir.Known(kind) {
			continue // it has no row that is good
		}
		for _, combination := range ds.Search[kind] {
			for _, parameter := range splitCombination(combination) {
				switch canonical, ok := fhir.CanonicalName(kind, parameter); {
				case !ok:
					add("search: %s has no parameter %q", kind, parameter)
				case canonical != parameter: // requests are compared with it as it is
					add("search: %s: write %q as %q", kind, parameter, canonical)
				}
			}
		}
	}
	return errs
}

// noElement says what is wrong with a path of R4's, or nothing. An extension's value may be of any type that a later version has.
func noElement(kind, path string) string {
	if path == "" {
		return ""
	}
	if _, ok := fhir.ElementAt(kind, path); ok {
		return ""
	}
	parent, name := "", path
	for { // the first name that is wrong
		at := strings.LastIndexByte(path, '.')
		if at < 0 {
			parent, name = "", path
			break
		}
		parent, name = path[:at], path[at+1:]
		if _, ok := fhir.ElementAt(kind, parent); ok {
			break
		}
		path = parent
	}
	whole := strings.TrimSuffix(kind+"."+parent, ".")
	siblings := fhir.ElementsOf(kind, parent)
	if len(siblings) == 0 {
		return fmt.Sprintf("%s has nothing below it in R4", whole)
	}
	text := fmt.Sprintf("R4 has no element %q in %s", name, whole)
	if i := slices.IndexFunc(siblings, func(e fhir.Element) bool { return strings.EqualFold(e.Name, name) }); i >= 0 {
		return text + ": " + siblings[i].Name + "?"
	}
	var choices []string
	for _, e := range siblings {
		if kind, ok := strings.CutPrefix(e.Name, strings.TrimSuffix(name, "[x]")); ok && kind != "" && strings.EqualFold(kind, e.Type) {
			choices = append(choices, e.Name)
		}
	}
	if len(choices) > 3 {
		choices = append(choices[:3], "…")
	}
	if len(choices) > 0 {
		text += ", but one for each type: " + strings.Join(choices, ", ")
	}
	return text
}
