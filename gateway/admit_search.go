package gateway

import (
	"context"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
	"github.com/halfdoor/halfdoor/transforms"
)

// searching admits a search, and once more where a further type has brought a label that is denied: what is denied for one
// is for all, also for what was admitted before this was known.
func (a *admission) searching(ctx context.Context, c *call) (*query, error) {
	for {
		known := len(a.more)
		a.types, a.inside, a.confirms = a.searched(), "", false
		q, err := a.search(ctx, c)
		if err != nil || len(a.more) == known {
			return q, err
		}
	}
}

// search admits a search of one type, of several, or of a patient's compartment.
func (a *admission) search(ctx context.Context, c *call) (*query, error) {
	kinds := a.searched()
	for _, kind := range kinds[1:] { // the first one was decided
		in := c.input(a.errand, a.req)
		in.Request.Type = kind
		if err := a.decide(ctx, c, in); err != nil {
			return nil, err
		}
	}
	if err := a.compartment(); err != nil {
		return nil, err
	}
	asked := fhir.Request{Interaction: a.req.Interaction, Type: a.req.Type, Types: a.req.Types}
	var err error
	if asked.Includes, err = a.include(ctx, c); err != nil {
		return nil, err
	}
	if err := a.shape(&asked); err != nil {
		return nil, err
	}
	q := &query{admission: a}
	named := a.named()
	asked.Params = make([]fhir.Param, 0, len(a.req.Params)+8) // and what is added below
	for _, p := range a.req.Params {
		may, err := a.shown(ctx, c, kinds, p)
		if err != nil {
			return nil, err
		}
		if !may {
			if !named[p.Name] {
				return nil, refusal("search-hidden").naming(p.Name)
			}
			if may, err := a.reaches(ctx, c, p); err != nil || !may {
				return nil, orRefusal(err, refusal("search-hidden").naming(p.Name))
			}
			a.confirms = true
		}
	}
	for _, p := range a.req.Params {
		if a.confirms && named[p.Name] {
			p = whole(p) // what is shown as well: beside the first letter of a name, a hidden date is found out
			q.confirms(p)
		}
		opened, ok := a.openValues(on(kinds, p), p)
		if !ok {
			q.nothing = true // no resource has such an id
		}
		asked.Params = append(asked.Params, opened)
	}
	switch {
	case len(q.texts) > 0 && asked.Summary != "":
		return nil, refusal("search-hidden").naming("_summary") // the EHR would count what it takes for the text
	case len(q.texts) > 0 && asked.Total != "":
		return nil, refusal("search-hidden").naming("_total")
	}
	asked.Params = append(asked.Params, a.floor.Narrow...)
	if err := a.narrow(&asked); err != nil {
		return nil, err
	}
	if !a.route.labelPages {
		asked.Params = append(asked.Params, unlabelled(a.labels())...)
	}
	a.scan(&asked)
	q.path, q.raw, q.criteria = asked.Path(), asked.Encode(), asked.Params
	if len(q.path)+len(q.raw) > maxTarget {
		return nil, refusal("too-long")
	}
	return q, nil
}

// unlabelled leave what has one of the labels out of what is found: the filter drops it from the answer in any case, but what
// the EHR counts for a page would tell of it. A code without a system is "|code" (FHIR R4, search.html, section 2.21.1.5.6).
func unlabelled(labels []transforms.Label) []fhir.Param {
	params, values := make([]fhir.Param, len(labels)), make([]string, len(labels))
	def, _ := fhir.Parameter("Patient", "_security") // one for all types
	for i, l := range labels {
		values[i] = fhir.Escape(l.System) + "|" + fhir.Escape(l.Code)
		params[i] = fhir.Param{Name: "_security", Modifier: "not", Values: values[i : i+1 : i+1], Definition: def}
	}
	return params
}

func orRefusal(err error, r *Refusal) error {
	if err != nil {
		return err
	}
	return r
}

// on are the types of whose parameters a parameter of a search compares the values.
func on(kinds []string, p fhir.Param) []string {
	if len(p.Links) == 0 {
		return kinds
	}
	return []string{p.On(kinds[0])}
}

