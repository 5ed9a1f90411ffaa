package transforms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// desk is a dataset of which some can be written: by each method that can be, whole and in part, in lists and not.
const desk = `{"title": "Desk", "version": 1, "resources": {
	"Appointment": {"id": "token", "meta.versionId": "keep", "status": "keep", "start": "keep", "comment": "keep", "description": "keep",
		"minutesDuration": "keep", "reasonCode": "keep", "serviceType.coding.system": "keep", "serviceType.coding.code": "keep",
		"slot": "reference", "basedOn": "reference", "identifier.system": "keep", "identifier.value": "token",
		"participant.actor": "reference", "participant.status": "keep", "participant.required": "keep", "requestedPeriod": "keep",
		"created": "year", "supportingInformation": "keep", "cancelationReason.text": "keep"},
	"Task": {"id": "token", "status": "keep", "for": "reference", "owner": "reference", "restriction.period": "keep", "restriction.recipient": "reference",
		"note": "keep", "note.text.extension": "keep", "focus.reference": "keep", "executionPeriod": "keep", "executionPeriod.extension": "keep", "authoredOn": "shift"},
	"Patient": {"id": "token", "active": "keep"}
}, "write": {
	"Appointment": ["status", "comment", "minutesDuration", "reasonCode", "slot", "identifier.value", "participant.actor", "participant.status",
		"requestedPeriod", "cancelationReason.text", "supportingInformation"],
	"Task": ["status", "for", "owner", "restriction.period", "note", "focus.reference", "executionPeriod"]
}}`

// opens reads back the tokens that tokens makes, and nothing else.
type opens struct{}

var errForeign = errors.New("CANARY: no token of this client")

func (opens) Open(kind, text string) (string, error) {
	at := token.FindStringSubmatchIndex(text)
	if at == nil || at[0] != 0 || at[1] != len(text) {
		return "", errForeign
	}
	if k, value := openToken(token.FindSubmatch([]byte(text))); k == kind {
		return value, nil
	}
	return "", errForeign
}

func writing() transforms.WriteOptions {
	return transforms.WriteOptions{Options: options(), Open: opens{}}
}

// sealed is the token of an id or a value.
func sealed(kind, value string) string {
	out, _ := tokens{}.AppendToken(nil, kind, []byte(value))
	return string(out)
}

// write is one case of a write.
type write struct {
	name     string
	kind     string
	is, sent string // as members of the resource
	want     string // of the outcome, to the letter
	err      error
	path     string
	change   func(*transforms.WriteOptions)
}

func (c write) run(t *testing.T, do func(o transforms.WriteOptions) ([]byte, error)) {
	t.Helper()
	o := writing()
	if c.change != nil {
		c.change(&o)
	}
	got, err := do(o)
	if !errors.Is(err, c.err) {
		t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		return
	}
	var e *transforms.WriteError
	switch {
	case c.err == nil && string(got) != members(c.kind, c.want):
		t.Errorf("%s:\n got %s\nwant %s", c.name, got, members(c.kind, c.want))
	case c.err != nil && (got != nil || !errors.As(err, &e) || e.Path != c.path):
		t.Errorf("%s: %s, error %v, want the path %s", c.name, got, err, c.path)
	case c.err != nil && strings.Contains(err.Error(), "CANARY"):
		t.Errorf("%s: the error tells content: %v", c.name, err)
	}
}

func members(kind, members string) string {
	if members == "" {
		return `{"resourceType":"` + kind + `"}`
	}
	return `{"resourceType":"` + kind + `",` + members + `}`
}

var (
	ap1, ap2 = "Patient/" + sealed("Patient", "p1"), "Patient/" + sealed("Patient", "p2")
	apr      = "Practitioner/" + sealed("Practitioner", "dr")
)

