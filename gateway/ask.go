package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/upstream"
	"github.com/halfdoor/halfdoor/transforms"
)

// maxTarget bounds path and query as the EHR is sent them, where an escape makes three bytes
// of one. The upstream sends no more than 16 KiB.
const maxTarget = 15 << 10

// query is what the EHR is asked.
type query struct {
	admission *admission
	path, raw string
	id        string // of a read: the resource that must come back; of a history: whose it is
	stands    bool   // a former version is asked for: what is there now decides
	nothing   bool   // the answer is known to be empty: the EHR is not asked

	criteria   []fhir.Param // of a search, as the EHR is asked
	body       []byte       // of a $match
	candidates *candidates  // of a search that may find few
	texts      []text       // of a search that confirms: what each resource has to say
	strangers  strangers    // of the page at hand: resources that are left out

	skip  int // of a page that begins within one of the EHR's: how many of its resources come before
	skips int // of the next page, likewise

	next *page // of the answer, once it has been seen
	lost bool  // a link of the answer is longer than a client could send
}

// ask sends the query with the gateway's own credentials, or knows the answer already.
func (q *query) ask(ctx context.Context, c *call) (*upstream.Response, error) {
	if q.nothing {
		body := `{"resourceType":"Bundle","type":"searchset","total":0,"link":[{"relation":"self","url":"` + q.admission.route.base + `"}]}`
		return &upstream.Response{Status: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	if err := q.current(ctx, c); err != nil {
		return nil, err
	}
	return q.send(ctx, c, q.path, q.raw)
}

// current refuses former versions of what may not leave as it is now: a denied label, or
// another patient's name, may have been put on it since, or it was deleted.
func (q *query) current(ctx context.Context, c *call) error {
	if !q.stands {
		return nil
	}
	a := q.admission
	now := fhir.Request{Type: a.req.Type, ID: q.id}
	resp, err := q.send(ctx, c, now.Path(), "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	o := c.filter(q)
	o.Root, o.RootID, o.BundleType = a.req.Type, q.id, ""
	_, err = a.dec.Plan.Filter(nobody{}, resp.Body, o)
	return err
}

// nobody is handed what only had to be looked at.
type nobody struct{}

// Release lets the window go.
func (nobody) Release(*transforms.Window) error { return nil }

func (q *query) send(ctx context.Context, c *call, path, raw string) (*upstream.Response, error) {
	resp, err := q.fetch(ctx, c, path, raw)
	if err != nil {
		return nil, err
	}
	if resp.Body, err = q.filled(ctx, c, path, raw, resp.Body); err != nil {
		return nil, err
	}
	return resp, nil
}

// fetch asks the EHR for a resource, or one of its pages, without what is not to be in it.
func (q *query) fetch(ctx context.Context, c *call, path, raw string) (*upstream.Response, error) {
	ask := upstream.Call{Method: http.MethodGet, Path: path, Query: raw, Correlation: c.ids.outgoing(), Body: q.body, Caller: q.admission.token}
	if q.body != nil {
		ask.Method = http.MethodPost
	}
	resp, err := q.admission.route.ehr.Do(ctx, ask)
	if err != nil {
		return nil, err
	}
	if q.body != nil && (resp.Status == http.StatusNotFound || resp.Status == http.StatusMethodNotAllowed || resp.Status == http.StatusNotImplemented) {
		resp.Body.Close()
		return nil, refusal("not-supported").naming("the operation $match at this EHR")
	}
	if resp.Status != http.StatusOK {
		resp.Body.Close()
		return nil, refusedStatus(resp)
	}
	resp.Body = &sparing{resp.Body, &c.g.memory}
	if resp.Body, err = q.confirmed(resp.Body); err != nil {
		return nil, err
	}
	return resp, nil
}
