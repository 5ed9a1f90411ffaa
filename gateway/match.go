package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// Patient/$match (FHIR R4, patient-operation-match.html) finds who is meant by what is known of
// them. It is admitted as the search by the same facts: each element of the Patient that is sent
// stands for the search parameter that reads it, so that one table of combinations, the dataset's
// search, says what may be asked about, and policies and records see the parameters' names. What
// stands for no parameter is refused, because the EHR might read it. The EHR is sent a Patient made
// anew of what was admitted; its answer is a search's: filtered, with the scores and grades of the
// matches, and no more of them than the dataset's candidates allow (candidates.go).

// facts are the elements of a Patient that may be sent, and the parameters that they stand for.
// Those without one say only how another is meant, and do not go on to the EHR, but for an
// identifier's system, which is part of its parameter, and a contact's, which picks it.
var facts = map[string]string{
	"resourceType":      "",
	"identifier.system": "", "identifier.value": "identifier", "identifier.use": "",
	"name.family": "family", "name.given": "given", "name.use": "",
	"birthDate": "birthdate", "gender": "gender",
	"telecom.system": "", "telecom.value": "telecom", "telecom.use": "",
	"address.city": "address-city", "address.state": "address-state", "address.postalCode": "address-postalcode",
	"address.country": "address-country", "address.use": "",
}

// matches says whether a request is the one operation that is offered.
func matches(req *fhir.Request) bool {
	return req.Interaction == fhir.Operation && req.Operation == "match" && req.Type == "Patient" && req.ID == ""
}

// lookup puts the search that a $match stands for into its request.
func (c *call) lookup(req *fhir.Request) (*fhir.Request, error) {
	if !matches(req) {
		return req, nil
	}
	if len(req.Params) > 0 {
		return nil, refusal("malformed-parameter").naming(req.Params[0].Name) // the input is the body
	}
	m, err := fhir.ParseMatch(req.Input)
	if err != nil {
		return nil, err
	}
	query, err := factsOf(gjson.ParseBytes(m.Patient))
	if err != nil {
		return nil, err
	}
	search, err := fhir.Parse(fhir.Message{Method: http.MethodGet, Path: "/Patient", Query: query}, c.gen.limits)
	if err != nil {
		return nil, err
	}
	match := *req
	match.Params = search.Params
	c.asks(&match, nil)
	return &match, nil
}

// factsOf is a Patient as the query of the search that it stands for.
func factsOf(patient gjson.Result) (string, error) {
	var query []string
	add := func(name, value string) {
		query = append(query, name+"="+url.QueryEscape(value))
	}
	var walk func(path string, v, of gjson.Result) error
	walk = func(path string, v, of gjson.Result) (err error) {
		if v.IsObject() && path != "" {
			of = v
		}
		if v.IsObject() || v.IsArray() {
			if v.IsArray() && len(v.Array()) > 1 && (path == "name" || path == "address") {
				return refusal("match-fact").naming("more than one " + path) // who has which part would be lost
			}
			v.ForEach(func(key, value gjson.Result) bool {
				below := path
				if v.IsObject() {
					below = strings.TrimPrefix(path+"."+key.Str, ".")
				}
				err = walk(below, value, of)
				return err == nil
			})
			return err
		}
		name, known := facts[path]
		switch {
		case !known || v.Type != gjson.String || v.Str == "":
			return refusal("match-fact").naming(fhirPath(path))
		case name == "identifier":
			value := fhir.Escape(v.Str)
			if system := of.Get("system"); system.Exists() {
				value = fhir.Escape(system.Str) + "|" + value
			}
			add(name, value)
		case name == "telecom":
			system := of.Get("system").Str
			if system != "phone" && system != "email" {
				return refusal("match-fact").naming("telecom that is neither phone nor email")
			}
			add(system, fhir.Escape(v.Str))
		case name != "":
			add(name, fhir.Escape(v.Str))
		}
		return nil
	}
	if err := walk("", patient, patient); err != nil {
		return "", err
	}
	if len(query) == 0 {
		return "", refusal("match-fact").naming("a Patient of whom nothing is said")
	}
	return strings.Join(query, "&"), nil
}