// compartment admits the compartment that is searched. Which resources are in it, their
// references to the patient tell: where the client does not see one of these, being found would.
func (a *admission) compartment() error {
	of := a.req.Compartment
	if of.Type == "" {
		return nil
	}
	if of.Type != "Patient" {
		return refusal("not-supported").naming("a search of a compartment other than a patient's")
	}
	id, ok := a.open(of.Type, of.ID)
	if !ok || !a.agrees(id, a.patient()) {
		return refusal("not-found")
	}
	held := a.patient() != ""
	a.inside = id
	parts := fhir.PatientCompartment()
	for _, kind := range a.searched() {
		elements, in := parts[kind]
		switch {
		case kind == "Patient":
		case !in:
			return refusal("not-supported").naming("a search for " + kind + " in a patient's compartment")
		case !held && !a.leaves(kind, elements, transforms.Keep, transforms.Reference):
			return refusal("search-hidden").naming("Patient/[id]/" + kind)
		}
	}
	return nil
}

// shape admits what shapes the answer. Which elements leave is the dataset's to say, whatever
// the client asks for; and the EHR is never asked for less, since it would leave out what labels
// and compartments are judged by.
func (a *admission) shape(asked *fhir.Request) error {
	if a.req.Summary == "count" {
		if a.withholds() {
			return refusal("search-hidden").naming("_summary")
		}
		asked.Summary = "count"
	}
	if a.req.Total == "estimate" || a.req.Total == "accurate" {
		if a.withholds() {
			return refusal("search-hidden").naming("_total")
		}
		asked.Total = a.req.Total
	}
	return nil
}

// narrow holds a search to the patient to whom the call is held.
func (a *admission) narrow(asked *fhir.Request) error {
	held := a.patient()
	switch {
	case held == "":
		return nil
	case a.inside != "":
		asked.Compartment = fhir.Compartment{Type: "Patient", ID: held}
		return nil
	case asked.Type == "": // no parameter narrows several types
		for _, kind := range asked.Types {
			if _, ok := fhir.CompartmentParameter(kind); !ok {
				return smart.ErrGranular
			}
		}
		asked.Interaction, asked.Compartment = fhir.SearchCompartment, fhir.Compartment{Type: "Patient", ID: held}
		return nil
	}
	if name, ok := fhir.CompartmentParameter(asked.Type); ok {
		def, _ := fhir.Parameter(asked.Type, name)
		value := held
		if def.Type == fhir.Reference {
			value = "Patient/" + held
		}
		asked.Params = append(asked.Params, fhir.Param{Name: name, Values: []string{value}, Definition: def})
	}
	return nil
}

// shown says whether all that a parameter reads leaves anyway, of each type that is searched.
func (a *admission) shown(ctx context.Context, c *call, kinds []string, p fhir.Param) (bool, error) {
	for _, kind := range kinds {
		if of, ok := p.For(kind); !ok || !a.readable(p.On(kind), of) {
			return false, nil
		}
	}
	if len(p.Links) == 0 {
		return true, nil
	}
	may, err := a.reaches(ctx, c, p)
	if err != nil || !may || a.withholds() {
		return false, err // what a chain reads on its way may be withheld
	}
	for _, link := range p.Links {
		if link.Definition.Elements == nil || !a.leaves(link.Type, link.Definition.Elements, transforms.Keep, transforms.Reference) {
			return false, nil
		}
	}
	return true, nil
}

// reaches says whether the call may search each type that a chain or _has leads to.
func (a *admission) reaches(ctx context.Context, c *call, p fhir.Param) (bool, error) {
	for i, link := range p.Links {
		to, name := link.Target, p.Definition.Name
		if link.Reverse {
			to = link.Type
		}
		if i+1 < len(p.Links) {
			name = p.Links[i+1].Definition.Name
		}
		if may, err := a.may(ctx, c, to, smart.Read|smart.Search, name); err != nil || !may {
			return false, err
		}
	}
	return true, nil
}

// readable says whether all that a parameter reads of a type leaves anyway.
func (a *admission) readable(kind string, p fhir.Param) bool {
	elements, ok := p.Reads()
	if !ok {
		return false
	}
	if p.Definition != nil && p.Modifier != "missing" && p.Modifier != "identifier" {
		switch {
		case p.Definition.Name == "_id":
			return a.leaves(kind, elements, transforms.Keep, transforms.Token)
		case p.Definition.Type == fhir.Reference:
			return a.leaves(kind, elements, transforms.Keep, transforms.Reference)
		}
	}
	// The order of a token or a mask would tell what it hides, so a sort needs the element itself.
	return a.leaves(kind, elements, transforms.Keep)
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

// splitCombination reads one entry of a dataset's search: "family+birthdate".
func splitCombination(s string) []string { return strings.Split(s, "+") }
