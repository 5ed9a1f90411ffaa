package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
)

// Policies compiles a bundle's folder; the empty name is the default bundle.
func Policies(folder string) (*policies.Engine, error) {
	bundle := policies.Default()
	if folder != "" {
		bundle = fs.FS(os.DirFS(folder))
	}
	engine, err := policies.Load(policies.Options{Bundle: bundle, Compartment: fhir.PatientCompartment()})
	if err != nil {
		return nil, err
	}
	if err := namedSearches(engine); err != nil {
		return nil, err
	}
	return engine, nil
}

// namedSearches holds the search of each dataset to parameters that FHIR R4 has: one that is
// misspelt would only ever be missed by the desk that needs it.
func namedSearches(engine *policies.Engine) error {
	var errs []error
	for _, name := range engine.Datasets() {
		plan, _ := engine.Plan(name)
		search := plan.Dataset().Search
		for _, kind := range sortedKeys(search) {
			for _, combination := range search[kind] {
				for _, parameter := range splitCombination(combination) {
					switch canonical, ok := fhir.CanonicalName(kind, parameter); {
					case !ok:
						errs = append(errs, fmt.Errorf("dataset %s: search: %s has no parameter %q", name, kind, parameter))
					case canonical != parameter: // requests are compared with it as it is
						errs = append(errs, fmt.Errorf("dataset %s: search: %s: write %q as %q", name, kind, parameter, canonical))
					}
				}
			}
		}
	}
	return errors.Join(errs...)
}
