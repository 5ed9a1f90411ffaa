package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// document is the JSON form of [Input], as schemas/input.json has it.
type document struct {
	Version int `json:"version"`
	Caller  struct {
		Subject  string   `json:"subject"`
		Issuer   string   `json:"issuer"`
		Client   string   `json:"client"`
		Roles    []string `json:"roles"`
		FHIRUser string   `json:"fhir_user"`
		Binding  string   `json:"binding"`
	} `json:"caller"`
	Ticket     struct{ ID, Category string } `json:"ticket"`
	Purpose    string                        `json:"purpose"`
	BreakGlass struct{ Reason string }       `json:"break_glass"`
	Request    struct {
		Interaction string   `json:"interaction"`
		Type        string   `json:"type"`
		HasID       bool     `json:"has_id"`
		Parameters  []string `json:"parameters"`
		Includes    []string `json:"includes"`
		Operation   string   `json:"operation"`
		Entries     int      `json:"entries"`
	} `json:"request"`
	Context struct {
		Patient   string `json:"patient"`
		Encounter string `json:"encounter"`
		EHR       string `json:"ehr"`
		Tenant    string `json:"tenant"`
	} `json:"context"`
	Network struct{ Source string } `json:"network"`
	Time    struct {
		Weekday string `json:"weekday"`
		Hour    int    `json:"hour"`
	} `json:"time"`
}

// ParseInput reads an input from its JSON form. What is left out is not known; a name that the form does not have is an error.
func ParseInput(doc []byte) (*Input, error) {
	var d document
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the input")
	}
	return &Input{
		Version:    d.Version,
		Caller:     Caller(d.Caller),
		Ticket:     Ticket(d.Ticket),
		Purpose:    d.Purpose,
		BreakGlass: BreakGlass(d.BreakGlass),
		Request:    Request(d.Request),
		Context:    Context(d.Context),
		Network:    Network(d.Network),
		Time:       Time(d.Time),
	}, nil
}
