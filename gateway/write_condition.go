package gateway

import (
	"context"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

// What a condition selects is found by the gateway's own search, admitted and filtered like the
// client's: a condition finds what a search by this caller would, and nothing that is withheld from it, so that no
// condition can ask about that either. A conditional write acts on the resource that was found, with If-Match; a create
// is sent on with If-None-Exist, so that of two at once one is carried out.

// enough is how many matches of a condition are looked at. More than one selects nothing.
const enough = 20

// resolve finds what the condition selects. there is set where a create finds its one resource.
func (w *change) resolve(ctx context.Context) (there bool, err error) {
	a, req := w.ask, w.ask.req
	search := &fhir.Request{Interaction: fhir.SearchType, Type: req.Type, Params: req.Params}
	floor, err := smart.Permit(&a.caller.Grant, search)
	if err != nil {
		return false, err
	}
	if floor.Patient == "" {
		floor.Patient, floor.Shared = a.floor.Patient, a.floor.Shared
	}
	look := *a
	look.req, look.floor = search, floor
	if err := look.decide(ctx, w.call, w.input(a.errand, search)); err != nil {
		return false, err
	}
	q, err := look.query(ctx, w.call)
	if err != nil {
		return false, err
	}
	if q.nothing { // a token that is not this client's: what was meant cannot be known
		return false, refusal("unknown-reference").naming("the condition")
	}
	found, withheld, err := w.find(ctx, &look, q)
	if err != nil {
		return false, err
	}
	switch {
	case len(found) > 1:
		return false, refusal("condition-many")
	case len(found) == 1:
		w.id = found[0]
		return req.Interaction == fhir.Create, nil
	case req.Interaction == fhir.Update:
		err = w.create(ctx)
	case req.Interaction != fhir.Create:
		err = refusal("not-found")
	}
	if err == nil && !withheld { // or the EHR would answer with what is withheld
		w.absent = q.raw
	}
	return false, err
}

// find asks for the matches of a condition, by the EHR's ids. withheld says that there are some that this
// caller may not know of.
func (w *change) find(ctx context.Context, look *admission, q *query) (ids []string, withheld bool, err error) {
	resp, err := q.send(ctx, w.call, q.path, counted(q.raw, enough))
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	v := &viewer{about: &subjects{of: w}}
	report, err := look.dec.Plan.Filter(v, resp.Body, w.filter(q))
	w.g.metrics.filtered(w.ask.dec.Dataset, report)
	if err != nil {
		return nil, false, err
	}
	doc := gjson.ParseBytes(v.body)
	doc.Get("entry").ForEach(func(_, entry gjson.Result) bool {
		token := entry.Get("resource.id").String()
		id, ok := look.open(look.req.Type, token)
		if !ok {
			err = refusal("condition-many") // the dataset shows no ids, so that none can be meant
		}
		ids = append(ids, id)
		return err == nil
	})
	hidden := q.strangers.sum()
	for _, types := range report.Dropped {
		hidden += types[look.req.Type]
	}
	if err == nil && len(ids) == 1 {
		err = w.looks(v.about)
	}
	if len(ids)+hidden >= enough || doc.Get(`link.#(relation=="next")`).Exists() {
		return nil, false, refusal("condition-many") // there may be more
	}
	return ids, hidden > 0, err
}

// create makes the create of an update whose condition selects nothing (FHIR R4, http.html, section 3.1.0.4.3). It is
// permitted and decided like any other.
func (w *change) create(ctx context.Context) error {
	a := w.ask
	if a.req.IfMatch != "" {
		return refusal("version-conflict") // the version that is meant is not there (RFC 9110, section 13.1.1)
	}
	req := *a.req
	req.Interaction = fhir.Create
	if err := w.offered(&req); err != nil {
		return err
	}
	floor, err := smart.Permit(&a.caller.Grant, &req)
	if err != nil {
		return err
	}
	dec, err := w.consult(ctx, w.input(a.errand, &req))
	if err := w.allowed(a.errand, dec, err); err != nil {
		return err
	}
	if err := w.on("workflow", dec.Dataset); err != nil {
		return err
	}
	w.ask = &admission{errand: a.errand, gen: a.gen, floor: floor, dec: dec, req: &req}
	return w.admit()
}
