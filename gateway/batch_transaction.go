package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// A transaction is carried out by the EHR, whole or not at all:
//
//   - Nothing of it is sent until every entry is one that would be served alone: permitted, decided, all by one
//     dataset, admitted, seen to be there, and a write merged with the version that is there. One that is not
//     refuses the whole, and the refusal names it.
//   - What is sent is a Bundle of the gateway's own: the entries as they were admitted, each write held to the version
//     that it was merged with. Of the client's there are only references from one entry to what another makes.
//   - A durable record says of each write who is about to write what, before the EHR is asked, once.
//   - The answer to each entry is filtered by what that entry was admitted as, like the answer to a call, and leaves in
//     its place.

// transaction is one on its way.
type transaction struct {
	*bundle
	errand
	members []*member
	made    map[string]string // what entries call what they make: to "", or "Type/id" of what is there already
	targets map[string]bool   // "Type/id" of what is changed
	dataset string
	size    int  // of what is written, in bytes
	writes  bool // an intent is recorded
}

// maxTransaction bounds the resources, in bytes, that a transaction writes. It holds them all: as the EHR has them, they
// may be far longer than what the client sent.
const maxTransaction = 8 << 20

// member is one entry of a transaction.
type member struct {
	*call
	part  *part
	entry fhir.Entry
	read  *query  // a read or search; nil for a write
	write *change // nil for a read
	there bool    // a create finds what it was to make: nothing is sent
}

// entryError is why a transaction is refused for one of its entries.
type entryError struct {
	number int // from 1
	err    error
}

func (e *entryError) Error() string { return "entry of a transaction: " + e.err.Error() }

// Unwrap returns why.
func (e *entryError) Unwrap() error { return e.err }

// transaction has the EHR carry out the entries of a transaction together.
func (c *call) transaction(ctx context.Context, e errand, req *fhir.Request) error {
	if req.IdempotencyKey != "" { // what it came to is told as it streams, and not kept
		r := refusal("not-supported").naming("the header Idempotency-Key on a transaction")
		r.status = http.StatusBadRequest
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, c.gen.together)
	defer cancel()
	t := &transaction{bundle: &bundle{call: c, kind: "transaction-response"}, errand: e, made: map[string]string{}, targets: map[string]bool{}}
	defer c.letGo()
	for i, entry := range req.Entries {
		m := &member{entry: entry}
		m.call, m.part = t.place(i, entry)
		t.members = append(t.members, m)
		is := entry.Request
		if strings.HasPrefix(entry.FullURL, "urn:") && (is.Interaction == fhir.Create || is.Interaction == fhir.Update && is.Conditional) {
			t.made[entry.FullURL] = ""
		}
	}
	if len(t.members) == 0 {
		return t.close()
	}
	body, err := t.prepare(ctx)
	if err != nil {
		return t.undone(err)
	}
	resp, err := t.send(ctx, body)
	if err != nil {
		return t.undone(err)
	}
	defer resp.Body.Close()
	if t.writes { // which are done: no deadline keeps the client from being told
		ctx = context.WithoutCancel(ctx)
	}
	return t.tell(ctx, resp)
}

// prepare makes of the entries what the EHR is sent, and records what is about to be written.
func (t *transaction) prepare(ctx context.Context) ([]byte, error) {
	for i, m := range t.members {
		if err := t.admit(ctx, i, m); err != nil {
			return nil, &entryError{i + 1, err}
		}
	}
	body, err := t.compose()
	if err != nil {
		return nil, err
	}
	if ctx.Err() == context.DeadlineExceeded {
		return nil, ctx.Err()
	}
	for i, m := range t.members {
		if m.write == nil || m.there {
			continue
		}
		if err := m.write.intend(); err != nil {
			return nil, &entryError{i + 1, err}
		}
		t.writes = true
	}
	return body, nil
}

// admit takes an entry as far as a call alone goes before the EHR is asked to act.
func (t *transaction) admit(ctx context.Context, i int, m *member) error {
	if i > 0 { // the first is counted with the whole
		if err := m.often(t.caller); err != nil {
			return err
		}
	}
	if m.entry.Request.Interaction == fhir.Operation {
		return refusal("not-supported").naming("an operation within a transaction")
	}
	ask, page, err := m.judge(ctx, t.errand, m.entry.Request)
	if err != nil {
		return err
	}
	if m.entry.Request.Interaction.Writes() {
		m.write = &change{call: m.call, ask: ask, within: t.within}
		if err := m.write.admit(); err != nil {
			return err
		}
		if m.there, err = m.write.prepare(ctx); err != nil {
			return err
		}
		ask = m.write.ask // an update of nothing has become a create
	} else {
		if m.read, err = ask.question(ctx, m.call, page); err != nil {
			return err
		}
		if err := m.exists(ctx); err != nil {
			return err
		}
	}
	return t.fits(m, ask)
}

