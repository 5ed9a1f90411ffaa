package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// waits is the context of all that is done for a call: it ends when the client goes away, and when
// the time is over for which the client says that it waits (Prefer: wait=SECONDS). What the
// configuration allows for a step is never more by it. A write that was sent to the EHR outlives it.
func (c *call) waits(r *http.Request) (context.Context, context.CancelFunc) {
	wait, said := fhir.Wait(r.Header)
	if !said {
		return r.Context(), func() {}
	}
	c.until = time.Now().Add(time.Duration(wait) * time.Second) // contexts go by the real clock
	return context.WithDeadline(r.Context(), c.until)
}

// late says whether the time is over for which the client waits.
func (c *call) late() bool { return !c.until.IsZero() && !time.Now().Before(c.until) }

// overdue says whether an error is that the client's time is over.
func (c *call) overdue(err error) bool { return errors.Is(err, context.DeadlineExceeded) && c.late() }
