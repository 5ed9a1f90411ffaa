package gateway

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// A search under scopes for a part of a type is answered in pages of the gateway's own. What the scopes withhold, the
// EHR has counted for its pages, where the scopes could not be put into the query or the EHR left them aside: its pages
// would be short, or empty with another behind them, and tell of what is not there. So the EHR is asked for page after page
// until the client's is full and one more is found, and the next link remembers where in the EHR's page that one is.

const (
	scanned  = 50 // resources that the EHR is asked for at a time, at least
	maxPages = 20 // of the EHR's, that are looked through for one of the client's: behind so many it may be short
)

// scans says whether the pages of the answer are the gateway's own. An answer that shows few is no page of more.
func (q *query) scans() bool {
	a := q.admission
	return a.floor.Granular() && a.req.Interaction.Searches() && q.candidates == nil
}

// counts is how many resources the client wants on a page.
func counts(req *fhir.Request) int {
	for _, p := range req.Params {
		if n, err := strconv.Atoi(strings.Join(p.Values, ",")); p.Name == "_count" && err == nil && n >= 0 {
			return n
		}
	}
	return scanned
}

// scan asks for so many at a time that a page can be filled.
func (a *admission) scan(asked *fhir.Request) {
	if !a.floor.Granular() {
		return
	}
	asked.Params = slices.DeleteFunc(asked.Params, func(p fhir.Param) bool { return p.Name == "_count" })
	asked.Params = append(asked.Params, fhir.Param{Name: "_count", Values: []string{strconv.Itoa(max(counts(a.req), scanned))}})
}

// filled is the client's page, which begins on that of the EHR's which it has answered with.
func (q *query) filled(ctx context.Context, c *call, path, raw string, body io.ReadCloser) (io.ReadCloser, error) {
	if !q.scans() {
		return body, nil
	}
	s := scanner{query: q, want: counts(q.admission.req), path: path, raw: raw, left: strangers{}}
	for skip := q.skip; ; skip = 0 {
		doc, err := io.ReadAll(body) // it was read whole to be compared
		body.Close()
		if err != nil {
			return nil, err
		}
		page := gjson.ParseBytes(doc)
		if !searched(page) {
			return nil, refusal("ehr-invalid")
		}
		if !s.take(page, skip) {
			q.strangers, q.skips = s.left, s.skips
			return io.NopCloser(strings.NewReader(s.bundle())), nil
		}
		if err := c.await(c.gen.longest); err != nil {
			return nil, err
		}
		resp, err := q.fetch(ctx, c, s.path, s.raw)
		if err != nil {
			return nil, err
		}
		body = resp.Body
	}
}

// searched says whether an answer is the page of a search, of which each part is there once: what is made anew of it, the filter
// cannot find wrong any more.
func searched(doc gjson.Result) bool {
	parts := map[string]int{}
	doc.ForEach(func(name, _ gjson.Result) bool {
		parts[name.Str]++
		return true
	})
	return parts["resourceType"] == 1 && parts["type"] == 1 && parts["entry"] <= 1 && parts["link"] <= 1 &&
		doc.Get("resourceType").Str == "Bundle" && doc.Get("type").Str == "searchset"
}

// scanner makes one page of several.
type scanner struct {
	*query
	want      int
	path, raw string // of the EHR's page at hand
	seen      int    // pages
	size      int    // in bytes, of what is to leave
	left      strangers
	found     []string // entries
	beside    []string // what they include, and what the EHR says of the search
	next      string   // where the next page begins: the EHR's link to it; empty for none
	skips     int      // resources of it that are on this one
}

// take takes what is on one of the EHR's pages, and says whether to go on with the one behind it.
func (s *scanner) take(doc gjson.Result, skip int) bool {
	for cause, n := range s.strangers {
		s.left[cause] += n
	}
	n, full := 0, false
	doc.Get("entry").ForEach(func(_, entry gjson.Result) bool {
		if !slices.Contains(s.admission.searched(), entry.Get("resource.resourceType").Str) || entry.Get("search.mode").Str == "include" {
			if !slices.Contains(s.beside, entry.Raw) {
				s.beside = append(s.beside, entry.Raw)
			}
			return true
		}
		if n++; n <= skip || full || s.want == 0 {
			return true
		}
		if full = len(s.found) == s.want; full { // what is included comes behind
			s.next, s.skips = s.admission.route.bases[0]+"/"+s.path+"?"+s.raw, n-1
			return true
		}
		s.found, s.size = append(s.found, entry.Raw), s.size+len(entry.Raw)
		return true
	})
	if s.seen++; full || s.want == 0 {
		return false
	}
	behind := doc.Get(`link.#(relation=="next").url`).Str
	path, raw, ok := s.below(behind)
	if behind == "" || !ok {
		return false
	}
	if s.path, s.raw = path, raw; s.seen < maxPages && s.size < maxConfirmed {
		return true
	}
	s.next = behind
	return false
}

// bundle is the page.
func (s *scanner) bundle() string {
	links := `{"relation":"self","url":"self"}`
	if s.next != "" {
		url, _ := json.Marshal(s.next) // a text always has a form
		links += `,{"relation":"next","url":` + string(url) + `}`
	}
	doc := `{"resourceType":"Bundle","type":"searchset","link":[` + links + `]`
	if entries := append(s.found, s.beside...); len(entries) > 0 {
		doc += `,"entry":[` + strings.Join(entries, ",") + `]`
	}
	return doc + "}"
}
