package gateway

import "net/http"

// report tells the operator's log of a refusal: every fault of ours or the EHR's, and at
// debug level the client's. The error's text is of the packages below, which put no value
// and no upstream's words into theirs.
func (g *Gateway) report(c *call, r *Refusal, err error) {
	e := g.logger.Debug()
	if r.status >= http.StatusInternalServerError {
		e = g.logger.Error().Err(err)
	}
	e.Str("code", r.Code).Int("status", r.status).Str("correlation", c.ids.correlation).
		Str("ehr", c.rec.EHR).Msg("refused")
}
