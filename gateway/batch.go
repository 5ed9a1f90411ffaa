package gateway

import (
	"context"
	"net/http"
	"strconv"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// A batch is answered entry by entry, each one by the path that it would take alone (answer):
//
//   - an entry has its own floor, decision, admission and records; the records have the call's
//     correlation, and its request id with the entry's number;
//   - the EHR never sees the batch: it is asked once for each entry, in the batch's order;
//   - an entry that is refused is so in its place, as it would be alone, and the others are not
//     touched by it; but what cuts an answer off cuts the whole of it off;
//   - the answer streams: a batch holds no more than one of its entries would, and its own body.

// batch answers the entries of a batch.
func (c *call) batch(ctx context.Context, e errand, req *fhir.Request) error {
	if req.IdempotencyKey != "" { // each entry has an outcome of its own, and they are not kept together
		r := refusal("not-supported").naming("the header Idempotency-Key on a batch")
		r.status = http.StatusBadRequest
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, c.gen.together)
	defer cancel()
	b := &bundle{call: c, kind: "batch-response"}
	defer c.letGo()
	for i, entry := range req.Entries {
		sub, p := b.place(i, entry)
		err := b.fill(sub, p, func() error {
			if entry.Err != nil {
				return entry.Err
			}
			if ctx.Err() == context.DeadlineExceeded && !c.late() {
				return refusal("batch-timeout")
			}
			if i > 0 { // the first is counted with the whole
				if err := sub.often(e.caller); err != nil {
					return err
				}
			}
			return sub.answer(ctx, e, entry.Request)
		})
		if err != nil {
			return err
		}
	}
	return b.close()
}

// place is the call that an entry is, with what it has of the whole's, and where its answer goes.
func (b *bundle) place(i int, entry fhir.Entry) (*call, *part) {
	p := &part{of: b, header: http.Header{}}
	s := &call{g: b.g, gen: b.gen, w: p, ctl: http.NewResponseController(p), ids: b.ids, begun: b.g.now(), until: b.until, rec: b.rec}
	s.ids.request += "#" + strconv.Itoa(i+1)
	s.among = b.rec.Request.Entries
	s.rec.Time, s.rec.RequestID, s.rec.Request = s.begun, s.ids.request, accesslog.Request{Method: entry.Method}
	s.rec.Status = 0 // the whole may have been answered already
	if entry.Err != nil {
		s.asks(nil, entry.Err)
	} else {
		s.head, p.hints = entry.Request.Head, entry.Request.Return == "OperationOutcome"
		s.asks(entry.Request, nil)
	}
	return s, p
}

// fill has an entry answered in its place. It returns an error where the whole call has to end.
func (b *bundle) fill(sub *call, p *part, serve func() error) error {
	defer b.g.metrics.observe(sub)
	_ = sub.await(b.gen.longest) // where this fails, the server's own timeout holds
	if err := serve(); err != nil {
		r := b.g.settle(sub, err)
		if r == nil {
			return err
		}
		if b.g.log.Err() != nil { // what cannot be recorded is not refused in its place either
			return r
		}
		sub.deny(r)
	}
	return p.close()
}
