package demo

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// compartment searches one type within a patient's compartment, or those of _type.
func (c *call) compartment(patient, kind string) error {
	r, err := c.find("Patient", patient)
	if err != nil {
		return err
	}
	inside := func(other *resource) bool { return other.belongsTo(r) }
	path := fmt.Sprintf("Patient/%s/%s", patient, kind)
	if kind == "*" {
		return c.across(inside, path)
	}
	return c.search(kind, inside, path)
}

func (r *resource) belongsTo(patient *resource) bool {
	return r == patient || slices.ContainsFunc(patientCompartment[r.kind], func(name string) bool {
		p, _ := parameter(r.kind, name)
		return r.pointsBy(p, patient.reference())
	})
}

// everything answers Patient/[id]/$everything
// (https://hl7.org/fhir/R4/patient-operation-everything.html): the compartment
// and what it refers to.
func (c *call) everything(id string) error {
	patient, err := c.find("Patient", id)
	if err != nil {
		return err
	}
	q := &query{kind: "Patient", count: maximumCount, total: true, links: url.Values{}}
	for key, values := range c.r.Form {
		if !slices.Contains([]string{"_count", "_offset", "_format", "_pretty"}, key) {
			return &failure{status: http.StatusBadRequest, code: "not-supported", text: fmt.Sprintf("$everything has no parameter %q", key)}
		}
		if err := c.parameter(q, key, values[0]); err != nil {
			return err
		}
		if key == "_count" {
			q.links.Set(key, values[0])
		}
	}
	all := []*resource{patient}
	for _, kind := range c.store.kinds {
		for _, r := range c.store.pointing(patient.reference(), kind) {
			if r != patient && r.belongsTo(patient) {
				all = append(all, r)
			}
		}
	}
	all = append(all, c.referred(all)...)
	return c.page(q, all, "Patient/"+id+"/$everything")
}
