package fhir

import (
	"encoding/json"
	"strconv"
)

// Match is the input of Patient/$match (patient-operation-match.html).
type Match struct {
	Patient     []byte // the partial Patient to look for, as it was sent
	OnlyCertain bool   // onlyCertainMatches
	Count       int    // how many are wanted at most; 0 where it was not said
}

// ParseMatch reads the Parameters of a $match from [Request.Input]: resource, a
// Patient, once; onlyCertainMatches and count at most once; and nothing else, as
// what is not understood may have been meant to hold the answer back. Every
// refusal is an *[Error], whose Param is the parameter at fault where there is
// one.
func ParseMatch(input []byte) (Match, error) {
	var m Match
	members, ok := object(input)
	parameters, listed := list(members["parameter"])
	if !ok || resourceType(members) != "Parameters" || !only(members, "resourceType", "id", "meta", "parameter") ||
		!listed && members["parameter"] != nil {
		return Match{}, &Error{Kind: MalformedBody, Type: "Patient"}
	}
	seen := map[string]bool{}
	for _, raw := range parameters {
		one, ok := object(raw)
		name, named := text(one["name"])
		if !ok || !named || seen[name] || len(one) != 2 {
			return Match{}, &Error{Kind: MalformedBody, Type: "Patient"}
		}
		seen[name] = true
		known, ok := m.take(name, one)
		if !known {
			return Match{}, &Error{Kind: MalformedBody, Type: "Patient"}
		}
		if !ok {
			return Match{}, &Error{Kind: MalformedBody, Type: "Patient", Param: name}
		}
	}
	if m.Patient == nil {
		return Match{}, &Error{Kind: MissingParameter, Type: "Patient", Param: "resource"}
	}
	return m, nil
}

// take reads one parameter; it reports whether its name is known, and its value
// well formed.
func (m *Match) take(name string, parameter map[string]json.RawMessage) (known, ok bool) {
	switch name {
	case "resource":
		m.Patient = parameter["resource"]
		patient, ok := object(m.Patient)
		return true, ok && resourceType(patient) == "Patient"
	case "onlyCertainMatches":
		value := string(parameter["valueBoolean"])
		m.OnlyCertain = value == "true"
		return true, value == "true" || value == "false"
	case "count":
		n, err := strconv.ParseInt(string(parameter["valueInteger"]), 10, 32)
		m.Count = int(n)
		return true, err == nil && n > 0
	}
	return false, false
}
