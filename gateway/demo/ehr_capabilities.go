package demo

import (
	"net/http"
	"slices"
)

// capabilities answers https://hl7.org/fhir/R4/http.html#capabilities.
func (c *call) capabilities() error {
	var resources array
	for _, kind := range c.store.kinds {
		var names []string
		for name := range parameters[kind] {
			names = append(names, name)
		}
		for name := range commonParameters {
			names = append(names, name)
		}
		slices.Sort(names)
		var search array
		for _, name := range names {
			p, _ := parameter(kind, name)
			search = append(search, obj("name", name, "type", string(p.kind)))
		}
		resources = append(resources, obj("type", kind,
			"interaction", interactions("read", "vread", "update", "delete", "history-instance", "history-type", "create", "search-type"),
			"versioning", "versioned-update", "readHistory", true, "updateCreate", true, "conditionalCreate", true, "searchInclude", array{"*"}, "searchRevInclude", array{"*"}, "searchParam", search))
	}
	body := obj("resourceType", "CapabilityStatement", "status", "active", "date", date(Reference()), "kind", "instance",
		"software", obj("name", "Spoonford Sandbox EHR", "version", "4.7.1-build.93"),
		"implementation", obj("description", "Sandbox with invented patients", "url", c.base),
		"fhirVersion", "4.0.1", "format", array{"application/fhir+json", "json"},
		"rest", array{obj("mode", "server", "resource", resources, "interaction", interactions("transaction", "batch", "history-system"),
			"operation", array{obj("name", "everything", "definition", "http://hl7.org/fhir/OperationDefinition/Patient-everything"),
				obj("name", "match", "definition", "http://hl7.org/fhir/OperationDefinition/Patient-match")})})
	c.write(http.StatusOK, appendValue(nil, body))
	return nil
}

func interactions(codes ...string) array {
	var all array
	for _, code := range codes {
		all = append(all, obj("code", code))
	}
	return all
}
