package gateway

import (
	"bytes"
	"context"
	"slices"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
	"github.com/halfdoor/halfdoor/gateway/state"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// A write never destroys what the writer cannot see, and never happens twice or unseen:
//
//   - The client's resource is laid over the EHR's current version (transforms.Plan.Merge): what the
//     dataset hides, or does not let be written, stays as it is.
//   - The EHR is asked with If-Match on that version, so that what came in between is not lost, and it
//     is asked once: a write that may have arrived is never sent again.
//   - A durable record says who is about to write what, before the EHR is asked.
//   - What is not known to have failed is never called a failure that could be repeated.

// change is one write on its way.
type change struct {
	*call
	ask     *admission
	key     *state.Key // of an Idempotency-Key; nil without
	shows   bool       // the caller may read what comes of it
	id      string     // the EHR's; of a create, once there is one
	version string     // of what is there: its entity tag
	body    []byte     // what the EHR is to have; nil for a delete
	absent  string     // If-None-Exist: a query
	about   subjects   // whom the write is about
	told    *told      // once the client is told

	within func(reference string) bool // whether one is to what another entry of a transaction makes; nil outside of one
}

// write serves a create, update, patch or delete.
func (c *call) write(ctx context.Context, a *admission) error {
	w := &change{call: c, ask: a}
	if err := w.admit(); err != nil {
		return err
	}
	again, err := w.claim()
	if err != nil {
		return err
	}
	if again != nil {
		return w.repeat(again)
	}
	defer func() { w.settle(err) }() // also of a panic
	err = w.perform(ctx)
	return err
}

// perform does what no retry of the same key does again.
func (w *change) perform(ctx context.Context) error {
	there, err := w.prepare(ctx)
	if err != nil {
		return err
	}
	if there { // what If-None-Exist asks for: nothing is written
		return w.reply(ctx, nil)
	}
	if ctx.Err() == context.DeadlineExceeded { // nobody waits for it any more, and nothing was sent
		return ctx.Err()
	}
	if err := w.intend(); err != nil {
		return err
	}
	resp, err := w.send(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return w.reply(context.WithoutCancel(ctx), resp)
}

// admit holds the write to its dataset, and to the floor of what it shows as well: of an update or a
// patch the client learns what is there, by the answer and by what is refused.
func (w *change) admit() error {
	a, req := w.ask, w.ask.req
	if req.Interaction == fhir.Delete && !a.dec.Plan.Has(req.Type) {
		return refusal("dataset-type")
	}
	if req.Interaction != fhir.Delete && !a.dec.Plan.Writable(req.Type) {
		return refusal("dataset-write")
	}
	grant := &a.caller.Grant
	reads, err := smart.PermitType(grant, req.Type, smart.Read)
	if err == nil && reads.Granular() {
		err = smart.ErrGranular // what it becomes might be another part of the type than may be read
	}
	w.shows = err == nil && req.Interaction != fhir.Delete
	switch {
	case err != nil && (req.Interaction == fhir.Update || req.Interaction == fhir.Patch):
		return err
	case w.shows && a.floor.Patient == "":
		a.floor.Patient, a.floor.Shared = reads.Patient, reads.Shared
	}
	if !a.agrees(a.floor.Patient, a.dec.Patient) {
		return refusal("not-found") // no resource is in two patients' hands
	}
	a.types = []string{req.Type}
	if slices.Contains(a.dec.Obligations, policies.IfMatch) && req.IfMatch == "" && req.Interaction != fhir.Create {
		return refusal("version-required")
	}
	return nil
}

// prepare reads what is there and makes of it what is to be. there is set where a create finds what it
// was not to make again.
func (w *change) prepare(ctx context.Context) (there bool, err error) {
	a, req := w.ask, w.ask.req
	if req.Conditional {
		if there, err = w.resolve(ctx); err != nil || there {
			return there, err
		}
		req = w.ask.req // an update of nothing has become a create
	} else if req.Interaction != fhir.Create {
		q, err := a.instance()
		if err != nil {
			return false, w.missing(err)
		}
		w.id = q.id
	}
	if req.Interaction == fhir.Create {
		w.body, err = a.dec.Plan.Create(req.Type, req.Input, w.options())
		w.notes(nil, w.body)
		return false, err
	}
	current, err := w.current(ctx)
	if err != nil {
		return false, w.missing(err)
	}
	switch req.Interaction {
	case fhir.Update:
		w.body, err = a.dec.Plan.Merge(req.Type, current, req.Input, w.options())
	case fhir.Patch:
		w.body, err = a.dec.Plan.Patch(req.Type, current, req.Input, w.options())
	}
	w.notes(current, w.body)
	return false, err
}

// missing says of an update where new resources come from: the EHR gives ids, and no client does.
func (w *change) missing(err error) error {
	if r := refused(err); w.ask.req.Interaction == fhir.Update && r.Code == "not-found" {
		return refusal("no-such-target")
	}
	return err
}

// current reads the version that is there, and refuses what this caller may not know of, and what is
// not the version that the client means.
func (w *change) current(ctx context.Context) ([]byte, error) {
	a := w.ask
	q := &query{admission: a, path: a.req.Type + "/" + w.id, id: w.id}
	resp, err := q.send(ctx, w.call, q.path, "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := resourceOf(resp.Body)
	if err != nil {
		return nil, err
	}
	w.about = subjects{of: w}
	if _, err := w.view(body, &w.about); err != nil {
		return nil, err
	}
	if err := w.looks(&w.about); err != nil {
		return nil, err
	}
	if w.version = versionOf(resp.ETag, body); w.version == "" {
		return nil, refusal("ehr-unversioned")
	}
	if wanted := a.req.IfMatch; wanted != "" && (wanted != opaque(w.version) || !a.keeps("meta.versionId")) {
		return nil, refusal("version-conflict")
	}
	return body, nil
}

// looks counts towards the actor's quota whom the write is about before the client is told what is wrong
// with it, and has a refusal name them: which test of a patch failed, or which element is not as the client
// has it, tells of the record that is there.
func (w *change) looks(about *subjects) error {
	if err := w.tell(about.patients); err != nil {
		return err
	}
	w.rec.Subjects, w.rec.Patients, w.looked = about.names, about.patients, true
	return nil
}

// view is what the caller is shown of a resource, and whom it names.
func (w *change) view(resource []byte, about *subjects) ([]byte, error) {
	v := &viewer{about: about}
	report, err := w.ask.dec.Plan.Filter(v, bytes.NewReader(resource), w.filter(w.query()))
	w.g.metrics.filtered(w.ask.dec.Dataset, report)
	if err != nil {
		return nil, err
	}
	w.rec.Totals = Totals(report)
	return v.body, nil
}

func (w *change) query() *query { return &query{admission: w.ask, id: w.id} }

// options are of the merge: the client is shown the outcome as it will be answered with it. The write is about
// whom that names, and whom the version named that is there.
func (w *change) options() transforms.WriteOptions {
	w.about.of = w
	return transforms.WriteOptions{
		Options: w.filter(w.query()), Open: opener{w.ask}, View: &viewer{about: &w.about}, Limit: int(w.gen.body),
		Within: w.within,
	}
}

// notes records which elements a write changes.
func (w *change) notes(before, after []byte) {
	req := w.ask.req
	w.rec.Written = nil
	if req.Interaction == fhir.Delete {
		w.rec.Written = []string{req.Type}
		return
	}
	for _, path := range w.ask.dec.Plan.Dataset().Write[req.Type] {
		if !bytes.Equal(element(before, path), element(after, path)) {
			w.rec.Written = append(w.rec.Written, req.Type+"."+path)
		}
	}
}

// intend makes durable who is about to write what, about whom. Whom it is about counts towards the
// actor's quota here, where it can still be refused.
func (w *change) intend() error {
	if err := w.tell(w.about.patients); err != nil {
		return err
	}
	w.rec.Subjects, w.rec.Patients = w.about.names, w.about.patients
	w.rec.Kind, w.rec.More, w.rec.Totals = accesslog.KindIntent, true, nil
	err := w.commit()
	w.rec.More = false
	return err
}
