package gateway

import (
	"context"
	"errors"
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
	query  *query
	ask    *admission
	resp   *upstream.Response
	turned []transforms.Report // of the pages of which every resource was withheld
	turn   bool                // this is one

	strangers strangers // on those: resources that were left out
}

// maxWithheld bounds the pages of a search that are turned over for the client because all on
// them was withheld: an empty page that has another behind it tells of that.
const maxWithheld = 10

// disclose filters the EHR's answer to the client.
func (c *call) disclose(ctx context.Context, q *query, resp *upstream.Response) error {
	d := &disclosure{call: c, query: q, ask: q.admission, resp: resp, strangers: strangers{}}
	defer d.letGo()
	for {
		report, err := d.stream(d.resp.Body, c.filter(q))
		d.resp.Body.Close()
		c.g.metrics.filtered(q.admission.dec.Dataset, report)
		if err != nil {
			c.rec.Totals = Totals(report)
			return err
		}
		if !d.turn {
			return nil
		}
		d.turned, d.turn = append(d.turned, report), false
		for cause, n := range q.strangers {
			d.strangers[cause] += n
		}
		q.skip = q.next.Skip
		if d.resp, err = q.send(ctx, c, q.next.Path, q.next.Query); err != nil {
			return err
		}
	}
}

// withheld says whether the window is a whole page of which nothing leaves although something
// was found, with another behind it.
func (d *disclosure) withheld(w *transforms.Window) bool {
	found := 0
	for kind, n := range w.Report.Released {
		if kind != "OperationOutcome" {
			found += n
		}
	}
	return !d.released && w.Last && d.query.next != nil && len(d.turned) < maxWithheld && found == 0 && len(w.Report.Dropped)+d.query.strangers.sum() > 0
}

// totals are those of the answer, and of what was looked at and withheld before it.
func (d *disclosure) totals(r *transforms.Report) *accesslog.Totals {
	t := Totals(*r)
	if t.Dropped == nil {
		t.Dropped = map[string]map[string]int{}
	}
	for _, page := range []strangers{d.strangers, d.query.strangers} {
		for cause, n := range page {
			if t.Dropped[cause] == nil {
				t.Dropped[cause] = map[string]int{}
			}
			t.Dropped[cause][d.ask.req.Type] += n
		}
	}
	for _, page := range d.turned {
		t.BytesIn += page.BytesIn
		for cause, kinds := range page.Dropped {
			for kind, n := range kinds {
				if t.Dropped[cause] == nil {
					t.Dropped[cause] = map[string]int{}
				}
				t.Dropped[cause][kind] += n
			}
		}
	}
	return t
}

// filter is how the answer to a query is filtered. Only types leave that the request was admitted
// for: the scopes were looked at for no other, whatever the EHR adds to a search.
func (c *call) filter(q *query) transforms.Options {
	a := q.admission
	q.next = nil
	o := transforms.Options{
		Tokens: a.seal, Shift: a.seal, Hash: a.seal, EHR: a.route.bases, Base: a.route.base, Link: q.link(c),
		Patient: a.patient(), DenyLabels: a.labels(), Types: a.types,
		Root: "Bundle", Window: c.gen.window,
	}
	switch {
	case a.req.Interaction.Searches(), matches(a.req):
		o.BundleType = "searchset"
		o.Total = !q.withholds()
		if len(a.req.Includes) > 0 {
			o.Searched = a.searched()
		}
	case a.req.Interaction.History():
		o.BundleType, o.EntryID = "history", q.id
	default:
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
	if d.query.lost {
		return refusal("too-long")
	}
	if d.turn = d.withheld(w); d.turn {
		return d.await(d.gen.longest)
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
		d.rec.Totals = d.totals(w.Report)
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
	if err := d.hand(w, first); err != nil || w.Last {
		return err
	}
	// HTTP/2 resets a stream whose deadline passes while nobody writes.
	return d.await(d.gen.longest)
}

// hand writes a window in as few pieces as the connection takes.
func (d *disclosure) hand(w *transforms.Window, first bool) (err error) {
	d.conn.hold()
	defer func() { err = errors.Join(err, d.conn.let()) }()
	if err := d.emit(w.Body); err != nil {
		return err
	}
	switch {
	case !w.Last:
		return d.flush()
	case first && d.out == nil && d.conn != nil:
		return d.ctl.Flush() // the end of a body whose length was said; net/http has nothing to add to it
	}
	return d.finish()
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
	if d.ask.req.Interaction == fhir.Read || d.ask.req.Interaction == fhir.VRead {
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
