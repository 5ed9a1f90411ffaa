package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// A call reaches other types than the one that it names: those of a search of several types,
// those that an include brings, those that a chain reads. Each has a row in the same dataset, a
// scope of its own and a decision of its own, under the same patient; labels that are denied for
// one of them are denied for all.

// may says whether this call may read resources of a further type. A type that a reference leads
// to is read; one that refers to what was found is searched as well.
func (a *admission) may(ctx context.Context, c *call, kind string, needs smart.Needs, parameters ...string) (bool, error) {
	key := kind
	if needs&smart.Search != 0 {
		key += "?" + strings.Join(parameters, "&")
	}
	if may, known := a.judged[key]; known {
		return may, nil
	}
	err := a.judge(ctx, c, kind, needs, parameters)
	may := err == nil
	if !may && !refuses(err) {
		return false, err
	}
	if a.judged == nil {
		a.judged = map[string]bool{}
	}
	a.judged[key] = may
	return may, nil
}

// refuses says whether an error is about what was asked, rather than a failure.
func refuses(err error) bool {
	var own *Refusal
	return errors.As(err, &own) || errors.Is(err, smart.ErrScope) || errors.Is(err, smart.ErrNoPatient) || errors.Is(err, smart.ErrGranular)
}

func (a *admission) judge(ctx context.Context, c *call, kind string, needs smart.Needs, parameters []string) error {
	if !a.dec.Plan.Has(kind) {
		return refusal("dataset-type")
	}
	if err := c.on("type", kind); err != nil {
		return err
	}
	floor, err := smart.PermitType(&a.caller.Grant, kind, needs)
	switch {
	case err != nil:
		return err
	case floor.Granular() || floor.Patient != "" && floor.Patient != a.patient():
		return smart.ErrGranular
	}
	in := c.input(a.errand, a.req)
	in.Request = policies.Request{Interaction: string(fhir.Read), Type: kind, Entries: in.Request.Entries}
	if needs&smart.Search != 0 {
		in.Request.Interaction, in.Request.Parameters = string(fhir.SearchType), parameters
	}
	return a.decide(ctx, c, in)
}

// decide asks the policy about a further type.
func (a *admission) decide(ctx context.Context, c *call, in *policies.Input) error {
	dec, err := c.consult(ctx, in)
	switch {
	case err != nil:
		return err
	case !dec.Allow:
		return denied(dec)
	case dec.Dataset != a.dec.Dataset, dec.BreakGlass != a.dec.BreakGlass, dec.Patient != "" && dec.Patient != a.patient():
		return refusal("policy-denied")
	}
	for _, label := range dec.DenyLabels {
		if !slices.Contains(a.labels(), label) {
			a.more = append(slices.Clip(a.more), label)
		}
	}
	return nil
}

// include works out what the includes bring, each once its source may leave: an include that
// iterates can start at what another one brings. They go to the EHR one by one, for the types
// that may leave and no others.
func (a *admission) include(ctx context.Context, c *call) ([]fhir.Include, error) {
	var asked []fhir.Include
	waiting := slices.Clone(a.req.Includes)
	for len(waiting) > 0 {
		i := slices.IndexFunc(waiting, func(i fhir.Include) bool { return i.Reverse || slices.Contains(a.types, i.Source) })
		if i < 0 {
			return nil, refusal("search-hidden").naming(waiting[0].Name())
		}
		one := waiting[i]
		waiting = slices.Delete(waiting, i, i+1)
		follow := a.follow
		if one.Reverse {
			follow = a.precede
		}
		brings, err := follow(ctx, c, one)
		if err != nil {
			return nil, err
		}
		if len(brings) == 0 {
			return nil, refusal("search-hidden").naming(one.Name())
		}
		asked = append(asked, brings...)
	}
	return asked, nil
}

// follow is an _include: of each of its parameters, the types to which the reference may be
// followed. Nothing, where the source hides one of the references.
func (a *admission) follow(ctx context.Context, c *call, i fhir.Include) (brings []fhir.Include, err error) {
	for _, p := range i.Params() {
		if p.Elements == nil || !a.leaves(i.Source, p.Elements, transforms.Keep, transforms.Reference) {
			return nil, nil
		}
		targets := p.Targets
		switch {
		case i.Target != "":
			targets = []string{i.Target}
		case targets == nil:
			targets = sortedKeys(a.dec.Plan.Dataset().Resources)
		}
		for _, target := range targets {
			may, err := a.bring(ctx, c, target, smart.Read)
			if err != nil {
				return nil, err
			}
			if may {
				brings = append(brings, fhir.Include{Iterate: i.Iterate, Source: i.Source, Param: p, Target: target})
			}
		}
	}
	return brings, nil
}

// precede is a _revinclude.
func (a *admission) precede(ctx context.Context, c *call, i fhir.Include) (brings []fhir.Include, err error) {
	var names []string
	for _, p := range i.Params() {
		if p.Elements == nil || !a.leaves(i.Source, p.Elements, transforms.Keep, transforms.Reference) {
			return nil, nil
		}
		names = append(names, p.Name)
		brings = append(brings, fhir.Include{Reverse: true, Iterate: i.Iterate, Source: i.Source, Param: p, Target: i.Target})
	}
	may, err := a.bring(ctx, c, i.Source, smart.Read|smart.Search, names...)
	if err != nil || !may {
		return nil, err
	}
	return brings, nil
}

// bring says whether an include may bring resources of a type, which may leave then. Where some
// can be withheld, it is not one that is searched for: what a withheld one leads to could not be
// told from what was found.
func (a *admission) bring(ctx context.Context, c *call, kind string, needs smart.Needs, parameters ...string) (bool, error) {
	may, err := a.may(ctx, c, kind, needs, parameters...)
	if err != nil || !may || a.withholds() && slices.Contains(a.searched(), kind) {
		return false, err
	}
	if !slices.Contains(a.types, kind) {
		a.types = append(a.types, kind)
	}
	return true, nil
}
