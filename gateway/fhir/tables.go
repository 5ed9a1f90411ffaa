package fhir

var stub = map[string]map[string]*SearchParameter{
	"Patient": {
		"_id":       {Name: "_id", Type: Token, Elements: []string{"id"}},
		"birthdate": {Name: "birthdate", Type: Date, Elements: []string{"birthDate"}},
	},
	"Appointment": {
		"patient": {Name: "patient", Type: Reference, Elements: []string{"participant.actor"}, Targets: []string{"Patient"}},
	},
}

// Known reports whether s is an R4 resource type.
func Known(s string) bool { return stub[s] != nil }

// Parameter is the definition of a search parameter for a resource type,
// common parameters such as _id included.
func Parameter(resourceType, name string) (*SearchParameter, bool) {
	p, ok := stub[resourceType][name]
	return p, ok
}

// PatientCompartment maps each type to the paths of the elements that hold a
// reference to the patient in whose compartment the resource is.
func PatientCompartment() map[string][]string {
	return map[string][]string{"Appointment": {"participant.actor"}}
}

// CompartmentParameter is the search parameter that best narrows a type to a
// patient: "_id" for Patient, "patient" where it reads nothing but compartment
// elements, else the first of the compartment's parameters.
func CompartmentParameter(resourceType string) (string, bool) {
	switch resourceType {
	case "Patient":
		return "_id", true
	case "Appointment":
		return "patient", true
	}
	return "", false
}
