package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// datasetsPath is where a bundle keeps its datasets.
var datasetsPath = []string{"halfdoor", "datasets"}

// compilePlans makes a plan of each dataset.
func compilePlans(s *source, o Options, found *problems) map[string]*transforms.Plan {
	var datasets any = s.data
	for _, step := range datasetsPath {
		object, _ := datasets.(map[string]any)
		datasets = object[step]
	}
	byName, _ := datasets.(map[string]any)
	if len(byName) == 0 {
		found.add("", 0, "there is no dataset below data.%s", strings.Join(datasetsPath, "."))
	}
	plans := map[string]*transforms.Plan{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		plan, err := compilePlan(name, byName[name], o)
		if err != nil {
			at := append(slices.Clone(datasetsPath), name)
			for _, err := range flatten(err) {
				file, line := s.locate(at, append(at, element(err)...))
				found.add(file, line, "dataset %s: %s", name, err)
			}
			continue
		}
		plans[name] = plan
	}
	return plans
}

func compilePlan(name string, value any, o Options) (*transforms.Plan, error) {
	doc, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	ds, err := transforms.ParseDataset(name, doc)
	if err != nil {
		return nil, err
	}
	if o.Check != nil {
		if errs := o.Check(ds); len(errs) > 0 {
			return nil, errors.Join(errs...)
		}
	}
	return transforms.Compile(ds, o.Compartment)
}

// labelsPath is where a bundle keeps the security labels that its rules deny.
var labelsPath = []string{"halfdoor", "deny_labels"}

// statedLabels reads them. A bundle that keeps its labels elsewhere states none.
func statedLabels(s *source, found *problems) []transforms.Label {
	root, _ := s.data[labelsPath[0]].(map[string]any)
	value, ok := root[labelsPath[1]]
	if !ok {
		return nil
	}
	doc, err := json.Marshal(value)
	var labels []transforms.Label
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(doc))
		dec.DisallowUnknownFields()
		err = dec.Decode(&labels)
	}
	if err != nil {
		file, line := s.locate(labelsPath, labelsPath)
		found.add(file, line, "data.%s must be a list of {system, code}", strings.Join(labelsPath, "."))
		return nil
	}
	return labels
}

// element is the place within a dataset that an error begins with: "Patient.birthDate: …", "search: …".
func element(err error) []string {
	place, _, ok := strings.Cut(err.Error(), ": ")
	kind, path, isElement := strings.Cut(place, ".")
	switch {
	case !ok:
		return nil
	case isElement:
		return []string{"resources", kind, path}
	case kind == "search" || kind == "candidates" || kind == "write" || kind == "require" || kind == "why":
		return []string{kind}
	}
	return []string{"resources", kind}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
