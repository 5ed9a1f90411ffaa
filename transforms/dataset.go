package transforms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Method says how an element leaves.
type Method uint8

// The methods of a dataset's rows. The zero Method is Remove, which no row can name: what a
// dataset does not name is removed.
const (
	Remove    Method = iota
	Keep             // as it is, without extensions, narrative and display; ids in references become tokens
	Token            // a string as a token, that the same client can send back
	Reference        // a Reference with its id in a token, and nothing else of it but its type
	Mask             // that there is a string: "***"
	Year             // of a date or time, the year
)

var methodNames = [...]string{"remove", "keep", "token", "reference", "mask", "year"}

// String returns the name by which datasets call the method.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return "Method(" + strconv.Itoa(int(m)) + ")"
}

// Rule is what a dataset says of one element.
type Rule struct {
	Method Method
}

// Dataset is the minimum dataset of one purpose. It must not be changed once compiled.
type Dataset struct {
	Name, Title string
	Version     int

	// Resources maps each resource type to its rows: element path (JSON names joined by dots, a
	// choice element by its JSON name: "participant.actor", "valueQuantity") to rule.
	Resources map[string]map[string]Rule

	// Search names, by resource type, the search parameters that are allowed although what they
	// read is hidden; "family+birthdate" are allowed together only.
	Search map[string][]string

	// Write names, by resource type, the elements that a writer may set.
	Write map[string][]string
}

// document is a dataset in JSON.
type document struct {
	Title     string                                `json:"title"`
	Version   int                                   `json:"version"`
	Resources map[string]map[string]json.RawMessage `json:"resources"`
	Search    map[string][]string                   `json:"search"`
	Write     map[string][]string                   `json:"write"`
}

// ParseDataset reads a dataset from JSON:
//
//	{"title": "Appointments", "version": 3,
//	 "resources": {"Patient": {"id": "token", "birthDate": "year"}},
//	 "search": {"Patient": ["identifier", "family+birthdate"]},
//	 "write": {"Appointment": ["status"]}}
//
// It refuses what it does not know, and joins all problems in one error.
func ParseDataset(name string, doc []byte) (*Dataset, error) {
	if err := validate(doc); err != nil {
		return nil, err
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	ds := &Dataset{
		Name: name, Title: d.Title, Version: d.Version,
		Resources: map[string]map[string]Rule{}, Search: d.Search, Write: d.Write,
	}
	var problems []error
	for _, kind := range slices.Sorted(maps.Keys(d.Resources)) {
		rows := map[string]Rule{}
		for _, path := range slices.Sorted(maps.Keys(d.Resources[kind])) {
			method, err := parseMethod(d.Resources[kind][path])
			if err != nil {
				problems = append(problems, fmt.Errorf("%s.%s: %w", kind, path, err))
				continue
			}
			rows[path] = Rule{Method: method}
		}
		ds.Resources[kind] = rows
	}
	problems = append(problems, ds.problems()...)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return ds, nil
}

func parseMethod(raw json.RawMessage) (Method, error) {
	var name string
	if err := json.Unmarshal(raw, &name); err != nil || len(raw) == 0 || raw[0] != '"' {
		return Remove, errors.New("a method must be a string")
	}
	for m := Keep; int(m) < len(methodNames); m++ {
		if methodNames[m] == name {
			return m, nil
		}
	}
	if name == methodNames[Remove] {
		return Remove, errors.New("what is not named is removed; leave the row out")
	}
	return Remove, fmt.Errorf("unknown method %q (want %s)", name, strings.Join(methodNames[Keep:], ", "))
}

// problems returns everything that is wrong with a dataset.
func (ds *Dataset) problems() []error {
	var all []error
	add := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if ds.Version < 0 {
		add("version must not be negative")
	}
	for _, kind := range slices.Sorted(maps.Keys(ds.Resources)) {
		switch {
		case !isType(kind):
			add("%q is not a resource type", kind)
			continue
		case kind == "Bundle" || kind == "OperationOutcome":
			add("%s: its row is built in", kind)
			continue
		}
		rows := ds.Resources[kind]
		for _, path := range slices.Sorted(maps.Keys(rows)) {
			rule := rows[path]
			switch {
			case !isPath(path):
				add("%s: %q is not an element path", kind, path)
			case kind == "Parameters" && !strings.HasPrefix(path, "parameter.value"):
				add("Parameters.%s: its row is built in; a dataset can add rows of parameter.value… only", path)
			case path == "contained" && rule.Method != Keep, strings.HasPrefix(path, "contained."):
				add("%s.%s: contained resources leave by the rows of their types, where contained is kept", kind, path)
			case path == "resourceType":
				add("%s.resourceType: always leaves; leave the row out", kind)
			case rule.Method == Remove || int(rule.Method) >= len(methodNames):
				add("%s.%s: unknown method", kind, path)
			default:
				for above := range prefixes(path) {
					if row, ok := rows[above]; ok && !widens(row, rule, path) {
						add("%s.%s: %s already says how it leaves", kind, path, above)
					}
				}
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(ds.Search)) {
		if _, ok := ds.Resources[kind]; !ok {
			add("search: %q has no row", kind)
		}
		for _, combination := range ds.Search[kind] {
			for name := range strings.SplitSeq(combination, "+") {
				if !isParameter(name) {
					add("search: %s: %q is not a search parameter", kind, combination)
					break
				}
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(ds.Write)) {
		if _, ok := ds.Resources[kind]; !ok {
			add("write: %q has no row", kind)
		}
		for _, path := range ds.Write[kind] {
			if !isPath(path) {
				add("write: %s: %q is not an element path", kind, path)
			}
		}
	}
	return all
}

// widens says whether a row below a kept element adds to it what keeping leaves out.
func widens(above, row Rule, path string) bool {
	if above.Method != Keep || row.Method != Keep {
		return false
	}
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "extension", "modifierExtension", "display", "text":
		return true
	}
	return false
}

// prefixes yields the paths above a path.
func prefixes(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(path) {
			if path[i] == '.' && !yield(path[:i]) {
				return
			}
		}
	}
}

// isType reports whether s can name a resource type: letters, the first in upper case.
func isType[S ~string | ~[]byte](s S) bool {
	if len(s) == 0 || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// isPath reports whether s is names joined by dots, as FHIR's JSON has them.
func isPath(s string) bool {
	depth := 0
	for name := range strings.SplitSeq(s, ".") {
		if depth++; depth > 32 || len(name) == 0 || len(name) > 64 || name[0]|0x20 < 'a' || name[0]|0x20 > 'z' {
			return false
		}
		for i := range len(name) {
			if c := name[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

func isParameter(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}