// TestMerge is a table of updates of an Appointment, to the letter.
func TestMerge(t *testing.T) {
	f := load(t, "desk", desk)
	const hidden = `,"description":"a CANARY","priority":5,"text":{"div":"<p>CANARY</p>"},"extension":[{"url":"CANARY"}]`
	for _, c := range []write{
		{name: "nothing", is: `"id":"a1","status":"booked"` + hidden, sent: `"status":"booked"`, want: `"id":"a1","status":"booked"` + hidden},
		{name: "changed", is: `"id":"a1","status":"booked"` + hidden, sent: `"status":"cancelled"`, want: `"id":"a1","status":"cancelled"` + hidden},
		{name: "its own place", is: `"x":1,"status":"booked","y":2`, sent: `"status":"cancelled"`, want: `"x":1,"status":"cancelled","y":2`},
		{name: "added", is: `"id":"a1"` + hidden, sent: `"comment":"call back"`, want: `"id":"a1"` + hidden + `,"comment":"call back"`},
		{name: "removed", is: `"comment":"call back","id":"a1"`, sent: ``, want: `"id":"a1"`},
		{name: "a copy sent back", is: `"id":"a1","meta":{"versionId":"3"},"start":"2026-01-01"` + hidden,
			sent: `"id":"` + sealed("Appointment", "a1") + `","meta":{"versionId":"2","lastUpdated":"2026-01-01T00:00:00Z",` + strings.TrimPrefix(tag, `"meta":{`) + `,"start":"2026-01-01","description":"a CANARY","comment":"x"`,
			want: `"id":"a1","meta":{"versionId":"3"},"start":"2026-01-01"` + hidden + `,"comment":"x"`},
		{name: "digits", is: `"minutesDuration":1.50,"priority":1e2`, sent: `"minutesDuration":15.00`, want: `"minutesDuration":15.00,"priority":1e2`},
		{name: "digits sent back", is: `"minutesDuration":1.50,"priority":1e2`, sent: `"minutesDuration":1.50`, want: `"minutesDuration":1.50,"priority":1e2`},
		{name: "escapes sent back", is: `"comment":"\u00e9\/"`, sent: `"comment":"é/"`, want: `"comment":"\u00e9\/"`},

		{name: "not writable", is: `"start":"2026-01-01"`, sent: `"start":"2026-01-02"`, err: transforms.ErrNotWritable, path: "start"},
		{name: "not writable, left out", is: `"start":"2026-01-01"`, sent: ``, want: `"start":"2026-01-01"`},
		{name: "not writable, new", is: ``, sent: `"start":"CANARY"`, err: transforms.ErrNotWritable, path: "start"},
		{name: "hidden, guessed", is: `"priority":5`, sent: `"priority":5`, err: transforms.ErrNotWritable, path: "priority"},
		{name: "no element", is: ``, sent: `"CANARY é":5`, err: transforms.ErrNotWritable, path: "?"},
		{name: "generalised, as it is seen", is: `"created":"2026-01-01"`, sent: `"created":"2026"`, want: `"created":"2026-01-01"`},
		{name: "generalised, as it is", is: `"created":"2026-01-01"`, sent: `"created":"2026-01-01"`, err: transforms.ErrNotWritable, path: "created"},
		{name: "meta", is: `"meta":{"versionId":"1"}`, sent: `"meta":{"profile":["CANARY"]}`, err: transforms.ErrNotWritable, path: "meta.profile"},
		{name: "meta, a label", is: ``, sent: `"meta":{"security":[{"code":"R"}]}`, err: transforms.ErrNotWritable, path: "meta.security"},
		{name: "meta, another tag", is: `"meta":{"versionId":"1"}`, sent: `"meta":{"tag":[{"code":"CANARY"}]}`, err: transforms.ErrNotWritable, path: "meta.tag[0].system"},
		{name: "a narrative", is: `"text":{"div":"a"}`, sent: `"text":{"div":"a"}`, err: transforms.ErrNotWritable, path: "text"},
		{name: "an extension", is: ``, sent: `"modifierExtension":[{"url":"x","valueBoolean":true}]`, err: transforms.ErrNotWritable, path: "modifierExtension"},
		{name: "contained", is: ``, sent: `"contained":[{"resourceType":"Patient"}]`, err: transforms.ErrNotWritable, path: "contained"},
		{name: "a sibling", is: ``, sent: `"_start":{"extension":[]}`, err: transforms.ErrNotWritable, path: "start"},
		{name: "null", is: `"comment":"x"`, sent: `"comment":null`, err: transforms.ErrNotWritable, path: "comment"},
		{name: "empty", is: ``, sent: `"requestedPeriod":[{}]`, err: transforms.ErrNotWritable, path: "requestedPeriod"},

		{name: "sibling seen", is: `"comment":"x","_comment":{"id":"c"}`, sent: `"comment":"y","_comment":{"id":"c"}`, want: `"comment":"y","_comment":{"id":"c"}`},
		{name: "sibling seen, removed", is: `"comment":"x","_comment":{"id":"c"}`, sent: `"comment":"x"`, want: `"comment":"x"`},
		{name: "sibling hidden", is: `"comment":"x","_comment":{"extension":[{"url":"CANARY"}]}`, sent: `"comment":"y"`, want: `"comment":"y","_comment":{"extension":[{"url":"CANARY"}]}`},
		{name: "sibling hidden, removed", is: `"comment":"x","_comment":{"extension":[{"url":"CANARY"}]}`, sent: ``, want: `"_comment":{"extension":[{"url":"CANARY"}]}`},
		{name: "sibling hidden, as it is seen", is: `"comment":"x","_comment":{"extension":[{"url":"CANARY"}]}`, sent: `"comment":"x"`, want: `"comment":"x","_comment":{"extension":[{"url":"CANARY"}]}`},
		{name: "extension smuggled", is: `"comment":"x"`, sent: `"comment":"x","_comment":{"extension":[{"url":"y"}]}`, err: transforms.ErrNotWritable, path: "comment"},

		{name: "codes", is: `"reasonCode":[{"coding":[{"system":"s","code":"a","display":"A"}]}]`, sent: `"reasonCode":[{"coding":[{"system":"s","code":"b"}]}]`,
			want: `"reasonCode":[{"coding":[{"system":"s","code":"b"}]}]`},
		{name: "codes, one more", is: `"reasonCode":[{"coding":[{"code":"a","display":"A"}],"extension":[{"url":"CANARY"}]}]`, sent: `"reasonCode":[{"text":"new"},{"coding":[{"code":"a"}]}]`,
			want: `"reasonCode":[{"text":"new"},{"coding":[{"code":"a","display":"A"}],"extension":[{"url":"CANARY"}]}]`},
		{name: "codes, one less", is: `"reasonCode":[{"text":"x"},{"coding":[{"code":"a","display":"A"}]},{"text":"y"}]`, sent: `"reasonCode":[{"text":"y"},{"coding":[{"code":"a"}]}]`,
			want: `"reasonCode":[{"text":"y"},{"coding":[{"code":"a","display":"A"}]}]`},
		{name: "codes, one less with something hidden", is: `"reasonCode":[{"text":"x","extension":[{"url":"CANARY"}]},{"text":"y"}]`, sent: `"reasonCode":[{"text":"y"}]`, want: `"reasonCode":[{"extension":[{"url":"CANARY"}]},{"text":"y"}]`},
		{name: "codes, one hidden", is: `"reasonCode":[{"extension":[{"url":"CANARY"}]},{"text":"y"}]`, sent: `"reasonCode":[{"text":"z"}]`, want: `"reasonCode":[{"extension":[{"url":"CANARY"}]},{"text":"z"}]`},
		{name: "codes, all but what is hidden removed", is: `"reasonCode":[{"text":"x"},{"extension":[{"url":"CANARY"}]},{"text":"y","extension":[{"url":"CANARY 2"}]},{"text":"z"}]`, sent: ``,
			want: `"reasonCode":[{"extension":[{"url":"CANARY"}]},{"extension":[{"url":"CANARY 2"}]}]`},
		{name: "codes, in another order and one more", is: `"reasonCode":[{"extension":[{"url":"CANARY"}]},{"text":"x","extension":[{"url":"CANARY 2"}]},{"extension":[{"url":"CANARY 3"}]},{"text":"y"}]`, sent: `"reasonCode":[{"text":"y"},{"text":"x"},{"text":"z"}]`,
			want: `"reasonCode":[{"extension":[{"url":"CANARY"}]},{"text":"y"},{"text":"x","extension":[{"url":"CANARY 2"}]},{"extension":[{"url":"CANARY 3"}]},{"text":"z"}]`},
		{name: "reference that does not change", is: `"supportingInformation":[{"reference":"Observation/o1","display":"D","identifier":{"value":"i"},"extension":[{"url":"CANARY"}]}]`, sent: `"supportingInformation":[{"reference":"Observation/` + sealed("Observation", "o1") + `","identifier":{"value":"i"},"type":"Observation"}]`,
			want: `"supportingInformation":[{"reference":"Observation/o1","display":"D","identifier":{"value":"i"},"extension":[{"url":"CANARY"}],"type":"Observation"}]`},
		{name: "another shape of a list", is: `"reasonCode":[{"text":"x","extension":[{"url":"CANARY"}]}]`, sent: `"reasonCode":{"text":"x"}`, err: transforms.ErrNotWritable, path: "reasonCode"},
		{name: "what was hidden only has no place", is: `"cancelationReason":{"_text":{"extension":[{"url":"CANARY"}]}},"_comment":{"extension":[{"url":"CANARY"}]},"status":"booked"`, sent: `"status":"booked","comment":"x"`,
			want: `"cancelationReason":{"_text":{"extension":[{"url":"CANARY"}]}},"_comment":{"extension":[{"url":"CANARY"}]},"status":"booked","comment":"x"`},
		{name: "a reference to another server's, which is not seen", is: `"slot":[{"reference":"https://other.example/Slot/1"}],"participant":[{"actor":{"reference":"#c","display":"CANARY"},"status":"accepted"}]`,
			sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `"}],"participant":[{"actor":{"reference":"` + ap1 + `"},"status":"accepted"}]`,
			want: `"participant":[{"status":"accepted","actor":{"reference":"Patient/p1"}}],"slot":[{"reference":"https://other.example/Slot/1"},{"reference":"Slot/s2"}]`},
		{name: "texts and what is said of them", is: `"comment":["a","b",null],"_comment":[null,{"id":"i","extension":[{"url":"CANARY"}]},{"extension":[{"url":"CANARY 2"}]}]`, sent: `"comment":["a","c"],"_comment":[null,{"id":"i"}]`,
			want: `"comment":["a","c",null],"_comment":[null,{"id":"i","extension":[{"url":"CANARY"}]},{"extension":[{"url":"CANARY 2"}]}]`},
		{name: "texts, one less", is: `"comment":["a","b"],"_comment":[{"extension":[{"url":"CANARY"}]},null]`, sent: `"comment":["b"]`, want: `"comment":[null,"b"],"_comment":[{"extension":[{"url":"CANARY"}]},null]`},
		{name: "codes, a display of nothing", is: `"reasonCode":[{"coding":[{"system":"s","display":"CANARY"}]}]`, sent: `"reasonCode":[{"coding":[{"system":"t"}]}]`, want: `"reasonCode":[{"coding":[{"system":"t"}]}]`},
		{name: "codes, a display of nothing, removed", is: `"reasonCode":[{"coding":[{"system":"s","display":"CANARY"}]}]`, sent: ``, want: ``},
		{name: "codes, display sent", is: ``, sent: `"reasonCode":[{"coding":[{"code":"a","display":"CANARY"}]}]`, err: transforms.ErrNotWritable, path: "reasonCode[0].coding[0].display"},
		{name: "period", is: `"requestedPeriod":[{"start":"2026-01-01","end":"2026-01-02"}]`, sent: `"requestedPeriod":[{"start":"2026-01-01"}]`, want: `"requestedPeriod":[{"start":"2026-01-01"}]`},
		{name: "another shape", is: `"comment":"x"`, sent: `"comment":{"a":["b"]}`, err: transforms.ErrNotWritable, path: "comment"},
		{name: "part of a hidden whole", is: `"cancelationReason":{"coding":[{"code":"CANARY"}]}`, sent: `"cancelationReason":{"text":"ill"}`,
			want: `"cancelationReason":{"coding":[{"code":"CANARY"}],"text":"ill"}`},
		{name: "part of a whole that is not there", is: ``, sent: `"cancelationReason":{"text":"ill"}`, want: `"cancelationReason":{"text":"ill"}`},
		{name: "part, removed", is: `"cancelationReason":{"text":"ill"}`, sent: ``, want: ``},
		{name: "part, removed beside what is hidden", is: `"cancelationReason":{"coding":[{"code":"CANARY"}],"text":"ill"}`, sent: ``, want: `"cancelationReason":{"coding":[{"code":"CANARY"}]}`},
		{name: "part, and what is not writable", is: ``, sent: `"cancelationReason":{"text":"ill","coding":[{"code":"x"}]}`, err: transforms.ErrNotWritable, path: "cancelationReason.coding"},

		{name: "reference", is: `"slot":[{"reference":"Slot/s1","display":"S","identifier":{"value":"i"}}]`, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `"}]`, want: `"slot":[{"reference":"Slot/s2"}]`},
		{name: "reference sent back", is: `"slot":[{"reference":"Slot/s1","display":"S"}]`, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s1") + `"}]`, want: `"slot":[{"reference":"Slot/s1","display":"S"}]`},
		{name: "reference, absolute", is: `"slot":[{"reference":"https://ehr.example.org/fhir/Slot/s1","display":"S"}]`, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s1") + `"},{"reference":"https://gateway.example.net/fhir/Slot/` + sealed("Slot", "s2") + `"}]`,
			want: `"slot":[{"reference":"https://ehr.example.org/fhir/Slot/s1","display":"S"},{"reference":"Slot/s2"}]`},
		{name: "reference, of a version", is: ``, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `/_history/3","type":"Slot"}]`, want: `"slot":[{"reference":"Slot/s2/_history/3","type":"Slot"}]`},
		{name: "reference, raw", is: ``, sent: `"slot":[{"reference":"Slot/CANARY"}]`, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference, token of another type", is: ``, sent: `"slot":[{"reference":"Slot/` + sealed("Patient", "p1") + `"}]`, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference, another host", is: ``, sent: `"slot":[{"reference":"https://CANARY.example/Slot/` + sealed("Slot", "s2") + `"}]`, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference, the EHR's host", is: ``, sent: `"slot":[{"reference":"https://ehr.example.org/fhir/Slot/` + sealed("Slot", "s2") + `"}]`, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference, contained", is: ``, sent: `"slot":[{"reference":"#CANARY"}]`, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference, a search", is: ``, sent: `"slot":[{"reference":"Slot?identifier=CANARY"}]`, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference, an id that is none", is: ``, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s/2") + `"}]`, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference, display", is: ``, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `","display":"CANARY"}]`, err: transforms.ErrNotWritable, path: "slot[0].display"},
		{name: "reference, nothing but a type", is: ``, sent: `"slot":[{"type":"Slot"}]`, err: transforms.ErrNotWritable, path: "slot"},
		{name: "reference, one hidden", is: `"slot":[{"display":"CANARY"},{"reference":"Slot/s1"}]`, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `"}]`, want: `"slot":[{"display":"CANARY"},{"reference":"Slot/s2"}]`},
		{name: "reference, with an extension", is: `"slot":[{"reference":"Slot/s1","extension":[{"url":"CANARY"}]}]`, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `"}]`, want: `"slot":[{"reference":"Slot/s2","extension":[{"url":"CANARY"}]}]`},
		{name: "reference, within a transaction", is: ``, sent: `"slot":[{"reference":"urn:uuid:1"}]`, want: `"slot":[{"reference":"urn:uuid:1"}]`, change: within},
		{name: "reference, within another transaction", is: ``, sent: `"slot":[{"reference":"urn:uuid:2"}]`, change: within, err: transforms.ErrUnopened, path: "slot[0].reference"},
		{name: "reference in a kept element", is: `"supportingInformation":[{"reference":"Observation/o1","identifier":{"value":"i"}}]`, sent: `"supportingInformation":[{"reference":"Observation/` + sealed("Observation", "o2") + `"}]`,
			want: `"supportingInformation":[{"reference":"Observation/o2"}]`},

		{name: "token", is: `"identifier":[{"system":"s","value":"v1","use":"usual"}]`, sent: `"identifier":[{"system":"s","value":"` + sealed("Appointment.identifier.value", "v2") + `"}]`, want: `"identifier":[{"system":"s","value":"v2","use":"usual"}]`},
		{name: "token sent back", is: `"identifier":[{"system":"s","value":"v1","use":"usual"}]`, sent: `"identifier":[{"value":"` + sealed("Appointment.identifier.value", "v1") + `"}]`, want: `"identifier":[{"system":"s","value":"v1","use":"usual"}]`},
		{name: "token, raw", is: `"identifier":[{"system":"s","value":"v1"}]`, sent: `"identifier":[{"value":"CANARY"}]`, err: transforms.ErrUnopened, path: "identifier[0].value"},
		{name: "token, a reference's", is: `"identifier":[{"system":"s","value":"v1"}]`, sent: `"identifier":[{"value":"` + sealed("Patient", "p1") + `"}]`, err: transforms.ErrUnopened, path: "identifier[0].value"},
		{name: "token, hidden sibling", is: `"identifier":[{"system":"s","value":"v1","_value":{"id":"CANARY"}}]`, sent: `"identifier":[{"value":"` + sealed("Appointment.identifier.value", "v2") + `"}]`, want: `"identifier":[{"system":"s","value":"v2","_value":{"id":"CANARY"}}]`},

		{name: "in a list", is: `"participant":[{"actor":{"reference":"Patient/p1","display":"P"},"status":"needs-action","type":[{"text":"t"}]},{"actor":{"reference":"Practitioner/dr"},"status":"accepted","required":"required"}]`,
			sent: `"participant":[{"actor":{"reference":"` + ap1 + `"},"status":"accepted"},{"actor":{"reference":"` + apr + `"},"status":"accepted","required":"required"}]`,
			want: `"participant":[{"actor":{"reference":"Patient/p1","display":"P"},"status":"accepted","type":[{"text":"t"}]},{"actor":{"reference":"Practitioner/dr"},"status":"accepted","required":"required"}]`},
		{name: "in a list, a reference", is: `"participant":[{"actor":{"reference":"Patient/p1","display":"P"},"status":"accepted","type":[{"text":"t"}]}]`,
			sent: `"participant":[{"actor":{"reference":"` + ap2 + `"},"status":"accepted"}]`, want: `"participant":[{"actor":{"reference":"Patient/p2"},"status":"accepted","type":[{"text":"t"}]}]`},
		{name: "in a list, not writable", is: `"participant":[{"status":"accepted","required":"required"}]`, sent: `"participant":[{"status":"accepted","required":"optional"}]`, err: transforms.ErrNotWritable, path: "participant[0].required"},
		{name: "in a list, one hidden", is: `"participant":[{"type":[{"text":"CANARY"}]},{"status":"accepted"}]`, sent: `"participant":[{"status":"declined"}]`, want: `"participant":[{"type":[{"text":"CANARY"}]},{"status":"declined"}]`},
		{name: "in a list, all hidden", is: `"participant":[{"type":[{"text":"CANARY"}]}]`, sent: `"participant":[{"status":"declined"}]`, want: `"participant":[{"type":[{"text":"CANARY"}]},{"status":"declined"}]`},
		{name: "in a list, one hidden, as it is seen", is: `"participant":[{"type":[{"text":"CANARY"}]},{"status":"accepted"}]`, sent: `"participant":[{"status":"accepted"}]`, want: `"participant":[{"type":[{"text":"CANARY"}]},{"status":"accepted"}]`},
		{name: "in a list, one more", is: `"participant":[{"status":"accepted"}]`, sent: `"participant":[{"status":"accepted"},{"status":"accepted"}]`, err: transforms.ErrNotWritable, path: "participant"},
		{name: "in a list, one less", is: `"participant":[{"status":"accepted"},{"status":"declined"}]`, sent: `"participant":[{"status":"accepted"}]`, err: transforms.ErrNotWritable, path: "participant"},
		{name: "in a list, left out", is: `"participant":[{"status":"accepted","type":[{"text":"t"}]}]`, sent: ``, err: transforms.ErrNotWritable, path: "participant"},
		{name: "in a list that is not there", is: ``, sent: `"participant":[{"actor":{"reference":"` + ap1 + `"},"status":"accepted"}]`, want: `"participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted"}]`},
		{name: "in a list, no object", is: ``, sent: `"participant":["CANARY"]`, err: transforms.ErrNotWritable, path: "participant[0]"},
		{name: "in a list, no list", is: `"participant":[{"status":"accepted"}]`, sent: `"participant":{"status":"accepted"}`, err: transforms.ErrNotWritable, path: "participant"},
		{name: "in a list, emptied", is: `"participant":[{"status":"accepted"}]`, sent: `"participant":[{}]`, err: transforms.ErrNotWritable, path: "participant[0]"},
		{name: "in a list, a text", is: `"participant":[{"status":"accepted"}]`, sent: `"participant":"x"`, err: transforms.ErrNotWritable, path: "participant"},

		{name: "another patient", is: `"participant":[{"actor":{"reference":"Patient/p1"}}]`, sent: `"participant":[{"actor":{"reference":"` + ap2 + `"}}]`, err: transforms.ErrCompartment,
			change: func(o *transforms.WriteOptions) { o.Patient = "p1" }},
		{name: "the same patient", is: `"participant":[{"actor":{"reference":"Patient/p1"}}]`, sent: `"participant":[{"actor":{"reference":"` + ap1 + `"}}],"comment":"x"`, want: `"participant":[{"actor":{"reference":"Patient/p1"}}],"comment":"x"`,
			change: func(o *transforms.WriteOptions) { o.Patient = "p1" }},
		{name: "no opener", is: ``, sent: `"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `"}]`, err: transforms.ErrUnopened, path: "slot[0].reference", change: func(o *transforms.WriteOptions) { o.Open = nil }},
		{name: "too long", is: ``, sent: `"comment":"0123456789"`, err: transforms.ErrTooLong, change: func(o *transforms.WriteOptions) { o.Limit = 50 }},
		{name: "too many values", is: ``, sent: `"comment":[` + strings.Repeat("1,", 1<<17) + `1]`, err: transforms.ErrTooLong},
	} {
		c.kind = "Appointment"
		c.run(t, func(o transforms.WriteOptions) ([]byte, error) {
			return f.plan.Merge("Appointment", []byte(members("Appointment", c.is)), []byte(members("Appointment", c.sent)), o)
		})
	}
}

