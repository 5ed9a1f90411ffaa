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
		err := b.part(i, entry, func(sub *call) error {
			if entry.Err != nil {
				return entry.Err
			}
			if ctx.Err() == context.DeadlineExceeded {
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

// part serves one entry. It returns an error where the whole call has to end.
func (b *bundle) part(i int, entry fhir.Entry, serve func(*call) error) error {
	p := &part{of: b, header: http.Header{}}
	sub := b.sub(i, entry.Method, p)
	sub.among = b.rec.Request.Entries
	defer b.g.metrics.observe(sub)
	if entry.Err != nil {
		sub.asks(nil, entry.Err)
	} else {
		sub.head, p.hints = entry.Request.Head, entry.Request.Return == "OperationOutcome"
		sub.asks(entry.Request, nil)
	}
	if err := serve(sub); err != nil {
		r := b.g.settle(sub, err)
		if r == nil {
			return err
		}
		if r.Code == "log-unavailable" { // what cannot be recorded is not refused in its place either
			return r
		}
		sub.deny(r)
	}
	return p.close()
}

// sub is the call that an entry is, with what it has of the whole's.
func (c *call) sub(i int, method string, w http.ResponseWriter) *call {
	s := &call{g: c.g, gen: c.gen, w: w, ctl: http.NewResponseController(w), ids: c.ids, begun: c.g.now(), rec: c.rec}
	s.ids.request += "#" + strconv.Itoa(i+1)
	s.rec.Time, s.rec.RequestID, s.rec.Request = s.begun, s.ids.request, accesslog.Request{Method: method}
	_ = s.await(c.gen.longest) // where this fails, the server's own timeout holds
	return s
}
