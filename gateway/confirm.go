package gateway

import (
	"bytes"
	"io"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// A named search confirms a text whole: the EHR is asked for it with :exact. One that does not know
// the modifier should refuse it (FHIR R4, search.html, section 2.21.1.5.1), but some leave it aside, and
// answer to the first letters of a name. So the gateway compares the texts itself, before the filter
// takes them away: what does not have them all was not found. It is as if the EHR had kept to what it
// was asked, but that the record counts what was not.

// maxConfirmed bounds a page whose texts are compared, which is read whole.
const maxConfirmed = 4 << 20

// cause of a resource that does not have what it was found by, in records.
const unconfirmed = "unconfirmed"

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

// confirmed is the Bundle without the resources that do not have the texts.
func (q *query) confirmed(body io.ReadCloser) (io.ReadCloser, error) {
	q.strangers = 0
	if len(q.texts) == 0 || q.body != nil {
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
	var out bytes.Buffer
	write := func(key string, parts []string, open, end string) {
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.WriteString(key + ":" + open + strings.Join(parts, ",") + end)
	}
	out.WriteByte('{')
	gjson.ParseBytes(all).ForEach(func(key, value gjson.Result) bool {
		if key.Str != "entry" || !value.IsArray() {
			write(key.Raw, []string{value.Raw}, "", "")
			return true
		}
		var kept []string
		for _, entry := range value.Array() {
			if q.has(entry.Get("resource")) {
				kept = append(kept, entry.Raw)
			} else {
				q.strangers++
			}
		}
		write(key.Raw, kept, "[", "]")
		return true
	})
	out.WriteByte('}')
	return io.NopCloser(&out), nil
}

// has says whether a resource that was found has each of the texts. What was included leaves behind such
// a one; what holds others, nobody looks into.
func (q *query) has(resource gjson.Result) bool {
	switch kind := resource.Get("resourceType").Str; kind {
	case "Bundle", "Parameters":
		return false
	case q.admission.req.Type:
	default:
		return true
	}
	for _, t := range q.texts {
		found := false
		for _, path := range t.elements {
			found = found || says(resource, strings.Split(path, "."), t.value)
		}
		if !found {
			return false
		}
	}
	return true
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
