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
	Skip    int       `json:"k,omitempty"` // how many resources on it come before
	Search  string    `json:"s"`           // the client's own query, with its tokens
	Floor   string    `json:"f"`
	Dataset string    `json:"d"`
	Patient string    `json:"h,omitempty"`
	Expires time.Time `json:"x"`
}

// pageStep is to how many bytes what a link holds is filled up: its length would tell that of
// the EHR's query, in which there can be anything.
const pageStep = 512

// bound ties a link to who was given it, and to the place that was searched. The vault ties
// it to the client, tenant and EHR already.
func bound(caller *auth.Caller, place string) string {
	return "page " + place + " " + caller.Issuer + " " + caller.Subject
}

// turn opens the link of a request for another page, and puts the search that it continues
// in the request's place, so that it is permitted, decided and admitted like the first.
func (c *call) turn(e errand, req *fhir.Request) (*page, *fhir.Request, error) {
	if req.Page == "" {
		return nil, req, nil
	}
	plain, err := e.seal.OpenLink(req.Page, bound(e.caller, req.Path()))
	if err != nil {
		return nil, nil, err
	}
	var p page
	if err := json.Unmarshal(plain, &p); err != nil || !c.begun.Before(p.Expires) {
		return nil, nil, refusal("page-invalid")
	}
	search, err := fhir.Parse(fhir.Message{Method: http.MethodGet, Path: "/" + req.Path(), Query: p.Search}, c.gen.limits)
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
// sealed one. Every other relation, and an address that is not the EHR's, is dropped; so is the
// last page where resources can be withheld, since it counts them.
func (q *query) link(c *call) func(relation, url string) (string, bool) {
	a := q.admission
	used := *a.req
	if used.Elements = nil; used.Summary != "count" {
		used.Summary = "" // of no effect: search.html, section 2.21.1.7, has the link say what had one
	}
	search, place := used.Encode(), a.req.Path()
	here := strings.TrimSuffix(a.route.base+"/"+place, "/")
	return func(relation, url string) (string, bool) {
		switch relation {
		case "self":
			if a.req.Page != "" {
				return here + "?_page=" + a.req.Page, true
			}
			if search == "" {
				return here, true
			}
			return here + "?" + search, true
		case "last":
			if q.withholds() {
				return "", false
			}
		case "next", "previous", "prev", "first":
		default:
			return "", false
		}
		p := page{
			Search: search, Floor: a.floor.Key(), Dataset: a.dec.Dataset, Patient: a.dec.Patient,
			Expires: c.begun.Add(pageLife).UTC().Truncate(time.Second),
		}
		var ok bool
		if p.Path, p.Query, ok = q.below(url); !ok {
			return "", false
		}
		if relation == "next" {
			p.Skip = q.skips
			q.next = &p
		}
		sealed, err := p.seal(a, place)
		if err != nil {
			return "", false
		}
		link := here + "?_page=" + sealed
		q.lost = q.lost || len(link)-len(a.route.base) > c.gen.limits.URLBytes
		return link, true
	}
}

// seal is the page as the client has it.
func (p *page) seal(a *admission, place string) (string, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	if rest := len(plain) % pageStep; rest > 0 {
		plain = append(plain, strings.Repeat(" ", pageStep-rest)...)
	}
	return a.seal.SealLink(plain, bound(a.caller, place))
}

// below is what of an EHR's URL lies below one of its bases; a relative one is below it.
func (q *query) below(url string) (path, query string, ok bool) {
	url, _, _ = strings.Cut(url, "#")
	for _, base := range q.admission.route.bases {
		if rest, found := strings.CutPrefix(url, base); found && (rest == "" || rest[0] == '/' || rest[0] == '?') {
			path, query, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "?")
			return path, query, true
		}
	}
	path, query, _ = strings.Cut(url, "?")
	return path, query, path == "" || path == q.path
}
