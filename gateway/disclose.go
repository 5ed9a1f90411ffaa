package gateway

import (
	"net/http"
	"strconv"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/upstream"
	"github.com/halfdoor/halfdoor/transforms"
)

// disclosure is the sink of the filter: it releases a window when the record that names
// what the window discloses is durable, and not before.
type disclosure struct {
	*call
	ask  *admission
	resp *upstream.Response
	ctl  *http.ResponseController
}

// disclose filters the EHR's answer to the client.
func (c *call) disclose(q *query, resp *upstream.Response) error {
	a := q.admission
	d := &disclosure{call: c, ask: a, resp: resp, ctl: http.NewResponseController(c.w)}
	o := transforms.Options{
		Tokens: a.seal, EHR: a.route.ehr.Bases(), Base: a.route.base, Link: a.link(c.begun),
		Patient: a.patient(), DenyLabels: a.dec.DenyLabels,
		Root: "Bundle", Window: c.gen.window,
	}
	if a.req.Interaction == fhir.SearchType {
		o.Total = o.Patient == "" && len(o.DenyLabels) == 0
	} else {
		o.Root, o.RootID = a.req.Type, q.id
	}
	report, err := a.dec.Plan.Filter(d, resp.Body, o)
	if err != nil {
		c.rec.Totals = totals(report)
		return err
	}
	c.g.metrics.filtered(report)
	return nil
}

// Release records a window, and then writes it.
func (d *disclosure) Release(w *transforms.Window) error {
	if err := d.names(d.ask.route.name, d.ask.seal, w.Subjects); err != nil {
		return err
	}
	first := !d.released
	d.rec.Kind, d.rec.More, d.rec.Status = accesslog.KindRelease, !w.Last, http.StatusOK
	switch {
	case first:
		d.rec.Kind = accesslog.KindAccess
	case w.Last:
		d.rec.Kind = accesslog.KindClose
	}
	if w.Last {
		d.rec.Totals = totals(*w.Report)
	}
	if err := d.commit(); err != nil {
		return err
	}
	d.released = true
	if first {
		d.begin(w)
	}
	if err := d.ctl.SetWriteDeadline(d.g.now().Add(d.gen.patience)); err != nil {
		return err
	}
	if !d.head {
		if _, err := d.w.Write(w.Body); err != nil {
			return err
		}
	}
	if !w.Last {
		return d.ctl.Flush()
	}
	return nil
}

// begin writes the header of a good answer. No validator, length or location of the EHR's
// survives but what the dataset keeps of them.
func (d *disclosure) begin(w *transforms.Window) {
	h := d.w.Header()
	d.headers(h)
	plan, kind := d.ask.dec.Plan, d.ask.req.Type
	if d.ask.req.Interaction != fhir.SearchType {
		if d.resp.ETag != "" && plan.Method(kind, "meta.versionId") == transforms.Keep {
			h.Set("ETag", d.resp.ETag)
		}
		if d.resp.LastModified != "" && plan.Method(kind, "meta.lastUpdated") == transforms.Keep {
			h.Set("Last-Modified", d.resp.LastModified)
		}
	}
	if w.Last && !d.head {
		h.Set("Content-Length", strconv.Itoa(len(w.Body)))
	}
	d.w.WriteHeader(http.StatusOK)
}
