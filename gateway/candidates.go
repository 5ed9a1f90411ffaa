package gateway

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// A dataset's candidates say how many resources of a type may be found by what it hides: by a
// combination that its search names, or by $match. A desk that has to know whom it speaks of is
// shown the few who can be meant, and whoever asks too broadly is told so, and nothing else. (What is found by
// elements that leave anyway is no lookup of an identity: the quota bounds it.) Such a search:
//
//   - is answered whole or not at all. A cut list would show people who are not meant, and its
//     pages the rest of them; being refused, the desk asks the caller for another detail;
//   - is held back until the end of the EHR's answer is known, in one window, and leaves in one page;
//   - asks the EHR for more than it may find, so that one page shows whether there are more. Where
//     labels, a compartment or the comparison of a text (confirm.go) drop some of these, it asks for as
//     many more as are likely to be dropped; where still another page follows, nobody knows, and it is refused;
//   - with a smaller _count of the client's is bound by that.
type candidates struct {
	most map[string]int // by type
	more bool           // the EHR has another page

	matched bool // by $match
}

const (
	maxCandidateBytes = 1 << 20 // of an answer that is held back
	likelyDropped     = 50
)

// boundCandidates finds the bounds of a search, and has the EHR asked for one more.
func (q *query) boundCandidates() error {
	a := q.admission
	switch {
	case matches(a.req):
		return q.match()
	case !a.confirms:
		return nil
	}
	most := map[string]int{}
	for _, kind := range append(slices.Clone(a.req.Types), a.req.Type) {
		if n := a.dec.Plan.Dataset().Candidates[kind]; n > 0 {
			most[kind] = n
		}
	}
	if len(most) == 0 {
		return nil
	}
	if a.req.Page != "" {
		return refusal("page-invalid") // there is one page; the link is of another dataset's time
	}
	if a.req.Summary == "count" {
		return refusal("not-supported").naming("a count of what may be asked for one by one")
	}
	for _, p := range a.req.Params {
		if p.Name != "_count" || len(p.Values) != 1 {
			continue
		}
		n, err := strconv.Atoi(p.Values[0])
		if err != nil || n < 1 {
			return refusal("not-supported").naming("a count of what may be asked for one by one")
		}
		for kind := range most {
			most[kind] = min(most[kind], n)
		}
	}
	q.raw = counted(q.raw, q.bound(most))
	return nil
}

// bound holds the answer to so many, and returns how many to ask for.
func (q *query) bound(most map[string]int) (ask int) {
	q.candidates = &candidates{most: most}
	for n := range maps.Values(most) {
		ask += n
	}
	if q.withholds() {
		ask += likelyDropped
	}
	return ask + 1
}

// counted is a query that asks for so many.
func counted(query string, n int) string {
	parts := slices.DeleteFunc(strings.Split(query, "&"), func(p string) bool { return p == "" || strings.HasPrefix(p, "_count=") })
	return strings.Join(append(parts, "_count="+strconv.Itoa(n)), "&")
}

// hold changes how an answer is filtered, so that it is known whole before any of it leaves.
func (c *candidates) hold(o *transforms.Options) {
	o.Window = maxCandidateBytes
	link := o.Link
	if c.matched {
		link = nil // a $match has no address to repeat it by
	}
	o.Link = func(relation, url string) (string, bool) {
		if relation == "next" {
			c.more = true
		}
		if relation != "self" || link == nil {
			return "", false
		}
		return link(relation, url)
	}
}

// few refuses a window that shows more than the candidates, or does not show them all.
func (c *candidates) few(w *transforms.Window) error {
	for kind, n := range c.most {
		if w.Report.Released[kind] > n {
			return refusal("too-many-candidates")
		}
	}
	switch {
	case !w.Last:
		return refusal("ehr-too-large")
	case c.more:
		return refusal("too-many-candidates")
	}
	return nil
}
