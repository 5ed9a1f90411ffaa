package gateway

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// What a policy would have done otherwise with a call that is on record.
const (
	ChangeRefused = "now refused"    // it was allowed
	ChangeAllowed = "now allowed"    // it was refused
	ChangeReason  = "another reason" // it is refused for another
	ChangeDataset = "another dataset"
	ChangeSearch  = "search refused" // it is allowed, and its search would ask for what the dataset hides
	ChangeRows    = "types withheld" // it is allowed, and types that left are not in the dataset any more
	ChangeFails   = "policy fails"   // and so the call is refused
)

// Replay is what another policy would have done with the calls of a log.
type Replay struct {
	Revision  string         `json:"revision"` // of the policy that was asked
	Records   int            `json:"records"`
	Calls     int            `json:"calls"`               // that came to the policy; an entry of a batch is one
	Unjudged  int            `json:"unjudged"`            // that were refused before
	Same      int            `json:"same"`                // of Calls
	Changed   int            `json:"changed"`             // of Calls: the sum of the rows
	Inexact   map[string]int `json:"inexact,omitempty"`   // of Calls: by what the policy reads and their records do not have
	Partial   int            `json:"partial,omitempty"`   // of Calls: includes or chains, of which only the types that were asked for were judged
	Revisions map[string]int `json:"revisions,omitempty"` // that decided then, by calls
	Rows      []ReplayRow    `json:"rows,omitempty"`
}

// ReplayRow is how many calls would come to something else in the same way.
type ReplayRow struct {
	Client  string `json:"client"`
	Desk    string `json:"desk"` // the dataset that the call was given or is; the roles where there was none
	Change  string `json:"change"`
	Before  string `json:"before"` // the reason's code, or the dataset
	After   string `json:"after"`
	Reason  string `json:"reason,omitempty"` // the new policy's sentence
	Calls   int    `json:"calls"`
	Example string `json:"example"` // a record: its number in the log, behind the log's name where there are several
}

// replayed is how a row is found again.
type replayed struct{ client, desk, change, before, after, reason string }

// batchOfCalls is how many calls are handed to a worker at once.
const batchOfCalls = 256

// ErrNoCalls is that a log has no calls for a policy to be asked about: an empty answer would be taken for "nothing changes".
var ErrNoCalls = errors.New("no call of that time came to a policy")

