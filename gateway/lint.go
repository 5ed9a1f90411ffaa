package gateway

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// Lint says what the author of a bundle should look at, by what FHIR R4 has.
func Lint(bundle fs.FS) []policies.Finding {
	return policies.Lint(policyOptions(bundle), definitions())
}

// policyOptions are those by which every bundle is loaded.
func policyOptions(bundle fs.FS) policies.Options {
	return policies.Options{Bundle: bundle, Compartment: fhir.PatientCompartment(), Check: checkDataset}
}

// definitions are what package policies is told of R4.
func definitions() policies.Definitions {
	return policies.Definitions{
		Type: func(kind, path string) (string, bool) {
			e, ok := fhir.ElementAt(kind, path)
			return e.Type, ok
		},
		Below: func(kind, path string) (names []string) {
			for _, e := range fhir.ElementsOf(kind, path) {
				names = append(names, e.Name)
			}
			return names
		},
		Reads: func(kind, parameter string) []string {
			p, ok := fhir.Parameter(kind, parameter)
			if !ok {
				return nil
			}
			return p.Elements
		},
		Has: func(field, value string) bool {
			switch field {
			case "input.request.type":
				return fhir.Known(value)
			case "input.request.interaction":
				return slices.Contains(fhir.Interactions(), fhir.Interaction(value))
			}
			return true
		},
	}
}

// Fates tells what becomes of each element of a resource type under a dataset.
func Fates(ds *transforms.Dataset, kind string) []policies.Fate {
	return policies.Fates(ds, kind, definitions())
}

// Compare says what another bundle does otherwise.
func Compare(ctx context.Context, before, after fs.FS) ([]policies.Change, error) {
	return policies.Compare(ctx, policyOptions(before), policyOptions(after))
}

// ImportAnonymizer makes a dataset of a rule file of Microsoft's Tools for Health Data Anonymization, as YAML. It is one that
// would load.
func ImportAnonymizer(doc []byte, types []string, title string) ([]byte, error) {
	imported, err := policies.ImportAnonymizer(doc, types, definitions())
	if err != nil {
		return nil, err
	}
	ds := &transforms.Dataset{Name: title, Title: title, Version: 1, Resources: imported.Rows}
	if _, err := transforms.Compile(ds, fhir.PatientCompartment()); err != nil {
		return nil, err
	}
	return imported.YAML(title), errors.Join(checkDataset(ds)...)
}
