package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// fate is what is known of a write's arrival at the EHR.
type fate uint8

const (
	unsent  fate = iota // nothing was written
	unknown             // it may have been
	done                // it was
)

// send asks the EHR, once, whatever becomes of the client: a write that was begun is seen to its end.
func (w *change) send(ctx context.Context) (*upstream.Response, error) {
	c := w.outgoing()
	w.fate = unknown
	resp, err := w.ask.route.ehr.Do(context.WithoutCancel(ctx), c)
	w.fate = arrived(resp, err)
	switch {
	case err != nil:
		return nil, err
	case w.fate == done:
		return resp, nil
	}
	resp.Body.Close()
	return nil, w.refusedStatus(resp)
}

// outgoing is what the EHR is sent.
func (w *change) outgoing() upstream.Call {
	req := w.ask.req
	c := upstream.Call{Method: http.MethodPut, Path: req.Type + "/" + w.id, IfMatch: w.version, Body: w.body, Correlation: w.ids.outgoing(), Caller: w.ask.token}
	switch req.Interaction {
	case fhir.Create:
		c.Method, c.Path, c.IfNoneExist = http.MethodPost, req.Type, w.absent
	case fhir.Delete:
		c.Method = http.MethodDelete
	}
	if c.Body != nil {
		c.Return = "representation"
		if !w.represents() {
			c.Return = "minimal"
		}
	}
	return c
}

// arrived is what is known of a write by what came of asking for it.
func arrived(resp *upstream.Response, err error) fate {
	if err != nil {
		if e := (*upstream.Error)(nil); errors.As(err, &e) && !e.Sent {
			return unsent
		}
		return unknown
	}
	switch status := resp.Status; {
	case status == http.StatusOK, status == http.StatusCreated, status == http.StatusNoContent:
		return done
	case status < http.StatusInternalServerError, status == http.StatusServiceUnavailable, status == http.StatusNotImplemented:
		return unsent // RFC 9110, section 15.5: it was refused
	}
	return unknown
}

// refusedStatus maps an EHR's answer that is not a success.
func (w *change) refusedStatus(resp *upstream.Response) error {
	create := w.ask.req.Interaction == fhir.Create
	switch resp.Status {
	case http.StatusPreconditionFailed:
		if create {
			return refusal("condition-many")
		}
		return refusal("version-conflict")
	case http.StatusConflict:
		return refusal("ehr-conflict")
	case http.StatusNotFound, http.StatusGone:
		if !create {
			return w.missing(refusal("not-found"))
		}
		return refusal("ehr-rejected")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return refusedStatus(resp)
	}
	if resp.Status < http.StatusInternalServerError || resp.Status == http.StatusNotImplemented {
		return refusal("ehr-rejected")
	}
	return refusal("ehr-error")
}

// ended is what a refusal says once the EHR was asked to write: that it is not known, or known, to
// have been carried out. The other would be repeated.
func (f fate) ended(r *Refusal) *Refusal {
	switch {
	case f == unknown:
		return refusal("write-unknown")
	case f == done:
		return refusal("write-unread")
	}
	return r
}
