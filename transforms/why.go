package transforms

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// everyType stands in [Dataset.Why] for all resource types.
const everyType = "*"

// maxWhy bounds the sentence that says why an element is needed, in bytes.
const maxWhy = 300

// Reason is what the dataset says of why an element, or a row's path with conditions, is needed: its own sentence, else that of
// the nearest element above it; of its type, else of all types. It is empty where the dataset does not say.
func (ds *Dataset) Reason(kind, path string) string {
	for _, of := range []string{kind, everyType} {
		why := ds.Why[of]
		if text := why[path]; text != "" {
			return text
		}
		about := path
		if elements := ElementsIn(path); elements != nil {
			about = elements[0]
		}
		for about != "" {
			if text := why[about]; text != "" {
				return text
			}
			about = about[:max(0, strings.LastIndexByte(about, '.'))]
		}
	}
	return ""
}

// unreasonable returns what is wrong with Why: a reason for what does not leave would be taken for one that it does.
func (ds *Dataset) unreasonable() (all []error) {
	for _, of := range slices.Sorted(maps.Keys(ds.Why)) {
		if of != everyType && ds.Resources[of] == nil {
			all = append(all, fmt.Errorf("why: %q has no row", of))
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(ds.Why[of])) {
			text := ds.Why[of][path]
			switch {
			case strings.TrimSpace(text) != text || text == "" || len(text) > maxWhy:
				all = append(all, fmt.Errorf("why: %s.%s: is one sentence of at most %d bytes", of, path, maxWhy))
			case strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
				all = append(all, fmt.Errorf("why: %s.%s: is one line", of, path))
			case !ds.hasRow(of, path):
				all = append(all, fmt.Errorf("why: %s.%s: no row lets it leave", of, path))
			}
		}
	}
	return all
}

// hasRow says whether a row is about the element at a path, or below it.
func (ds *Dataset) hasRow(of, path string) bool {
	for kind, rows := range ds.Resources {
		if of != everyType && of != kind {
			continue
		}
		for row, rule := range rows {
			elements := ElementsIn(row)
			if rule.Method != Remove && elements != nil && (row == path || elements[0] == path || strings.HasPrefix(elements[0], path+".")) {
				return true
			}
		}
	}
	return false
}