func within(o *transforms.WriteOptions) {
	o.Within = func(reference string) bool { return reference == "urn:uuid:1" }
}

// TestMergeTask has references in kept elements, what rows widen, and dates that are moved.
func TestMergeTask(t *testing.T) {
	f := load(t, "desk", desk)
	for _, c := range []write{
		{name: "a string of a reference", is: `"focus":{"reference":"Claim/c1","display":"CANARY"}`, sent: `"focus":{"reference":"Claim/` + sealed("Claim", "c2") + `"}`, want: `"focus":{"reference":"Claim/c2","display":"CANARY"}`},
		{name: "a string of a reference, raw", is: ``, sent: `"focus":{"reference":"Claim/CANARY"}`, err: transforms.ErrUnopened, path: "focus.reference"},
		{name: "a widened extension", is: `"executionPeriod":{"extension":[{"url":"a"}],"start":"2026"}`, sent: `"executionPeriod":{"extension":[{"url":"a"},{"url":"b","valueReference":{"reference":"` + ap1 + `"}}],"start":"2027"}`,
			want: `"executionPeriod":{"extension":[{"url":"a"},{"url":"b","valueReference":{"reference":"Patient/p1"}}],"start":"2027"}`},
		{name: "an author", is: `"note":[{"text":"a","authorReference":{"reference":"Practitioner/dr","display":"D"},"time":"2026"}]`, sent: `"note":[{"text":"a","authorReference":{"reference":"` + apr + `"},"time":"2026"},{"text":"b","authorReference":{"reference":"` + apr + `"}}]`,
			want: `"note":[{"text":"a","authorReference":{"reference":"Practitioner/dr","display":"D"},"time":"2026"},{"text":"b","authorReference":{"reference":"Practitioner/dr"}}]`},
		{name: "an author, text changed", is: `"note":[{"text":"a","authorReference":{"reference":"Practitioner/dr","display":"D"}}]`, sent: `"note":[{"text":"b","authorReference":{"reference":"` + apr + `"}}]`,
			want: `"note":[{"text":"b","authorReference":{"reference":"Practitioner/dr","display":"D"}}]`},
		{name: "part beside another's", is: `"restriction":{"recipient":[{"reference":"Patient/p1"}],"repetitions":3}`, sent: `"restriction":{"period":{"start":"2026"}}`, want: `"restriction":{"recipient":[{"reference":"Patient/p1"}],"repetitions":3,"period":{"start":"2026"}}`},
		{name: "another's, changed", is: `"restriction":{"recipient":[{"reference":"Patient/p1"}]}`, sent: `"restriction":{"recipient":[{"reference":"` + ap2 + `"}]}`, err: transforms.ErrNotWritable, path: "restriction.recipient[0].reference"},
		{name: "moved dates", is: `"for":{"reference":"Patient/p1"},"authoredOn":"2026-02-07"`, sent: `"for":{"reference":"` + ap1 + `"},"authoredOn":"2026-01-01","status":"done"`, want: `"for":{"reference":"Patient/p1"},"authoredOn":"2026-02-07","status":"done"`},
		{name: "moved dates, of another patient", is: `"for":{"reference":"Patient/p1"},"authoredOn":"2026-02-07"`, sent: `"for":{"reference":"` + ap2 + `"}`, err: transforms.ErrNotWritable, path: "authoredOn"},
	} {
		c.kind = "Task"
		c.run(t, func(o transforms.WriteOptions) ([]byte, error) {
			return tasks(t, f).Merge("Task", []byte(members("Task", c.is)), []byte(members("Task", c.sent)), o)
		})
	}
}