// fits holds an entry to those before it.
func (t *transaction) fits(m *member, ask *admission) error {
	if t.dataset == "" {
		t.dataset = ask.dec.Dataset
	}
	if t.dataset != ask.dec.Dataset {
		return refusal("transaction-mixed")
	}
	if m.write == nil {
		return nil
	}
	if t.size += len(m.write.body); t.size > maxTransaction {
		return refusal("ehr-too-large")
	}
	if m.write.id == "" {
		return nil
	}
	target := ask.req.Type + "/" + m.write.id
	if !m.there {
		// Two tokens, or a token and a condition, may name one resource.
		if t.targets[target] {
			return refusal("transaction-twice")
		}
		t.targets[target] = true
	}
	if t.within(m.entry.FullURL) {
		t.made[m.entry.FullURL] = target
	}
	return nil
}

// exists asks for what an entry reads, before anything is written, so that a resource which this caller may not
// know of refuses the transaction like one that is not there.
func (m *member) exists(ctx context.Context) error {
	if is := m.entry.Request.Interaction; is != fhir.Read && is != fhir.VRead {
		return m.read.current(ctx, m.call)
	}
	resp, err := m.read.ask(ctx, m.call)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = m.read.admission.dec.Plan.Filter(nobody{}, resp.Body, m.filter(m.read))
	return err
}

// send asks the EHR, once, whatever becomes of the client.
func (t *transaction) send(ctx context.Context, body []byte) (*upstream.Response, error) {
	if body == nil {
		return &upstream.Response{Body: http.NoBody}, nil
	}
	t.bears(unknown)
	resp, err := t.route.ehr.Do(context.WithoutCancel(ctx), upstream.Call{
		Method: http.MethodPost, Body: body, Return: "representation", Correlation: t.ids.outgoing(), Caller: t.token,
	})
	t.bears(arrived(resp, err))
	switch {
	case err != nil:
		return nil, err
	case resp.Status == http.StatusOK:
		return resp, nil
	}
	resp.Body.Close()
	switch resp.Status {
	case http.StatusPreconditionFailed:
		return nil, refusal("version-conflict")
	case http.StatusConflict:
		return nil, refusal("ehr-conflict")
	case http.StatusCreated, http.StatusNoContent:
		return nil, refusal("ehr-invalid")
	}
	return nil, refusedStatus(resp)
}

// bears notes what is known of the writes' arrival.
func (t *transaction) bears(f fate) {
	if !t.writes {
		return
	}
	t.fate = f
	for _, m := range t.members {
		if m.write != nil && !m.there {
			m.fate = f
		}
	}
}

// undone records of each entry that the transaction was not carried out, or that nobody knows, and returns why.
func (t *transaction) undone(err error) error {
	var at *entryError
	isOne := errors.As(err, &at)
	for i, m := range t.members {
		why := err
		switch {
		case isOne && i+1 == at.number:
			why = at.err
		case isOne:
			why = refusal("transaction-refused")
		}
		r := t.g.settle(m.call, why)
		t.g.metrics.observe(m.call)
		if r != nil && t.g.log.Err() != nil {
			return r
		}
	}
	return err
}

// tell answers each entry in its place.
func (t *transaction) tell(ctx context.Context, resp *upstream.Response) error {
	answers, whole := t.route.ehr.Entries(resp), resp.Status != 0
	for i, m := range t.members {
		err := t.fill(m.call, m.part, func() error {
			if !m.goes() {
				return m.tell(ctx, nil)
			}
			resp, err := answers.Next()
			if err == io.EOF {
				err = refusal("ehr-invalid") // an entry without an answer
			}
			if err != nil {
				whole = false
				return err
			}
			return m.tell(ctx, resp)
		})
		if err != nil {
			t.untold(t.members[i+1:], err)
			return err
		}
	}
	if whole {
		if _, err := answers.Next(); err == nil {
			return refusal("ehr-invalid") // more answers than entries: which is whose?
		} else if err != io.EOF {
			return err
		}
	}
	return t.close()
}

// untold records of entries that nobody is there any more to take their answers; of a write, that it was carried out.
func (t *transaction) untold(rest []*member, err error) {
	for _, m := range rest {
		_ = t.g.settle(m.call, err) // a log that fails here has poisoned itself, and readiness says so
		t.g.metrics.observe(m.call)
	}
}

// tell answers an entry with what the EHR said of it; nil where it was not asked.
func (m *member) tell(ctx context.Context, resp *upstream.Response) error {
	if m.write != nil {
		if resp != nil && arrived(resp, nil) != done {
			return refusal("ehr-invalid") // it said that all of them were carried out
		}
		return m.write.reply(ctx, resp)
	}
	asked := resp != nil
	if !asked {
		var err error
		if resp, err = m.read.ask(ctx, m.call); err != nil {
			return err
		}
	}
	if resp.Status != http.StatusOK {
		return refusedStatus(resp)
	}
	if asked {
		var err error
		if resp.Body, err = m.read.confirmed(resp.Body); err != nil {
			return err
		}
		if resp.Body, err = m.read.filled(ctx, m.call, m.read.path, m.read.raw, resp.Body); err != nil {
			return err
		}
	}
	return m.disclose(ctx, m.read, resp)
}
