package gateway

import (
	"slices"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// What this deployment can grant at all, to whomever: what the bundle's data says of its desks
// (policies.Offer), as far as their datasets bear it and the gateway performs it. It is read from
// them, and so changes with them; no decision is made by it.

// offers are what can be granted.
type offers struct {
	types  map[string]*offer
	system map[string]bool // interactions of no one type

	compartments bool // a patient's can be searched
}

// offer is what can be granted of one resource type.
type offer struct {
	interactions, operations map[string]bool
	params                   map[string]fhir.ParamType
	includes, revIncludes    map[string]bool // "Appointment:actor"
}

// readOnly are the interactions of a bundle whose data says nothing of interactions.
var readOnly = []string{string(fhir.Read), string(fhir.VRead), string(fhir.SearchType)}

func newOffers(engine *policies.Engine) *offers {
	o := &offers{types: map[string]*offer{}, system: map[string]bool{}}
	stated := engine.StatedOffers()
	if len(stated) == 0 {
		for _, name := range engine.Datasets() {
			stated = append(stated, policies.Offer{Dataset: name, Interactions: readOnly})
		}
	}
	withholds := len(engine.StatedLabels()) > 0
	for _, s := range stated {
		plan, ok := engine.Plan(s.Dataset)
		if !ok {
			continue
		}
		for kind := range plan.Dataset().Resources {
			if fhir.Known(kind) {
				o.add(kind, plan, s, withholds)
			}
		}
	}
	o.compartments = performs(fhir.SearchCompartment) && slices.ContainsFunc(stated, func(s policies.Offer) bool {
		return slices.Contains(s.Interactions, string(fhir.SearchCompartment))
	})
	for name, is := range map[string]fhir.Interaction{
		"batch": fhir.Batch, "transaction": fhir.Transaction, "search-system": fhir.SearchSystem, "history-system": fhir.HistorySystem,
	} {
		each := is == fhir.Batch || is == fhir.Transaction // what is in it is granted entry by entry
		if performs(is) && len(o.types) > 0 && (each || slices.ContainsFunc(stated, func(s policies.Offer) bool {
			return slices.Contains(s.Interactions, name) && !(is.History() && withholds)
		})) {
			o.system[name] = true
		}
	}
	return o
}

// add joins what one desk can be granted of a type.
func (o *offers) add(kind string, plan *transforms.Plan, s policies.Offer, withholds bool) {
	t := &offer{interactions: map[string]bool{}, operations: map[string]bool{}, params: map[string]fhir.ParamType{}, includes: map[string]bool{}, revIncludes: map[string]bool{}}
	if before := o.types[kind]; before != nil {
		t = before
	}
	a := &admission{dec: &policies.Decision{Plan: plan}, req: &fhir.Request{Type: kind}}
	versions, times := a.leaves(kind, []string{"meta.versionId"}, transforms.Keep), a.leaves(kind, []string{"meta.lastUpdated"}, transforms.Keep)
	for _, name := range slices.Concat(s.Interactions, s.Writes[kind]) {
		is := fhir.Interaction(name)
		switch {
		case !performs(is), is == fhir.Operation, is == fhir.SearchSystem, is == fhir.SearchCompartment, is == fhir.HistorySystem:
			continue // of no one type, or by its own name
		case is == fhir.VRead && !versions, is.History() && !(versions && times), is == fhir.HistoryType && withholds:
			continue
		case is.Writes() && is != fhir.Delete && !plan.Writable(kind):
			continue
		}
		t.interactions[name] = true
		if is == fhir.SearchType {
			t.searches(a, kind, plan, withholds)
		}
	}
	for _, name := range s.Operations[kind] {
		if matches(&fhir.Request{Interaction: fhir.Operation, Operation: name, Type: kind}) {
			t.operations[name] = true
		}
	}
	if len(t.interactions)+len(t.operations) > 0 {
		o.types[kind] = t
	}
}

// performs says whether the gateway performs an interaction at all.
func performs(is fhir.Interaction) bool {
	return is == fhir.Batch || performed(&fhir.Request{Interaction: is}) == nil
}

// searches adds the parameters by which a dataset lets a type be searched, and what it lets be included.
func (t *offer) searches(a *admission, kind string, plan *transforms.Plan, withholds bool) {
	brings := func(other string) bool { return plan.Has(other) && !(withholds && other == kind) } // see bring
	for def := range fhir.Parameters(kind) {
		if !a.readable(kind, fhir.Param{Name: def.Name, Definition: def}) {
			continue
		}
		t.params[def.Name] = def.Type
		if def.Type == fhir.Reference && slices.ContainsFunc(def.Targets, brings) {
			t.includes[kind+":"+def.Name] = true
		}
	}
	for _, combination := range plan.Dataset().Search[kind] {
		for _, name := range splitCombination(combination) {
			if def, ok := fhir.Parameter(kind, name); ok {
				t.params[name] = def.Type
			}
		}
	}
	for from := range plan.Dataset().Resources {
		if !brings(from) {
			continue
		}
		for def := range fhir.Parameters(from) {
			if def.Type == fhir.Reference && slices.Contains(def.Targets, kind) && a.readable(from, fhir.Param{Name: def.Name, Definition: def}) {
				t.revIncludes[from+":"+def.Name] = true
			}
		}
	}
}

// scopes are the SMART scopes that can be granted and used.
func (o *offers) scopes() []string {
	var all []string
	for kind, t := range o.types {
		has := func(names ...string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return t.interactions[n] })
		}
		letters := ""
		for _, l := range []struct {
			letter string
			needed bool
		}{
			{"c", has("create")}, {"r", has("read", "vread", "history-instance") || len(t.operations) > 0}, {"u", has("update", "patch")},
			{"d", has("delete")}, {"s", has("search-type", "history-type") || len(t.operations) > 0},
		} {
			if l.needed {
				letters += l.letter
			}
		}
		for _, level := range []string{"patient/", "system/", "user/"} {
			all = append(all, level+kind+"."+letters)
		}
	}
	slices.Sort(all)
	return all
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
