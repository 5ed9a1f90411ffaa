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
	Month            // of a date or time, the year and the month; what is no more than a year leaves as the year
	Shift            // a date or time, moved by as many days as all dates of the same patient
	Hash             // a string as a hash, which tells only whether two are the same
	Fixed            // that there is a value: the one that the row gives
)

var methodNames = [...]string{"remove", "keep", "token", "reference", "mask", "year", "month", "shift", "hash", "fixed"}

// String returns the name by which datasets call the method.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return "Method(" + strconv.Itoa(int(m)) + ")"
}

// MaxCandidates is the largest number that a dataset's candidates may give.
const MaxCandidates = 100

// Rule is what a dataset says of one element.
type Rule struct {
	Method Method
	Value  string // of Fixed, as JSON
}

// Dataset is the minimum dataset of one purpose. It must not be changed once compiled.
type Dataset struct {
	Name, Title string
	Version     int

	// Resources maps each resource type to its rows: element path (JSON names joined by dots, a
	// choice element by its JSON name: "participant.actor", "valueQuantity") to rule. A name may
	// have conditions ("telecom[system=phone,use=work].value"), which a row with fewer gives way
	// to; the last may be "*", which keeps everything below that no other row names.
	// A row contained: keep lets contained resources leave by the rows of their own types; rows of
	// Parameters can only add values ("parameter.valueString"), which are those of parts too.
	Resources map[string]map[string]Rule

	// Search names, by resource type, the search parameters that are allowed although what they
	// read is hidden; "family+birthdate" are allowed together only. A chain has its whole name.
	Search map[string][]string

	// Candidates bounds, by resource type, how many resources may be found by what Search names. The
	// filter does not look at it.
	Candidates map[string]int

	// Write names, by resource type, the elements that a client may set in a new resource, and change or
	// remove in one that is there, by their paths without conditions: "status", "participant.status".
	// Each must be an element that leaves as it is: by a row keep, token or reference of its own, or
	// below a kept element. What is masked, moved, generalised, hashed or fixed is never written back.
	// See [Plan.Merge].
	Write map[string][]string

	// Require names, by resource type, the elements of the resource itself ("status") that the purpose
	// relies on. It lets nothing leave; a resource without one is counted in [Report.Missing].
	Require map[string][]string

	// Why says, by resource type (or "*", which is for all of them) and element, in one sentence each why the purpose needs the
	// element and what is below it: "birthDate", or a row's whole path with its conditions. Nothing leaves by it; see [Dataset.Reason].
	Why map[string]map[string]string
}

// document is a dataset in JSON.
type document struct {
	Title      string                                `json:"title"`
	Version    int                                   `json:"version"`
	Resources  map[string]map[string]json.RawMessage `json:"resources"`
	Search     map[string][]string                   `json:"search"`
	Candidates map[string]int                        `json:"candidates"`
	Write      map[string][]string                   `json:"write"`
	Require    map[string][]string                   `json:"require"`
	Why        map[string]map[string]string          `json:"why"`
}

// ParseDataset reads a dataset from JSON:
//
//	{"title": "Appointments", "version": 3,
//	 "resources": {"Patient": {"id": "token", "birthDate": "year", "gender": {"fixed": "unknown"}}},
//	 "search": {"Patient": ["identifier", "family+birthdate"]},
//	 "candidates": {"Patient": 5},
//	 "write": {"Appointment": ["status"]},
//	 "require": {"Patient": ["id", "birthDate"]},
//	 "why": {"Patient": {"birthDate": "Tells people of one name apart."}}}
//
// It refuses what it does not know, and joins all problems in one error.
func ParseDataset(name string, doc []byte) (*Dataset, error) {
	if err := validate(doc, '{'); err != nil {
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
		Resources: map[string]map[string]Rule{}, Search: d.Search, Candidates: d.Candidates, Write: d.Write, Require: d.Require, Why: d.Why,
	}
	var problems []error
	for _, kind := range slices.Sorted(maps.Keys(d.Resources)) {
		rows := map[string]Rule{}
		for _, path := range slices.Sorted(maps.Keys(d.Resources[kind])) {
			rule, err := parseRule(d.Resources[kind][path])
			if err != nil {
				problems = append(problems, fmt.Errorf("%s.%s: %w", kind, path, err))
				continue
			}
			rows[path] = rule
		}
		ds.Resources[kind] = rows
	}
	problems = append(problems, ds.problems()...)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return ds, nil
}