// tasks is the plan with Tasks in their patients' compartments.
func tasks(t *testing.T, f fixture) *transforms.Plan {
	t.Helper()
	plan, err := transforms.Compile(f.ds, transforms.Compartment{"Task": {"for"}, "Appointment": {"participant.actor"}})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestCreate is a table of new resources, to the letter.
func TestCreate(t *testing.T) {
	f := load(t, "desk", desk)
	const added = `"id":"x","meta":{"versionId":"1","lastUpdated":"2026-01-01T00:00:00Z",` // of a copy
	for _, c := range []write{
		{name: "all", kind: "Appointment", sent: `"status":"proposed","participant":[{"actor":{"reference":"` + ap1 + `"},"status":"needs-action"}],"minutesDuration":1.50`,
			want: `"status":"proposed","participant":[{"actor":{"reference":"Patient/p1"},"status":"needs-action"}],"minutesDuration":1.50`},
		{name: "of a copy", kind: "Appointment", sent: added + strings.TrimPrefix(tag, `"meta":{`) + `,"status":"proposed"`, want: `"status":"proposed"`},
		{name: "nothing", kind: "Task", sent: ``, want: ``},
		{name: "not writable", kind: "Appointment", sent: `"status":"proposed","start":"CANARY"`, err: transforms.ErrNotWritable, path: "start"},
		{name: "not writable in a list", kind: "Appointment", sent: `"participant":[{"required":"required"}]`, err: transforms.ErrNotWritable, path: "participant[0].required"},
		{name: "a profile", kind: "Appointment", sent: `"meta":{"profile":["CANARY"]}`, err: transforms.ErrNotWritable, path: "meta.profile"},
		{name: "a label", kind: "Appointment", sent: `"meta":{"security":[{"code":"CANARY"}]}`, err: transforms.ErrNotWritable, path: "meta.security"},
		{name: "a narrative", kind: "Appointment", sent: `"text":{"div":"CANARY"}`, err: transforms.ErrNotWritable, path: "text"},
		{name: "implicit rules", kind: "Appointment", sent: `"implicitRules":"CANARY"`, err: transforms.ErrNotWritable, path: "implicitRules"},
		{name: "an extension inside", kind: "Appointment", sent: `"reasonCode":[{"text":"a","modifierExtension":[{"url":"CANARY"}]}]`, err: transforms.ErrNotWritable, path: "reasonCode[0].modifierExtension"},
		{name: "an extension of a text", kind: "Appointment", sent: `"_comment":{"extension":[{"url":"CANARY"}]}`, err: transforms.ErrNotWritable, path: "comment"},
		{name: "an id that is no text", kind: "Appointment", sent: `"id":{"a":1}`, err: transforms.ErrNotWritable, path: "id"},
		{name: "meta that is none", kind: "Appointment", sent: `"meta":[]`, err: transforms.ErrNotWritable, path: "meta"},
		{name: "raw", kind: "Appointment", sent: `"participant":[{"actor":{"reference":"Patient/p1"}}]`, err: transforms.ErrUnopened, path: "participant[0].actor.reference"},
		{name: "an empty object", kind: "Appointment", sent: `"requestedPeriod":[{"start":"2026"},{}]`, err: transforms.ErrNotWritable, path: "requestedPeriod"},
		{name: "an empty list", kind: "Appointment", sent: `"participant":[]`, err: transforms.ErrNotWritable, path: "participant"},
		{name: "nothing of the type", kind: "Patient", sent: `"active":true`, err: transforms.ErrNotWritable},
		{name: "no row", kind: "Observation", sent: `"status":"final"`, err: transforms.ErrNotWritable},
		{name: "own compartment", kind: "Appointment", sent: `"participant":[{"actor":{"reference":"` + ap1 + `"}}]`, want: `"participant":[{"actor":{"reference":"Patient/p1"}}]`, change: func(o *transforms.WriteOptions) { o.Patient = "p1" }},
		{name: "another compartment", kind: "Appointment", sent: `"participant":[{"actor":{"reference":"` + ap2 + `"}}]`, err: transforms.ErrCompartment, change: func(o *transforms.WriteOptions) { o.Patient = "p1" }},
		{name: "no compartment", kind: "Appointment", sent: `"status":"proposed"`, err: transforms.ErrCompartment, change: func(o *transforms.WriteOptions) { o.Patient = "p1" }},
		{name: "a type not asked for", kind: "Appointment", sent: `"status":"proposed"`, err: transforms.ErrNoRow, change: func(o *transforms.WriteOptions) { o.Types = []string{"Task"} }},
	} {
		c.run(t, func(o transforms.WriteOptions) ([]byte, error) {
			return f.plan.Create(c.kind, []byte(members(c.kind, c.sent)), o)
		})
	}
}

// TestWriteMalformed has bodies that two parsers might read in two ways: none gets past the first.
func TestWriteMalformed(t *testing.T) {
	f := load(t, "desk", desk)
	const is = `{"resourceType":"Appointment","id":"a1"}`
	for body, want := range map[string]error{
		``:    transforms.ErrTruncated,
		`[]`:  transforms.ErrSyntax,
		`"x"`: transforms.ErrSyntax,
		`{"resourceType":"Appointment","status":"a","status":"b"}`:                                             transforms.ErrDuplicate,
		`{"resourceType":"Appointment","status":"a","stat\u0075s":"b"}`:                                        transforms.ErrDuplicate,
		`{"resourceType":"Appointment","resourceType":"Task"}`:                                                 transforms.ErrDuplicate,
		`{"resourceType":"Appointment","participant":[{"a":{"x":1,"x":1}}]}`:                                   transforms.ErrDuplicate,
		"\ufeff" + `{"resourceType":"Appointment"}`:                                                            transforms.ErrSyntax,
		`{"resourceType":"Appointment"} {}`:                                                                    transforms.ErrTrailing,
		`{"resourceType":"Appointment"}` + "\x00":                                                              transforms.ErrTrailing,
		`{"resourceType":"Appointment","comment":"` + "\xff" + `"}`:                                            transforms.ErrUTF8,
		`{"resourceType":"Appointment","comment":"\ud800"}`:                                                    transforms.ErrUTF8,
		`{"resourceType":"Appointment","comment":01}`:                                                          transforms.ErrSyntax,
		`{"resourceType":"Appointment","comment":NaN}`:                                                         transforms.ErrSyntax,
		`{"resourceType":"Appointment","comment":"` + "\n" + `"}`:                                              transforms.ErrSyntax,
		`{"resourceType":"Appointment",}`:                                                                      transforms.ErrSyntax,
		`{"resourceType":"Appointment","comment":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}": transforms.ErrDepth,
		`{}`:                             transforms.ErrNoType,
		`{"resourceType":7}`:             transforms.ErrNoType,
		`{"resourceType":"Task"}`:        transforms.ErrUnexpectedRoot,
		`{"resourceType":"appointment"}`: transforms.ErrUnexpectedRoot,
	} {
		var e *transforms.WriteError
		if _, err := f.plan.Create("Appointment", []byte(body), writing()); !errors.Is(err, want) || !errors.As(err, &e) {
			t.Errorf("create %q: %v, want %v", body, err, want)
		}
		if _, err := f.plan.Merge("Appointment", []byte(is), []byte(body), writing()); !errors.Is(err, want) || !errors.As(err, &e) {
			t.Errorf("merge %q: %v, want %v", body, err, want)
		}
	}
	for current, want := range map[string]error{
		`{"resourceType":"Appointment","id":"a1"`:                                                  transforms.ErrTruncated,
		`{"resourceType":"Appointment","id":"a1","x":1,"x":2}`:                                     transforms.ErrDuplicate,
		`{"resourceType":"Task","id":"a1"}`:                                                        transforms.ErrUnexpectedRoot,
		`{"resourceType":"OperationOutcome"}`:                                                      transforms.ErrUnexpectedRoot,
		`{"resourceType":"Appointment","id":"a2"}`:                                                 transforms.ErrUnexpectedRoot,
		`{"resourceType":"Appointment","id":"a1","meta":{"security":[{"system":"s","code":"R"}]}}`: transforms.ErrLabel,
		`{"resourceType":"Appointment","id":"a1","x":"` + "\xc3":                                   transforms.ErrTruncated,
	} {
		o := writing()
		o.RootID, o.DenyLabels = "a1", []transforms.Label{{System: "s", Code: "R"}}
		var e *transforms.WriteError
		if got, err := f.plan.Merge("Appointment", []byte(current), []byte(is), o); !errors.Is(err, want) || errors.As(err, &e) || got != nil {
			t.Errorf("the EHR's %q: %v, want %v, and not of what was sent", current, err, want)
		}
	}
}

// TestWriteTruncated cuts what is sent, and what is there, at every byte.
func TestWriteTruncated(t *testing.T) {
	f := load(t, "desk", desk)
	is := members("Appointment", `"id":"a1","status":"booked","comment":"\u00e9 é","minutesDuration":1.5e1,"participant":[{"actor":{"reference":"Patient/p1"}}],"x":[null,true,{}]`)
	sent := members("Appointment", `"status":"booked","comment":"\u00e9 é","minutesDuration":15,"participant":[{"actor":{"reference":"`+ap1+`"}}]`)
	patch := `[{"op":"replace","path":"/status","value":"cancelled"},{"op":"test","path":"/comment","value":"\u00e9 é"}]`
	if _, err := f.plan.Merge("Appointment", []byte(is), []byte(sent), writing()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.plan.Patch("Appointment", []byte(is), []byte(patch), writing()); err != nil {
		t.Fatal(err)
	}
	for n := range sent {
		if _, err := f.plan.Merge("Appointment", []byte(is), []byte(sent[:n]), writing()); !errors.Is(err, transforms.ErrTruncated) {
			t.Errorf("sent up to %d: %v", n, err)
		}
		if _, err := f.plan.Create("Appointment", []byte(sent[:n]), writing()); !errors.Is(err, transforms.ErrTruncated) {
			t.Errorf("created up to %d: %v", n, err)
		}
	}
	for n := range is {
		if _, err := f.plan.Merge("Appointment", []byte(is[:n]), []byte(sent), writing()); !errors.Is(err, transforms.ErrTruncated) {
			t.Errorf("is up to %d: %v", n, err)
		}
	}
	for n := range patch {
		if _, err := f.plan.Patch("Appointment", []byte(is), []byte(patch[:n]), writing()); !errors.Is(err, transforms.ErrTruncated) {
			t.Errorf("patch up to %d: %v", n, err)
		}
	}
}

// TestWriteView shows the outcome, and whom it names, before anybody is asked; who will not have it
// refuses the write.
func TestWriteView(t *testing.T) {
	f := load(t, "desk", desk)
	c := &collector{t: t, result: result{subjects: map[reference.Subject]bool{}}}
	o := writing()
	o.View = c
	is := members("Appointment", `"id":"a1","participant":[{"actor":{"reference":"Patient/p1"}}],"comment":"x","priority":5`)
	if _, err := f.plan.Merge("Appointment", []byte(is), []byte(members("Appointment", `"participant":[{"actor":{"reference":"`+ap2+`"}}]`)), o); err != nil {
		t.Fatal(err)
	}
	want := map[reference.Subject]bool{{Type: "Appointment", ID: "a1"}: true, {Type: "Patient", ID: "p2"}: true}
	if !equal(c.subjects, want) || strings.Contains(string(c.body), "priority") {
		t.Errorf("subjects %v, want %v; %s", sorted(c.subjects), sorted(want), c.body)
	}
	o.View = fails{}
	if _, err := f.plan.Create("Appointment", []byte(members("Appointment", `"status":"proposed"`)), o); !errors.Is(err, transforms.ErrSink) || !errors.Is(err, errForeign) {
		t.Errorf("a view that nobody will record: %v", err)
	}
}

type fails struct{}

func (fails) Release(*transforms.Window) error { return errForeign }

// rotated opens also the tokens that were made with a key before: those with another letter first.
type rotated struct{ opens }

func (r rotated) Open(kind, text string) (string, error) {
	return r.opens.Open(kind, "T"+strings.TrimPrefix(strings.TrimPrefix(text, "T"), "O"))
}

// TestWriteRotated sends back what was seen before the keys were rotated: it names the same.
func TestWriteRotated(t *testing.T) {
	f := load(t, "desk", desk)
	old := func(s string) string { return "O" + s[1:] }
	is := members("Appointment", `"id":"a1","slot":[{"reference":"https://ehr.example.org/fhir/Slot/s1","display":"S"}],"basedOn":[{"reference":"ServiceRequest/r1","display":"R"}],"identifier":[{"value":"v"}]`)
	for _, c := range []struct {
		sent string
		err  error
	}{
		{`"slot":[{"reference":"Slot/` + old(sealed("Slot", "s1")) + `"}],"basedOn":[{"reference":"ServiceRequest/` + old(sealed("ServiceRequest", "r1")) + `"}],"identifier":[{"value":"` + old(sealed("Appointment.identifier.value", "v")) + `"}]`, nil},
		{`"slot":[{"reference":"Slot/` + old(sealed("Slot", "s1")) + `"}],"basedOn":[{"reference":"ServiceRequest/` + old(sealed("ServiceRequest", "r2")) + `"}]`, transforms.ErrNotWritable},
	} {
		o := writing()
		o.Open = rotated{}
		got, err := f.plan.Merge("Appointment", []byte(is), []byte(members("Appointment", c.sent)), o)
		if !errors.Is(err, c.err) || err == nil && string(got) != is {
			t.Errorf("%s: %v\n got %s\nwant %s", c.sent, err, got, is)
		}
	}
}
