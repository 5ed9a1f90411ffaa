package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// pageLife is how long a link to another page works.
const pageLife = time.Hour

// page is what a sealed link holds: the EHR's own address of the page, the search that it
// continues, and what the first page was released under. All of it is judged again when
// the link comes back.
type page struct {
	Path    string    `json:"p"` // below the EHR's base
	Query   string    `json:"q"`
	Search  string    `json:"s"` // the client's own query, with its tokens
	Floor   string    `json:"f"`
	Dataset string    `json:"d"`
	Patient string    `json:"h,omitempty"`
	Expires time.Time `json:"x"`
}

// bound ties a link to who was given it, and to the type that was searched. The vault ties
// it to the client, tenant and EHR already.
func bound(caller *auth.Caller, resourceType string) string {
	return "page " + resourceType + " " + caller.Issuer + " " + caller.Subject
}

// turn opens the link of a request for another page, and puts the search that it continues
// in the request's place, so that it is permitted, decided and admitted like the first.
func (c *call) turn(e errand, req *fhir.Request) (*page, *fhir.Request, error) {
	if req.Page == "" {
		return nil, req, nil
	}
	plain, err := e.seal.OpenLink(req.Page, bound(e.caller, req.Type))
	if err != nil {
		return nil, nil, err
	}
	var p page
	if err := json.Unmarshal(plain, &p); err != nil || !c.begun.Before(p.Expires) {
		return nil, nil, refusal("page-invalid")
	}
	search, err := fhir.Parse(fhir.Message{Method: http.MethodGet, Path: "/" + req.Type, Query: p.Search}, c.gen.limits)
	if err != nil {
		return nil, nil, err
	}
	search.Head, search.Pretty, search.Page = req.Head, req.Pretty, req.Page
	c.asks(search, nil)
	return &p, search, nil
}

// continues says whether the call is still under what the first page was released under.
func (p *page) continues(a *admission) bool {
	return p.Floor == a.floor.Key() && p.Dataset == a.dec.Dataset && p.Patient == a.dec.Patient
}

// link rewrites a Bundle's link: to itself as the client asked, to another page as a
// sealed one. Every other relation, and an address that is not the EHR's, is dropped.
func (a *admission) link(now time.Time) func(relation, url string) (string, bool) {
	search := a.req.Encode()
	return func(relation, url string) (string, bool) {
		here := a.route.base + "/" + a.req.Type
		switch relation {
		case "self":
			if a.req.Page != "" {
				return here + "?_page=" + a.req.Page, true
			}
			if search == "" {
				return here, true
			}
			return here + "?" + search, true
		case "next", "previous", "prev", "first", "last":
		default:
			return "", false
		}
		path, query, ok := a.below(url)
		if !ok {
			return "", false
		}
		plain, err := json.Marshal(page{
			Path: path, Query: query, Search: search, Floor: a.floor.Key(),
			Dataset: a.dec.Dataset, Patient: a.dec.Patient, Expires: now.Add(pageLife).UTC().Truncate(time.Second),
		})
		if err != nil {
			return "", false
		}
		sealed, err := a.seal.SealLink(plain, bound(a.caller, a.req.Type))
		if err != nil {
			return "", false
		}
		return here + "?_page=" + sealed, true
	}
}

// below is what of an EHR's URL lies below one of its bases; a relative one is below it.
func (a *admission) below(url string) (path, query string, ok bool) {
	url, _, _ = strings.Cut(url, "#")
	for _, base := range a.route.ehr.Bases() {
		if rest, found := strings.CutPrefix(url, base); found && (rest == "" || rest[0] == '/' || rest[0] == '?') {
			path, query, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "?")
			return path, query, true
		}
	}
	if strings.HasPrefix(url, "?") || strings.HasPrefix(url, a.req.Type+"?") {
		path, query, _ = strings.Cut(url, "?")
		return path, query, true
	}
	return "", "", false
}
