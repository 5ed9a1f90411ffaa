package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/state"
)

// Outcomes holds what writes came to that came with an Idempotency-Key. Claim begins one, or returns what
// the first of its key came to, in which case had is true; its errors are those of state.Outcomes. A claim is ended by
// Settle or Release.
type Outcomes interface {
	Claim(k state.Key, request [sha256.Size]byte) (first []byte, had bool, err error)
	Settle(k state.Key, outcome []byte)
	Release(k state.Key)
}

// outcome is what a write came to: what its client was told, or the code of why nobody knows.
type outcome struct {
	Code  string `json:"code,omitempty"`
	Told  *told  `json:"told,omitempty"`
	Under string `json:"under,omitempty"` // what it was told by; the body leaves again only under the same
}

// claim begins a write that came with a key, or returns what the first of its key came to. The key is the
// caller's own, and at one EHR.
func (w *change) claim() (*outcome, error) {
	a := w.ask
	if a.req.IdempotencyKey == "" {
		return nil, nil
	}
	k := state.Key{
		Owner: strings.Join([]string{a.caller.Issuer, a.caller.ClientID, a.caller.Subject, a.route.name}, "\n"),
		Name:  a.req.IdempotencyKey,
	}
	first, had, err := w.g.outcomes.Claim(k, w.print())
	switch {
	case errors.Is(err, state.ErrOther):
		return nil, refusal("idempotency-other")
	case errors.Is(err, state.ErrUnderWay):
		return nil, refusal("idempotency-busy")
	case err != nil:
		return nil, errors.Join(refusal("idempotency-full"), err)
	case !had:
		w.key = &k
		return nil, nil
	}
	o := &outcome{}
	if err := json.Unmarshal(first, o); err != nil {
		return nil, err
	}
	return o, nil
}

// print tells one request from another: all of it that decides what is written.
func (w *change) print() [sha256.Size]byte {
	req := w.ask.req
	h := sha256.New()
	for _, part := range []string{string(req.Interaction), req.Path(), req.Encode(), req.IfMatch, string(req.Input)} {
		h.Write([]byte(strconv.Itoa(len(part)) + " " + part))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// under is what a body is shown by.
func (w *change) under() string {
	a := w.ask
	return strings.Join([]string{w.gen.policies.Revision(), a.dec.Dataset, a.floor.Key(), a.dec.Patient}, "\n")
}

// settle ends the claim. A write that was not carried out leaves its key as it was; any other is its first
// and last, also where nobody knows what became of it.
func (w *change) settle(err error) {
	if w.key == nil {
		return
	}
	var o outcome
	switch {
	case err == nil && w.told != nil:
		o.Told, o.Under = w.told, w.under()
	case w.fate == unsent:
		w.g.outcomes.Release(*w.key)
		return
	default:
		o.Code = w.fate.ended(nil).Code
	}
	body, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings and bytes
	}
	w.g.outcomes.Settle(*w.key, body)
}

// repeat tells a client again what its write came to. The EHR is not asked.
func (w *change) repeat(o *outcome) error {
	if o.Code != "" {
		return refusal(o.Code)
	}
	if o.Under != w.under() {
		o.Told.Body = nil
		maps.DeleteFunc(o.Told.Header, func(name, _ string) bool { return name != "Location" }) // which the record names
	}
	w.rec.Detail = "repeated"
	return w.hand(o.Told)
}
