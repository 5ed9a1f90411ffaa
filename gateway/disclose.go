package gateway

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/upstream"
	"github.com/halfdoor/halfdoor/transforms"
)

// disclosure is the sink of the filter: it releases a window when the record that names
// what the window discloses is durable, and not before.
type disclosure struct {
	*call
	ask   *admission
	query *query
	resp  *upstream.Response
}

// disclose filters the EHR's answer to the client.
func (c *call) disclose(q *query, resp *upstream.Response) error {
	d := &disclosure{call: c, ask: q.admission, query: q, resp: resp}
	report, err := q.admission.dec.Plan.Filter(d, resp.Body, c.filter(q))
	d.letGo()
	c.g.metrics.filtered(q.admission.dec.Dataset, report)
	if err != nil {
		c.rec.Totals = Totals(report)
	}
	return err
}

// filter is how the answer to a query is filtered. Only the type that was asked for leaves: the
// scopes were looked at for no other, whatever the EHR adds to a search.
func (c *call) filter(q *query) transforms.Options {
	a := q.admission
	o := transforms.Options{
		Tokens: a.seal, Shift: a.seal, Hash: a.seal, EHR: a.route.ehr.Bases(), Base: a.route.base, Link: a.link(c.begun),
		Patient: a.patient(), DenyLabels: a.dec.DenyLabels, Types: []string{a.req.Type},
		Root: "Bundle", Window: c.gen.window,
	}
	if a.req.Interaction == fhir.SearchType {
		o.BundleType = "searchset"
		o.Total = o.Patient == "" && len(o.DenyLabels) == 0
	} else {
		o.Root, o.RootID = a.req.Type, q.id
	}
	if q.candidates != nil {
		q.candidates.hold(&o)
	}
	return o
}

// Release records a window, and then writes it.
func (d *disclosure) Release(w *transforms.Window) error {
	if few := d.query.candidates; few != nil {
		if err := few.few(w); err != nil {
			return err
		}
	}
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
		d.rec.Totals = Totals(*w.Report)
	}
	if err := d.commit(); err != nil {
		return err
	}
	d.released = true
	if first {
		d.begin(w)
	}
	if err := d.await(0); err != nil {
		return err
	}
	if d.head { // whose header waits for the end: with it, the client has all that it asked for, and goes
		return d.await(d.gen.longest)
	}
	if err := d.emit(w.Body); err != nil {
		return err
	}
	if w.Last {
		return d.finish()
	}
	if err := d.flush(); err != nil {
		return err
	}
	// HTTP/2 resets a stream whose deadline passes while nobody writes.
	return d.await(d.gen.longest)
}

// opaque is what an entity tag says, weak or not.
func opaque(tag string) string { return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) }

// begin writes the header of a good answer. An entity tag leaves where it is the version that
// the body says (FHIR R4, http.html, section 3.1.0.5), and nothing besides. No other validator, length or location of the EHR's
// survives but what the dataset keeps of them.
func (d *disclosure) begin(w *transforms.Window) {
	h := d.w.Header()
	d.headers(h)
	plan, kind := d.ask.dec.Plan, d.ask.req.Type
	if d.ask.req.Interaction != fhir.SearchType {
		if version := gjson.GetBytes(w.Body, "meta.versionId").String(); version != "" && opaque(d.resp.ETag) == version {
			h.Set("ETag", `W/"`+version+`"`) // these are not the EHR's bytes
		}
		if d.resp.LastModified != "" && plan.Method(kind, "meta.lastUpdated") == transforms.Keep {
			h.Set("Last-Modified", d.resp.LastModified)
		}
	}
	length := -1
	if w.Last {
		length = len(w.Body)
	}
	d.encode(h, length)
	d.w.WriteHeader(http.StatusOK)
}
