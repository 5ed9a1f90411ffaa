package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/transforms"
)

// judge knows what may leave. It asks the filter: what goes in and does not come out must stay
// hidden, and an answer that is already the minimum comes out as it went in.
type judge struct {
	plan   *transforms.Plan
	base   string
	hidden []canary
}

func newJudge(ds *transforms.Dataset, base string) (*judge, error) {
	plan, err := transforms.Compile(ds, fhir.PatientCompartment())
	if err != nil {
		return nil, err
	}
	return &judge{plan: plan, base: base}, nil
}

// hide adds the canaries of a planted resource that must stay hidden.
func (j *judge) hide(planted []canary, body []byte, closed bool) error {
	var out []byte
	if kind := gjson.GetBytes(body, "resourceType").Str; !closed && j.plan.Has(kind) {
		var err error
		if out, err = j.filter(body, changed{}); err != nil {
			return fmt.Errorf("a canary %s through the dataset: %w", kind, err)
		}
	}
	for _, c := range planted {
		if !bytes.Contains(out, []byte(c.value)) {
			j.hidden = append(j.hidden, c)
		}
	}
	return nil
}

// hides says whether one of these elements does not leave as it is.
func (j *judge) hides(kind string, elements ...string) bool {
	if !j.plan.Has(kind) {
		return true
	}
	return slices.ContainsFunc(elements, func(e string) bool { return j.plan.Method(kind, e) != transforms.Keep })
}

// reads says whether a search parameter reads an element that does not leave as it is.
func (j *judge) reads(kind, parameter string) bool {
	def, ok := fhir.Parameter(kind, parameter)
	return !ok || j.hides(kind, def.Elements...)
}

// askable says whether the dataset's search names a parameter by itself.
func (j *judge) askable(kind, parameter string) bool {
	return slices.Contains(j.plan.Dataset().Search[kind], parameter)
}

// rawIDs says whether the EHR's own ids of a type may leave.
func (j *judge) rawIDs(kind string) bool {
	return j.plan.Method(kind, "id") == transforms.Keep
}

// filter lets a resource through the dataset with the given tokens.
func (j *judge) filter(resource []byte, tokens marks) ([]byte, error) {
	out := &whole{}
	_, err := j.plan.Filter(out, bytes.NewReader(resource), transforms.Options{
		Tokens: tokens, Shift: tokens, Hash: tokens, EHR: []string{j.base}, Base: j.base,
	})
	return out.body, err
}

// marks are tokens, hashes and moved dates.
type marks interface {
	transforms.Tokenizer
	transforms.Shifter
	transforms.Hasher
}

// whole keeps what was released.
type whole struct{ body []byte }

// Release keeps a window.
func (w *whole) Release(window *transforms.Window) error {
	w.body = append(w.body, window.Body...)
	return nil
}

// outside lists the elements of a resource that the dataset does not let leave as they are.
func (j *judge) outside(resource gjson.Result) []string {
	kind := resource.Get("resourceType").Str
	switch {
	case slices.Contains([]string{"OperationOutcome", "CapabilityStatement", "Bundle", "Parameters"}, kind):
		return nil
	case !j.plan.Has(kind):
		return []string{kind}
	}
	out, err := j.filter([]byte(resource.Raw), same{})
	if err != nil {
		return []string{kind} // what the filter refuses may not leave either
	}
	var before, after any
	if json.Unmarshal([]byte(resource.Raw), &before) != nil || json.Unmarshal(out, &after) != nil {
		return []string{kind}
	}
	var paths []string
	missing(before, after, kind, &paths)
	slices.Sort(paths)
	return slices.Compact(paths)
}

// missing lists the paths of what stands in before and not in after.
func missing(before, after any, path string, paths *[]string) {
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok {
			break
		}
		for name, v := range b {
			below := path + "." + name
			switch av, ok := a[name]; {
			case strings.HasSuffix(below, ".meta.tag"): // SUBSETTED
			case ok:
				missing(v, av, below, paths)
			default:
				leaves(v, below, paths)
			}
		}
		return
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			break
		}
		for i := range b {
			missing(b[i], a[i], path, paths)
		}
		return
	default:
		if before == after {
			return
		}
	}
	leaves(before, path, paths)
}

// leaves lists the paths of all values of an element.
func leaves(v any, path string, paths *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			leaves(e, path+"."+name, paths)
		}
	case []any:
		for _, e := range v {
			leaves(e, path, paths)
		}
	default:
		*paths = append(*paths, path)
	}
}
