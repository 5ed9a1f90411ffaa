package policies

import (
	"maps"
	"slices"
	"strings"
)

// switchedPath is where a bundle keeps what it switches off: names by kind, each with a sentence on why.
//
//	switched_off:
//	  clients: {acme-portal: "A laptop with its key is lost."}
//	  types: {Communication: "The interface is being repaired."}
var switchedPath = []string{"halfdoor", "switched_off"}

// switchKinds are the kinds of what can be switched off, by their names in a bundle.
var switchKinds = map[string]string{
	"clients": "client", "categories": "category", "ehrs": "ehr", "types": "type", "interactions": "interaction", "workflows": "workflow",
}

// SwitchKinds are the kinds of what can be switched off: an OAuth client, a ticket category, an EHR, a resource type, an
// interaction, and a workflow by the dataset that its answers are filtered by.
func SwitchKinds() []string { return slices.Sorted(maps.Values(switchKinds)) }

// SwitchedOff tells whether the bundle switches something off, and why. The rules are not asked: the gateway refuses.
func (e *Engine) SwitchedOff(kind, name string) (why string, off bool) {
	why, off = e.switched[[2]string{kind, name}]
	return why, off
}

// Switched lists what the bundle switches off, of one kind.
func (e *Engine) Switched(kind string) map[string]string {
	names := map[string]string{}
	for of, why := range e.switched {
		if of[0] == kind {
			names[of[1]] = why
		}
	}
	return names
}

// statedSwitches reads them.
func statedSwitches(s *source, found *problems) map[[2]string]string {
	root, _ := s.data[switchedPath[0]].(map[string]any)
	stated, ok := root[switchedPath[1]]
	if !ok {
		return nil
	}
	wrong := func(at []string, text string) {
		file, line := s.locate(at, at)
		found.add(file, line, "data.%s %s", strings.Join(at, "."), text)
	}
	byKind, ok := stated.(map[string]any)
	if !ok {
		wrong(switchedPath, "must be a mapping by kind")
		return nil
	}
	off := map[[2]string]string{}
	for _, plural := range slices.Sorted(maps.Keys(byKind)) {
		at := append(slices.Clone(switchedPath), plural)
		kind, known := switchKinds[plural]
		if !known {
			wrong(at, "is no kind; there are "+strings.Join(slices.Sorted(maps.Keys(switchKinds)), ", "))
			continue
		}
		names, ok := byKind[plural].(map[string]any)
		if !ok {
			wrong(at, "must be a mapping of names to a sentence on why")
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			why, ok := names[name].(string)
			if !ok || why == "" {
				wrong(append(slices.Clone(at), name), "needs a sentence on why")
				continue
			}
			off[[2]string{kind, name}] = why
		}
	}
	return off
}
