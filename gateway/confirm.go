package gateway

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// What an EHR answers with is compared, before the filter takes elements away, with
//
//   - the texts of a named search, which confirms them whole: the EHR is asked for them with :exact. One that does not
//     know the modifier should refuse it (FHIR R4, search.html, section 2.21.1.5.1), but some leave it aside, and
//     answer to the first letters of a name;
//   - the parameters of the caller's scopes, where these are for a part of a type alone: they cannot be put into the query of
//     a read, nor always into that of a search, and an EHR might leave one aside.
//
// What does not have them was not found. It is as if the EHR had kept to what it was asked, but that the
// record counts what was not.

// maxConfirmed bounds an answer of which something is compared: it is read whole.
const maxConfirmed = 4 << 20

// causes of a resource being left out, in records.
const (
	unconfirmed = "unconfirmed" // it does not have what it was found by
	unscoped    = "scope"       // the caller's scopes are for others
)

// text is a criterion whose text the gateway compares.
type text struct {
	elements []string
	value    string
}

// confirms has the answer hold resources with the parameter's text alone. What a chain reads is in
// other resources than those that come.
func (q *query) confirms(p fhir.Param) {
	if p.Definition.Type == fhir.String && len(p.Links) == 0 {
		q.texts = append(q.texts, text{p.Definition.Elements, fhir.Unescape(p.Values[0])})
	}
}

// withholds says whether resources of the answer can be kept back one by one, so that what is left must
// not tell how many there were.
func (q *query) withholds() bool { return q.admission.withholds() || len(q.texts) > 0 }

// strangers are resources of an answer that are left out, by cause.
type strangers map[string]int

func (s strangers) sum() (n int) {
	for _, some := range s {
		n += some
	}
	return n
}

// confirmed is the Bundle without the resources that are not to be in it, or the one resource; where it is not
// to be, there is none.
func (q *query) confirmed(body io.ReadCloser) (io.ReadCloser, error) {
	q.strangers = nil
	if len(q.texts) == 0 && !q.admission.floor.Granular() || q.body != nil {
		return body, nil
	}
	defer body.Close()
	all, err := io.ReadAll(io.LimitReader(body, maxConfirmed+1))
	switch {
	case err != nil:
		return nil, err
	case len(all) > maxConfirmed:
		return nil, refusal("ehr-too-large")
	case !gjson.ValidBytes(all):
		return nil, refusal("ehr-invalid")
	}
	doc := gjson.ParseBytes(all)
	if doc.Get("resourceType").Str != "Bundle" {
		if !q.admission.req.Interaction.Searches() && q.stranger(doc) != "" {
			return nil, refusal("not-found")
		}
		return io.NopCloser(bytes.NewReader(all)), nil
	}
	q.strangers = strangers{}
	var out bytes.Buffer
	write := func(key string, parts []string, open, end string) {
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.WriteString(key + ":" + open + strings.Join(parts, ",") + end)
	}
	out.WriteByte('{')
	doc.ForEach(func(key, value gjson.Result) bool {
		if key.Str != "entry" || !value.IsArray() {
			write(key.Raw, []string{value.Raw}, "", "")
			return true
		}
		var kept []string
		for _, entry := range value.Array() {
			if why := q.stranger(entry.Get("resource")); why != "" {
				q.strangers[why]++
			} else {
				kept = append(kept, entry.Raw)
			}
		}
		write(key.Raw, kept, "[", "]")
		return true
	})
	out.WriteByte('}')
	return io.NopCloser(&out), nil
}

// stranger is why a resource is left out; empty where it stays. What was included leaves behind one that was
// found; what holds others, nobody looks into.
func (q *query) stranger(resource gjson.Result) (cause string) {
	a := q.admission
	kind := resource.Get("resourceType").Str
	switch {
	case kind == "Bundle", kind == "Parameters":
		return unconfirmed
	case slices.Contains(a.searched(), kind):
	case kind == "" && a.floor.Granular(): // of a version that was deleted, nobody knows what it was
		return unscoped
	default:
		return ""
	}
	if !a.floor.Covers(kind, resource, a.route.bases) {
		return unscoped
	}
	for _, t := range q.texts {
		found := false
		for _, path := range t.elements {
			found = found || says(resource, strings.Split(path, "."), t.value)
		}
		if !found {
			return unconfirmed
		}
	}
	return ""
}

// says says whether one of the texts at or below a path is the one that is meant.
func says(v gjson.Result, path []string, wanted string) (found bool) {
	switch {
	case v.Type == gjson.String:
		return len(path) == 0 && v.Str == wanted
	case !v.IsArray() && !v.IsObject():
		return false
	}
	v.ForEach(func(key, below gjson.Result) bool {
		switch {
		case v.IsArray(), len(path) == 0:
			found = says(below, path, wanted)
		case key.Str == path[0]:
			found = says(below, path[1:], wanted)
		}
		return !found
	})
	return found
}
