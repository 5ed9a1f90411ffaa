package gateway

import (
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// Admission joins a request to its dataset: what the dataset hides cannot be asked about,
// and the client's tokens become the EHR's ids. Its invariants:
//
//   - a parameter goes to the EHR only if each element that it reads leaves whole, or the
//     dataset's search names it in a combination that the request has complete and exact;
//   - an id goes to the EHR only if this client was given its token, or the verified token
//     or the dataset gives the id itself; any other is answered like a missing resource,
//     and the EHR is not asked;
//   - where the call is held to a patient, a search is narrowed to that patient before it
//     is sent; the filter holds the answer to the compartment again.

type admission struct {
	errand
	gen   *generation
	floor smart.Floor
	dec   *policies.Decision
	req   *fhir.Request
}

func (a *admission) admit(p *page) (*query, error) {
	if !a.dec.Plan.Has(a.req.Type) {
		return nil, refusal("dataset-type")
	}
	if a.floor.Patient != "" && a.dec.Patient != "" && a.floor.Patient != a.dec.Patient {
		return nil, refusal("not-found") // no resource is in two patients' hands
	}
	if a.req.Interaction != fhir.SearchType {
		return a.instance()
	}
	q, err := a.search()
	if err != nil || p == nil {
		return q, err
	}
	if !p.continues(a) {
		return nil, refusal("page-invalid")
	}
	return &query{admission: a, path: p.Path, raw: p.Query}, nil
}

// patient is the one to whose compartment the call is held; empty for any.
func (a *admission) patient() string {
	if a.floor.Patient != "" {
		return a.floor.Patient
	}
	return a.dec.Patient
}

func (a *admission) instance() (*query, error) {
	req := *a.req
	id, ok := a.open(req.Type, req.ID)
	if !ok {
		return nil, refusal("not-found")
	}
	if req.Type == "Patient" && a.patient() != "" && id != a.patient() {
		return nil, refusal("not-found")
	}
	// A version's number tells how often a resource changed.
	if req.Version != "" && a.dec.Plan.Method(req.Type, "meta.versionId") != transforms.Keep {
		return nil, refusal("not-found")
	}
	req.ID = id
	return &query{admission: a, path: req.Path(), id: id}, nil
}

func (a *admission) search() (*query, error) {
	named := a.named()
	q := &query{admission: a, path: a.req.Type}
	asked := fhir.Request{Type: a.req.Type}
	for _, p := range a.req.Params {
		if !a.readable(p) {
			if !named[p.Name] {
				return nil, refusal("search-hidden").naming(p.Name)
			}
			p = whole(p)
		}
		opened, ok := a.openValues(p)
		if !ok {
			q.nothing = true // no resource has such an id
		}
		asked.Params = append(asked.Params, opened)
	}
	asked.Params = append(asked.Params, a.floor.Narrow...)
	if held := a.patient(); held != "" {
		if name, ok := fhir.CompartmentParameter(a.req.Type); ok {
			def, _ := fhir.Parameter(a.req.Type, name)
			value := held
			if def.Type == fhir.Reference {
				value = "Patient/" + held
			}
			asked.Params = append(asked.Params, fhir.Param{Name: name, Values: []string{value}, Definition: def})
		}
	}
	q.raw = asked.Encode()
	if len(q.path)+len(q.raw) > maxTarget {
		return nil, refusal("too-long")
	}
	return q, nil
}

// readable says whether all that a parameter reads leaves anyway.
func (a *admission) readable(p fhir.Param) bool {
	elements, ok := p.Reads()
	if !ok {
		return false
	}
	if p.Definition != nil && p.Modifier != "missing" {
		switch {
		case p.Name == "_id":
			return a.leaves(elements, transforms.Keep, transforms.Token)
		case p.Definition.Type == fhir.Reference:
			return a.leaves(elements, transforms.Keep, transforms.Reference)
		}
	}
	// The order of a token or a mask would tell what it hides, so a sort needs the element itself.
	return a.leaves(elements, transforms.Keep)
}

func (a *admission) leaves(elements []string, methods ...transforms.Method) bool {
	plan, kind := a.dec.Plan, a.req.Type
	for _, path := range elements {
		if slices.Contains(methods, plan.Method(kind, path)) {
			continue
		}
		// A Period leaves whole where both of its ends do.
		if plan.Method(kind, path+".start") != transforms.Keep || plan.Method(kind, path+".end") != transforms.Keep {
			return false
		}
	}
	return true
}

// named are the parameters that the dataset's search allows in this request although what
// they read is hidden: those of each combination that is there complete, once, and exact.
func (a *admission) named() map[string]bool {
	exactly := map[string]bool{}
	for i, p := range a.req.Params {
		again := slices.ContainsFunc(a.req.Params[:i], func(o fhir.Param) bool { return o.Name == p.Name })
		exactly[p.Name] = !again && exact(p)
	}
	named := map[string]bool{}
	for _, combination := range a.dec.Plan.Dataset().Search[a.req.Type] {
		names := splitCombination(combination)
		if !slices.ContainsFunc(names, func(n string) bool { return !exactly[n] }) {
			for _, n := range names {
				named[n] = true
			}
		}
	}
	return named
}

// exact says whether a parameter asks for one value, so that it confirms what the desk
// already knows; a list, a range, a part of a date or a presence would find it out.
func exact(p fhir.Param) bool {
	if p.Definition == nil || len(p.Values) != 1 || p.Modifier != "" && p.Modifier != "exact" {
		return false
	}
	v := p.Values[0]
	switch p.Definition.Type {
	case fhir.Token:
		return v[strings.LastIndexByte(v, '|')+1:] != ""
	case fhir.Date:
		v = strings.TrimPrefix(v, "eq")
		return len(v) >= len("2006-01-02") && v[0] >= '0' && v[0] <= '9'
	case fhir.String, fhir.URI, fhir.Reference:
		return v != ""
	}
	return false
}

// whole makes a named parameter confirm a text and not its beginning, by which a name could be
// found out letter by letter: a string matches what starts with it (FHIR R4, search.html,
// section 2.21.1.5.5), and some servers take a star for anything.
func whole(p fhir.Param) fhir.Param {
	if p.Definition.Type == fhir.String {
		p.Modifier = "exact"
	}
	return p
}

// open turns an id that the client sent into the EHR's own.
func (a *admission) open(kind, id string) (string, bool) {
	grant := &a.caller.Grant
	switch {
	case kind == "Patient" && id == grant.Patient, kind == "Encounter" && id == grant.Encounter,
		a.isUser(kind, id), a.dec.Plan.Method(kind, "id") == transforms.Keep:
		return id, true
	}
	real, err := a.seal.Open(kind, id)
	return real, err == nil
}

// isUser says whether the id is the token's own fhirUser, relative or at this EHR.
func (a *admission) isUser(kind, id string) bool {
	user := a.caller.Grant.FHIRUser
	for _, base := range a.route.ehr.Bases() {
		user = strings.TrimPrefix(user, base+"/")
	}
	return user == kind+"/"+id
}

// openValues opens what stands for an id in a parameter's values. Values that open to
// nothing are left out; ok is false where none is left.
func (a *admission) openValues(p fhir.Param) (_ fhir.Param, ok bool) {
	var open func(string) (string, bool)
	switch {
	case p.Definition == nil || p.Modifier == "missing":
		return p, true
	case p.Name == "_id":
		open = func(v string) (string, bool) { return a.open(a.req.Type, v) }
	case p.Definition.Type == fhir.Reference:
		open = func(v string) (string, bool) { return a.openReference(p, v) }
	case p.Definition.Type == fhir.Token:
		open = func(v string) (string, bool) { return a.openIdentifier(p, v), true }
	default:
		return p, true
	}
	values := make([]string, 0, len(p.Values))
	for _, v := range p.Values {
		if real, ok := open(v); ok {
			values = append(values, real)
		}
	}
	p.Values = values
	return p, len(values) > 0
}

// openReference opens "token", "Type/token" or the gateway's own URL of a resource. A bare
// token opens as one type only, so each target is tried.
func (a *admission) openReference(p fhir.Param, v string) (string, bool) {
	v = strings.TrimPrefix(v, a.route.base+"/")
	kind, id, typed := strings.Cut(v, "/")
	kinds := []string{kind}
	if !typed {
		id, kinds = v, p.Definition.Targets
		if p.Modifier != "" {
			kinds = []string{p.Modifier}
		}
	}
	for _, kind := range kinds {
		if real, ok := a.open(kind, id); ok && fhir.ValidID(real) {
			if p.Modifier != "" {
				return real, true
			}
			return kind + "/" + real, true
		}
	}
	return "", false
}

// openIdentifier opens the value of "system|token" where the dataset tokenises it; any
// other value stays what it is.
func (a *admission) openIdentifier(p fhir.Param, v string) string {
	i := strings.LastIndexByte(v, '|') + 1
	for _, path := range p.Definition.Elements {
		if a.dec.Plan.Method(a.req.Type, path) != transforms.Token {
			continue
		}
		if real, err := a.seal.Open(a.req.Type+"."+path, v[i:]); err == nil {
			return v[:i] + fhir.Escape(real)
		}
	}
	return v
}

// splitCombination reads one entry of a dataset's search: "family+birthdate".
func splitCombination(s string) []string { return strings.Split(s, "+") }
