package gateway

import (
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/state"
	"github.com/halfdoor/halfdoor/policies"
)

// Emergency access is what a policy grants by break_glass. Its invariants:
//
//   - the caller has said by the header Break-Glass that this is an emergency, and why, in a code that the policy
//     knows: a decision that grants it to anyone else refuses the call, and so does one that
//     grants something else to whoever asked for it;
//   - it is under a ticket, opens once for an account and ticket, and ends by itself;
//   - every record of it says so, with the reason, the beginning and the end.

// breakGlass is the header.
const breakGlass = "Break-Glass"

// reasonForm is what a reason may be: a word out of a list and nothing that somebody would write of a patient. Only
// one that the policy has let pass stands in a record.
var reasonForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Openings remembers for how long emergency access is open. Open opens what the key names to its owner for so long, where it is not
// open or shut already, and returns when that was and when it ends, or ended; first says that this call opened it. An error
// refuses the call.
type Openings interface {
	Open(owner, key string, life time.Duration) (at state.Opening, first bool, err error)
}

// allowed notes what the policy made of the call, and holds what it grants to the invariants of an emergency.
func (c *call) allowed(e errand, dec *policies.Decision, err error) error {
	if e.desk.emergency != "" {
		c.rec.BreakGlass = &accesslog.BreakGlass{}
	}
	c.decided(dec)
	switch {
	case err != nil:
		return err
	case !dec.Allow:
		return denied(dec)
	case !dec.BreakGlass && e.desk.emergency == "":
		return nil
	case !dec.BreakGlass:
		return refusal("break-glass-unused")
	}
	return c.breaks(e)
}

// breaks opens emergency access, or sees that it still is.
func (c *call) breaks(e errand) error {
	switch {
	case e.desk.emergency == "":
		return refusal("break-glass-reason")
	case e.desk.ticket == "":
		return refusal("break-glass-ticket")
	}
	account := TokenClient(e.caller.Issuer, e.caller.ClientID) + " " + e.caller.Subject
	at, first, err := c.g.openings.Open(account, e.route.tenant+" "+e.desk.ticket, c.gen.emergency)
	if err != nil {
		c.g.metrics.emergencies.WithLabelValues("refused").Inc()
		return errors.Join(refusal("break-glass-unavailable"), err)
	}
	c.rec.BreakGlass = &accesslog.BreakGlass{Reason: e.desk.emergency, Opened: at.Opened.UTC(), Expires: at.Expires.UTC()}
	say := c.g.logger.Warn().Str("correlation", c.ids.correlation).Str("ehr", e.route.name).Str("reason", e.desk.emergency).Time("expires", at.Expires)
	switch {
	case !c.begun.Before(at.Expires):
		c.g.metrics.emergencies.WithLabelValues("expired").Inc()
		say.Msg("emergency access is asked for after it has ended")
		return refusal("break-glass-expired")
	case first:
		c.g.metrics.emergencies.WithLabelValues("opened").Inc()
		say.Msg("emergency access is opened")
	default:
		c.g.metrics.emergencies.WithLabelValues("used").Inc()
	}
	c.outermost().Header().Set("Break-Glass-Expires", at.Expires.UTC().Format(http.TimeFormat))
	return nil
}

// outermost is the answer that the client sees the header of.
func (c *call) outermost() http.ResponseWriter {
	if p, ok := c.w.(*part); ok {
		return p.of.w
	}
	return c.w
}
