package policies

import (
	"maps"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// Fate is what becomes of an element under a dataset.
type Fate struct {
	Path   string `json:"path"` // below the resource type, as the row has it
	Leaves bool   `json:"leaves"`
	How    string `json:"how"`           // in words
	Why    string `json:"why,omitempty"` // the dataset's sentence
}

// Fates tells for a resource type what leaves by which row, and what of FHIR's elements does not: an element of which no part
// leaves is one Fate.
func Fates(ds *transforms.Dataset, kind string, defs Definitions) []Fate {
	rows := ds.Resources[kind]
	if rows == nil {
		return nil
	}
	var all []Fate
	named := map[string]bool{} // elements of which something leaves, and those above them
	whole := map[string]bool{} // with all that is below
	for _, path := range slices.Sorted(maps.Keys(rows)) {
		f := Fate{Path: path, Leaves: rows[path].Method != transforms.Remove, How: inWords(rows[path]), Why: ds.Reason(kind, path)}
		all = append(all, f)
		elements := transforms.ElementsIn(path)
		if len(elements) == 0 || !f.Leaves {
			continue
		}
		whole[elements[0]] = true
		for at := elements[0]; at != ""; at = at[:max(0, strings.LastIndexByte(at, '.'))] {
			named[at] = true
		}
	}
	if whole[""] { // a row * for all of it
		return all
	}
	var walk func(at string)
	walk = func(at string) {
		for _, name := range defs.Below(kind, at) {
			path := strings.TrimPrefix(at+"."+name, ".")
			switch {
			case !named[path]:
				if _, explicit := rows[path]; !explicit {
					all = append(all, Fate{Path: path, How: "does not leave: no row of the dataset names it"})
				}
			case !whole[path]:
				walk(path)
			}
		}
	}
	walk("")
	return all
}

// inWords says how an element leaves.
func inWords(rule transforms.Rule) string {
	switch rule.Method {
	case transforms.Keep:
		return "leaves as it is; extensions, narrative and display texts stay behind"
	case transforms.Token:
		return "leaves as a token, which the client can send back"
	case transforms.Reference:
		return "leaves as a reference with a token in it"
	case transforms.Mask:
		return `leaves as "***": that there is one, and not which`
	case transforms.Year:
		return "leaves as the year alone"
	case transforms.Month:
		return "leaves as year and month"
	case transforms.Shift:
		return "leaves moved by the patient's own number of days"
	case transforms.Hash:
		return "leaves as a hash, which tells only whether two are the same"
	case transforms.Fixed:
		return "leaves as " + rule.Value + ", whatever it is"
	case transforms.Remove:
	}
	return "does not leave: a row takes it out"
}