func parseRule(raw json.RawMessage) (Rule, error) {
	if len(raw) > 0 && raw[0] == '{' {
		var fixed map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fixed); err != nil || len(fixed) != 1 || fixed["fixed"] == nil {
			return Rule{}, errors.New("a method must be a string, or {fixed: VALUE}")
		}
		value := fixed["fixed"]
		if value[0] == '"' {
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return Rule{}, errors.New("a fixed value must be a string, a number, true or false")
			}
			value = appendQuoted(nil, text)
		}
		return Rule{Fixed, string(value)}, nil
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil || len(raw) == 0 || raw[0] != '"' {
		return Rule{}, errors.New("a method must be a string, or {fixed: VALUE}")
	}
	if name == methodNames[Fixed] {
		return Rule{}, errors.New("fixed needs its value: {fixed: VALUE}")
	}
	for m := range methodNames {
		if methodNames[m] == name {
			return Rule{Method: Method(m)}, nil
		}
	}
	text := fmt.Sprintf("unknown method %q (want %s or {fixed: VALUE})", name, strings.Join(methodNames[Keep:Fixed], ", "))
	if near := nearest(name); near != "" {
		text += ": " + near + "?"
	}
	return Rule{}, errors.New(text)
}

// nearest returns the method whose name a misspelt one is near, or nothing.
func nearest(name string) string {
	best, at := "", 3 // edits are too many
	for _, m := range methodNames[Keep:] {
		if strings.HasPrefix(name, m) || len(name) > 1 && strings.HasPrefix(m, name) {
			return m
		}
		if d := edits(name, m); d < at {
			best, at = m, d
		}
	}
	return best
}

// edits counts the characters by which a and b differ.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// isScalar reports whether s is a string, a number, true or false in JSON.
func isScalar(s string) bool {
	return json.Valid([]byte(s)) && strings.TrimSpace(s) == s && strings.IndexByte("{[n", s[0]) < 0
}

// problems returns everything that is wrong with a dataset.
func (ds *Dataset) problems() []error {
	var all []error
	add := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if ds.Version < 0 {
		add("version must not be negative")
	}
	sound := true // the rows
	for _, kind := range slices.Sorted(maps.Keys(ds.Resources)) {
		switch {
		case !isType(kind):
			add("%q is not a resource type", kind)
			continue
		case kind == "Bundle" || kind == "OperationOutcome":
			add("%s: its row is built in", kind)
			continue
		}
		_, problems := build(kind, ds.Resources[kind], nil)
		sound = sound && problems == nil
		for _, p := range problems {
			all = append(all, errors.New(p))
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
	for _, kind := range slices.Sorted(maps.Keys(ds.Candidates)) {
		if _, ok := ds.Resources[kind]; !ok {
			add("candidates: %q has no row", kind)
		}
		if n := ds.Candidates[kind]; n < 1 || n > MaxCandidates {
			add("candidates: %s: %d is not from 1 to %d", kind, n, MaxCandidates)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(ds.Write)) {
		switch _, ok := ds.Resources[kind]; {
		case !ok:
			add("write: %q has no row", kind)
		case kind == "Parameters":
			add("write: Parameters are no resource that is kept")
		case sound: // else their problems come first
			_, problems := ds.writables(kind)
			for _, p := range problems {
				all = append(all, errors.New(p))
			}
		}
	}
	return append(append(all, ds.unmet()...), ds.unreasonable()...)
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

// isParameter reports whether s can name a search parameter, or a chain of them: "birthdate",
// "actor:Patient.identifier", "_has:Appointment:actor:date".
func isParameter(s string) bool {
	joint := true
	for i := range len(s) {
		c := s[i]
		switch {
		case (c == '.' || c == ':') && !joint:
			joint = true
		case (c|0x20 >= 'a' && c|0x20 <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_':
			joint = false
		default:
			return false
		}
	}
	return !joint
}