// fhirPath is a path as a sentence may name it: of names that the client invented, as little as
// a sentence can hold.
func fhirPath(path string) string {
	if len(path) > 64 || strings.Trim(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._") != "" {
		return "an element of another name"
	}
	return path
}

// uncounted is how many a $match may find where the dataset does not say.
const uncounted = 10

// match turns an admitted search into the $match that stands behind it.
func (q *query) match() error {
	m, err := fhir.ParseMatch(q.admission.req.Input)
	if err != nil {
		return err
	}
	most := q.admission.dec.Plan.Dataset().Candidates["Patient"]
	if most == 0 {
		most = uncounted
	}
	if m.Count > 0 {
		most = min(most, m.Count)
	}
	ask := q.bound(map[string]int{"Patient": most})
	parameters := []parameter{
		{Name: "resource", Resource: partial(q.criteria)},
		{Name: "count", Integer: ask},
	}
	if m.OnlyCertain {
		parameters = append(parameters, parameter{Name: "onlyCertainMatches", Boolean: true})
	}
	q.candidates.matched = true
	q.path, q.raw = "Patient/$match", ""
	q.body, err = json.Marshal(struct {
		ResourceType string      `json:"resourceType"`
		Parameter    []parameter `json:"parameter"`
	}{"Parameters", parameters})
	return err
}

type parameter struct {
	Name     string          `json:"name"`
	Resource *partialPatient `json:"resource,omitempty"`
	Boolean  bool            `json:"valueBoolean,omitempty"`
	Integer  int             `json:"valueInteger,omitempty"`
}

// partialPatient has what facts name.
type partialPatient struct {
	ResourceType string         `json:"resourceType"`
	Identifier   []coded        `json:"identifier,omitempty"`
	Name         []humanName    `json:"name,omitempty"`
	Telecom      []coded        `json:"telecom,omitempty"`
	Gender       string         `json:"gender,omitempty"`
	BirthDate    string         `json:"birthDate,omitempty"`
	Address      []postalFields `json:"address,omitempty"`
}

type coded struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value"`
}

type humanName struct {
	Family string   `json:"family,omitempty"`
	Given  []string `json:"given,omitempty"`
}

type postalFields struct {
	City       string `json:"city,omitempty"`
	State      string `json:"state,omitempty"`
	PostalCode string `json:"postalCode,omitempty"`
	Country    string `json:"country,omitempty"`
}

// partial is the Patient of the admitted criteria, whose tokens are open.
func partial(criteria []fhir.Param) *partialPatient {
	p := &partialPatient{ResourceType: "Patient"}
	var name humanName
	var address postalFields
	for _, c := range criteria {
		if len(c.Values) != 1 {
			continue // what holds the search to a patient is no fact; the answer is held to them
		}
		v := c.Values[0]
		text := fhir.Unescape(v)
		switch c.Name {
		case "identifier":
			parts := fhir.Split(v, '|')
			id := coded{Value: fhir.Unescape(parts[len(parts)-1])}
			if len(parts) > 1 {
				id.System = fhir.Unescape(parts[0])
			}
			p.Identifier = append(p.Identifier, id)
		case "phone", "email":
			p.Telecom = append(p.Telecom, coded{c.Name, text})
		case "family":
			name.Family = text
		case "given":
			name.Given = append(name.Given, text)
		case "birthdate":
			p.BirthDate = text
		case "gender":
			p.Gender = text
		case "address-city":
			address.City = text
		case "address-state":
			address.State = text
		case "address-postalcode":
			address.PostalCode = text
		case "address-country":
			address.Country = text
		}
	}
	if name.Family != "" || len(name.Given) > 0 {
		p.Name = []humanName{name}
	}
	if address != (postalFields{}) {
		p.Address = []postalFields{address}
	}
	return p
}
