package gateway

import (
	"context"
	"slices"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// Admission joins a request to its dataset: what the dataset hides cannot be asked about,
// and the client's tokens become the EHR's ids. Its invariants:
//
//   - a parameter goes to the EHR only if each element that it reads leaves whole, or the
//     dataset's search names it in a combination that the request has complete and exact
//     (admit_search.go);
//   - a resource of another type than the one that was asked for, as an include brings it or a
//     chain reads it, has its own floor and decision (admit_types.go);
//   - an id goes to the EHR only if this client was given its token, or the verified token
//     or the dataset gives the id itself; any other is answered like a missing resource,
//     and the EHR is not asked (admit_ids.go);
//   - what was withheld cannot be counted, sorted or reached by what it leads to;
//   - where the call is held to a patient, a search is narrowed to that patient before it
//     is sent; the filter holds the answer to the compartment again.

type admission struct {
	errand
	gen      *generation
	floor    smart.Floor
	dec      *policies.Decision
	req      *fhir.Request
	confirms bool               // what is hidden is asked about
	inside   string             // the patient in whose compartment is searched
	more     []transforms.Label // labels that are denied by decisions about further types
	types    []string           // that may leave
	judged   map[string]bool    // further types, by how they are read: whether this call may
}

func (a *admission) admit(ctx context.Context, c *call, p *page) (*query, error) {
	if !a.agrees(a.floor.Patient, a.dec.Patient) {
		return nil, refusal("not-found") // no resource is in two patients' hands
	}
	q, err := a.query(ctx, c)
	if err != nil || p == nil {
		return q, err
	}
	if !p.continues(a) {
		return nil, refusal("page-invalid")
	}
	q.path, q.raw, q.skip, q.nothing = p.Path, p.Query, p.Skip, false
	return q, nil
}

func (a *admission) query(ctx context.Context, c *call) (*query, error) {
	if a.req.Interaction != fhir.HistorySystem {
		a.types = a.searched()
	}
	for _, kind := range a.types {
		if !a.dec.Plan.Has(kind) {
			return nil, refusal("dataset-type")
		}
	}
	switch {
	case a.req.Interaction.Searches(), matches(a.req):
		return a.searching(ctx, c)
	case a.req.Interaction.History():
		return a.history(ctx, c)
	}
	return a.instance()
}

// searched are the types that are asked for.
func (a *admission) searched() []string {
	if a.req.Type != "" {
		return []string{a.req.Type}
	}
	return slices.Clone(a.req.Types)
}

// patient is the one to whose compartment the call is held; empty for any.
func (a *admission) patient() string {
	for _, id := range []string{a.floor.Patient, a.dec.Patient} {
		if id != "" {
			return id
		}
	}
	return a.inside
}

// agrees says whether these are one patient; empty for any.
func (a *admission) agrees(one, other string) bool { return one == "" || other == "" || one == other }

// labels are those that are denied, by any of the decisions.
func (a *admission) labels() []transforms.Label {
	return append(slices.Clip(a.dec.DenyLabels), a.more...)
}

// withholds says whether resources of the types that may leave can be kept back one by one, so
// that an answer must not tell of those that were.
func (a *admission) withholds() bool {
	return a.patient() != "" || len(a.labels()) > 0 || a.floor.Granular()
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
	if req.Version != "" && !a.leaves(req.Type, []string{"meta.versionId"}, transforms.Keep) {
		return nil, refusal("not-found")
	}
	req.ID = id
	return &query{admission: a, path: req.Path(), id: id, stands: req.Version != ""}, nil
}

// history asks for versions, which tell how often and when a resource changed. Of several
// resources it also tells which were withheld or deleted, by what is missing.
func (a *admission) history(ctx context.Context, c *call) (*query, error) {
	if a.req.Interaction == fhir.HistorySystem {
		for kind := range a.dec.Plan.Dataset().Resources {
			may, err := a.may(ctx, c, kind, smart.Search)
			if err != nil {
				return nil, err
			}
			if may && a.versioned(kind) {
				a.types = append(a.types, kind)
			}
		}
		slices.Sort(a.types)
	}
	for _, kind := range a.types {
		if !a.versioned(kind) {
			return nil, refusal("history-hidden")
		}
	}
	req := fhir.Request{Interaction: a.req.Interaction, Type: a.req.Type, Params: a.req.Params}
	if a.req.ID == "" {
		if a.withholds() || len(a.types) == 0 {
			return nil, refusal("history-hidden")
		}
		return &query{admission: a, path: req.Path(), raw: req.Encode()}, nil
	}
	of, err := a.instance()
	if err != nil {
		return nil, err
	}
	req.ID = of.id
	return &query{admission: a, path: req.Path(), raw: req.Encode(), id: of.id, stands: true}, nil
}

// versioned says whether it may be known when a resource of a type became what it is.
func (a *admission) versioned(kind string) bool {
	return a.leaves(kind, []string{"meta.versionId", "meta.lastUpdated"}, transforms.Keep)
}

// leaves says whether elements of a type leave whole, by one of the methods.
func (a *admission) leaves(kind string, elements []string, methods ...transforms.Method) bool {
	plan := a.dec.Plan
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