// Rehearse asks a policy about the calls of a log. Records come in the log's order, as [accesslog.ReadReplicas] yields them;
// what cannot be read ends it. progress is told how many records have been read, from time to time.
func Rehearse(ctx context.Context, engine *policies.Engine, records iter.Seq2[accesslog.Entry, error], progress func(records int)) (*Replay, error) {
	reads := map[string]bool{}
	for _, field := range []string{"input.context.patient", "input.context.encounter", "input.caller.fhir_user", "input.break_glass.reason"} {
		reads[field] = slices.Contains(engine.Reads(), field)
	}
	work := make(chan []accesslog.Entry, 2*runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	rehearsals := make([]*rehearsal, runtime.GOMAXPROCS(0))
	for i := range rehearsals {
		r := &rehearsal{engine: engine, reads: reads, rows: map[replayed]*ReplayRow{}, out: Replay{Inexact: map[string]int{}, Revisions: map[string]int{}}}
		rehearsals[i] = r
		workers.Go(func() {
			for calls := range work {
				for _, c := range calls {
					r.call(ctx, c)
				}
			}
		})
	}
	out := &Replay{Revision: engine.Revision(), Inexact: map[string]int{}, Revisions: map[string]int{}}
	err := handOut(ctx, records, work, out, progress)
	close(work)
	workers.Wait()
	rows := map[replayed]*ReplayRow{}
	for _, r := range rehearsals {
		r.into(out, rows)
	}
	for _, row := range rows {
		out.Rows = append(out.Rows, *row)
	}
	slices.SortFunc(out.Rows, func(a, b ReplayRow) int {
		return cmp.Or(b.Calls-a.Calls, cmp.Compare(a.Change, b.Change), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Desk, b.Desk),
			cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case out.Calls == 0:
		return nil, ErrNoCalls
	}
	return out, nil
}

// handOut makes calls of records: each by its last record, which has what became of it.
func handOut(ctx context.Context, records iter.Seq2[accesslog.Entry, error], work chan<- []accesslog.Entry, out *Replay, progress func(int)) error {
	open := map[string]accesslog.Entry{} // calls of which more records follow
	var batch []accesslog.Entry
	hand := func(e accesslog.Entry) {
		if batch = append(batch, e); len(batch) == batchOfCalls {
			work <- batch
			batch = make([]accesslog.Entry, 0, batchOfCalls)
		}
	}
	for e, err := range records {
		if err != nil {
			return err
		}
		if out.Records++; out.Records%10_000 == 0 {
			if progress != nil {
				progress(out.Records)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if !Judged(e.Record) {
			if e.Kind == accesslog.KindRefusal {
				out.Unjudged++
			}
			continue
		}
		key := e.Log + "\x00" + e.RequestID
		if e.More {
			open[key] = e
			continue
		}
		delete(open, key)
		hand(e)
	}
	for _, key := range slices.Sorted(maps.Keys(open)) { // nobody saw how they ended
		hand(open[key])
	}
	work <- batch
	return nil
}

// rehearsal is one worker's share.
type rehearsal struct {
	engine *policies.Engine
	reads  map[string]bool
	rows   map[replayed]*ReplayRow
	out    Replay
}

func (r *rehearsal) call(ctx context.Context, e accesslog.Entry) {
	r.out.Calls++
	r.out.Revisions[e.Policy.Revision]++
	in, lacks := Recorded(e.Record)
	for _, field := range lacks {
		if r.reads[field] {
			r.out.Inexact[field]++
		}
	}
	dec, err := r.decide(ctx, in, e)
	if ctx.Err() != nil {
		return
	}
	was := formerly{code: e.Policy.Code, dataset: e.Policy.Dataset, allowed: e.Code == "" || e.Code != e.Policy.Code && e.Code != "policy-failed"}
	if e.Code == "policy-failed" {
		was.code = e.Code
	}
	key := replayed{client: e.Actor.Client}
	switch {
	case err != nil:
		if !was.allowed && was.code == "policy-failed" {
			r.out.Same++
			return
		}
		key.change, key.before, key.after, key.reason = ChangeFails, was.code, "policy-failed", err.Error()
	case was.allowed && !dec.Allow:
		key.change, key.before, key.after, key.reason = ChangeRefused, was.code, dec.Reason.Code, dec.Reason.Text
	case !was.allowed && dec.Allow:
		key.change, key.before, key.after, key.reason = ChangeAllowed, was.code, dec.Dataset, dec.Reason.Text
	case !dec.Allow && was.code != dec.Reason.Code:
		key.change, key.before, key.after, key.reason = ChangeReason, was.code, dec.Reason.Code, dec.Reason.Text
	case dec.Allow && was.dataset != dec.Dataset:
		key.change, key.before, key.after = ChangeDataset, was.dataset, dec.Dataset
	case dec.Allow:
		key.change, key.before, key.after = r.inside(e, in, dec.Plan)
	}
	if key.change == "" {
		r.out.Same++
		return
	}
	if key.desk = was.dataset; key.desk == "" && dec != nil {
		key.desk = dec.Dataset
	}
	if key.desk == "" {
		key.desk = strings.Join(e.Actor.Roles, ",")
	}
	r.out.Changed++
	row := r.rows[key]
	if row == nil {
		row = &ReplayRow{Client: key.client, Desk: key.desk, Change: key.change, Before: key.before, After: key.after, Reason: key.reason, Example: e.Place()}
		r.rows[key] = row
	}
	row.Calls++
}

// formerly is what became of a call then.
type formerly struct {
	code, dataset string
	allowed       bool // by the policy, whatever else refused it
}

// decide asks about the type of the call, and about the others of a search in several types; what refuses one refuses all.
func (r *rehearsal) decide(ctx context.Context, in *policies.Input, e accesslog.Entry) (*policies.Decision, error) {
	if len(in.Request.Includes) > 0 || slices.ContainsFunc(in.Request.Parameters, func(name string) bool { return strings.ContainsAny(name, ":.") }) {
		r.out.Partial++
	}
	dec, err := r.engine.Decide(ctx, in)
	if err != nil || !dec.Allow || e.Request.Type != "" {
		return dec, err
	}
	for _, p := range e.Request.Parameters {
		kind, isType := strings.CutPrefix(p.Name, "_type=")
		if !isType || kind == in.Request.Type {
			continue
		}
		in.Request.Type = kind
		other, err := r.engine.Decide(ctx, in)
		if err != nil || !other.Allow {
			return other, err
		}
	}
	return dec, nil
}

// inside compares what the answer told with the same dataset as it is now: types that left, and parameters that were searched.
func (r *rehearsal) inside(e accesslog.Entry, in *policies.Input, plan *transforms.Plan) (change, before, after string) {
	if e.Totals != nil {
		var gone []string
		for _, kind := range sortedKeys(e.Totals.Released) {
			if kind != "OperationOutcome" && !plan.Has(kind) {
				gone = append(gone, kind)
			}
		}
		if len(gone) > 0 {
			return ChangeRows, strings.Join(gone, ","), ""
		}
	}
	if e.Code != "" || in.Request.Type == "" {
		return "", "", "" // it was refused for something else, which stays as it is
	}
	a := &admission{dec: &policies.Decision{Plan: plan}}
	named := map[string]bool{}
	for _, combination := range plan.Dataset().Search[in.Request.Type] {
		parts := splitCombination(combination)
		if !slices.ContainsFunc(parts, func(p string) bool { return !slices.Contains(in.Request.Parameters, p) }) {
			for _, p := range parts {
				named[p] = true
			}
		}
	}
	for _, name := range in.Request.Parameters {
		p, ok := fhir.Parameter(in.Request.Type, name)
		if !ok || named[name] || strings.HasPrefix(name, "_") {
			continue // a chain, or what shapes the answer
		}
		if p.Elements == nil || !a.leaves(in.Request.Type, p.Elements, transforms.Keep, transforms.Reference) {
			return ChangeSearch, name, "search-hidden"
		}
	}
	return "", "", ""
}

// into adds a worker's share to the whole.
func (r *rehearsal) into(out *Replay, rows map[replayed]*ReplayRow) {
	out.Calls += r.out.Calls
	out.Same += r.out.Same
	out.Changed += r.out.Changed
	out.Partial += r.out.Partial
	for field, n := range r.out.Inexact {
		out.Inexact[field] += n
	}
	for revision, n := range r.out.Revisions {
		out.Revisions[revision] += n
	}
	for key, row := range r.rows {
		if all := rows[key]; all != nil {
			all.Calls += row.Calls
			all.Example = min(all.Example, row.Example)
			continue
		}
		rows[key] = row
	}
}
