package transforms_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// narrow is a dataset such as a desk has: each element by itself, each method once.
const narrow = `{"title": "Narrow", "version": 1, "resources": {
	"Patient": {"id": "token", "meta.lastUpdated": "keep", "active": "keep", "identifier.system": "keep",
		"identifier.value": "mask", "name.family": "keep", "name.given": "keep", "birthDate": "year",
		"managingOrganization": "reference", "link.other": "reference"},
	"Appointment": {"id": "token", "status": "keep", "start": "keep", "participant.actor": "reference",
		"participant.status": "keep"},
	"Encounter": {"id": "token", "status": "keep", "class.code": "keep", "period": "keep", "serviceProvider": "reference"},
	"Observation": {"id": "token", "status": "keep", "code.coding.system": "keep", "code.coding.code": "keep",
		"subject": "reference", "effectiveDateTime": "year", "valueQuantity": "keep",
		"component.valueQuantity.value": "keep", "component.code.coding.code": "keep"},
	"Condition": {"code.text": "mask", "onsetDateTime": "year"},
	"List": {"id": "token", "status": "keep", "entry.item": "reference"},
	"Practitioner": {"id": "token", "name.family": "keep"}
}, "require": {"Patient": ["id", "active", "birthDate"], "Appointment": ["status"], "Encounter": ["period", "id"]}}`

// wide keeps whole elements, and widens some.
const wide = `{"title": "Wide", "version": 2, "resources": {
	"Patient": {"id": "keep", "meta": "keep", "active": "keep", "identifier": "keep", "name": "keep",
		"name.extension": "keep", "name.given.extension": "keep", "telecom": "keep", "gender": "keep", "birthDate": "keep",
		"address": "keep", "contact": "keep", "link": "keep", "managingOrganization": "keep",
		"generalPractitioner": "keep", "text": "keep", "communication": "keep", "maritalStatus": "keep",
		"maritalStatus.coding.display": "keep"},
	"Appointment": {"id": "keep", "status": "keep", "participant": "keep", "supportingInformation": "keep"},
	"Encounter": {"id": "keep", "meta.tag": "keep", "meta.security": "keep", "status": "keep", "class": "keep",
		"type": "keep", "subject": "keep", "participant": "keep", "period": "keep", "location": "keep",
		"serviceProvider": "keep", "serviceProvider.display": "keep", "hospitalization": "keep"},
	"Observation": {"id": "keep", "status": "keep", "category": "keep", "code": "keep", "code.coding.display": "keep",
		"subject": "keep", "encounter": "keep", "effectiveDateTime": "keep", "issued": "keep", "valueQuantity": "keep",
		"valueQuantity.extension": "keep", "valueCodeableConcept": "keep", "component": "keep", "extension": "keep",
		"performer": "keep", "interpretation": "keep", "note": "keep", "text": "keep", "related": "keep"},
	"Condition": {"id": "keep", "meta": "keep", "code": "keep", "subject": "keep", "encounter": "keep", "stage": "keep",
		"evidence": "keep", "bodySite": "keep", "severity": "keep", "onsetDateTime": "keep"},
	"MedicationRequest": {"id": "keep", "status": "keep", "intent": "keep", "medicationReference": "keep",
		"medicationCodeableConcept": "keep", "subject": "keep", "dosageInstruction": "keep", "dispenseRequest": "keep",
		"note": "keep", "substitution": "keep"},
	"DiagnosticReport": {"id": "keep", "code": "keep", "subject": "keep", "result": "keep", "presentedForm": "keep"},
	"Claim": {"id": "keep", "item": "keep", "total": "keep", "patient": "keep", "insurance": "keep"},
	"ExplanationOfBenefit": {"id": "keep", "item": "keep", "total": "keep", "patient": "keep", "contained": "keep",
		"benefitBalance": "keep", "payment": "keep", "careTeam": "keep", "extension": "keep"},
	"Immunization": {"id": "keep", "vaccineCode": "keep", "patient": "keep", "reaction": "keep", "protocolApplied": "keep"},
	"List": {"id": "keep", "entry": "keep"},
	"Practitioner": {"id": "keep", "name": "keep", "identifier": "keep"},
	"Organization": {"id": "keep", "name": "keep", "telecom": "keep", "modifierExtension": "keep"}
}}`

// odd has methods where they hardly belong.
const odd = `{"title": "Odd", "version": 3, "resources": {
	"Patient": {"id": "token", "meta.versionId": "keep", "meta.tag.code": "keep", "meta.tag.system": "keep",
		"name.given": "token", "name.family": "year", "identifier.value": "token", "identifier.system": "mask",
		"identifier.type": "keep", "telecom.value": "mask", "contact.name": "keep", "generalPractitioner": "reference",
		"text.status": "keep", "text.div": "keep", "gender": "mask", "contained": "keep", "extension": "keep",
		"active": "token", "birthDate": "token"},
	"Appointment": {"participant": "reference", "status": "year"},
	"Encounter": {"identifier": "mask", "status": "token", "subject.reference": "keep", "subject.display": "keep", "period.start": "year", "period.end": "year"},
	"Observation": {"contained": "keep", "valueQuantity.value": "mask", "code.text": "token", "modifierExtension": "keep"},
	"Condition": {"id": "keep", "extension.url": "keep", "extension.extension.url": "keep"},
	"Practitioner": {},
	"Organization": {"id": "token"},
	"Claim": {"id": "token"},
	"Parameters": {"parameter.valueString": "mask", "parameter.valueReference": "reference", "parameter.valueCoding": "keep", "parameter.valueHumanName.family": "keep"}
}}`

// methods has those that generalise, and lists.
const methods = `{"title": "Methods", "version": 4, "resources": {
	"Patient": {"id": "hash", "birthDate": "shift", "deceasedDateTime": "month", "name.given": "keep", "name.family": "hash",
		"gender": {"fixed": "unknown"}, "multipleBirthInteger": {"fixed": 1}, "identifier.period": "keep", "address.line": "keep",
		"address.period.start": "shift", "meta.lastUpdated": "shift", "telecom.value": {"fixed": "é\"\\"}},
	"Appointment": {"id": "token", "start": "shift", "end": "month", "participant.period.start": "shift"},
	"Encounter": {"id": "token", "period.start": "shift", "period.end": "shift", "status": {"fixed": true}},
	"Observation": {"id": "token", "effectiveDateTime": "shift", "issued": "month", "effectivePeriod.start": "shift",
		"effectivePeriod.end": "shift", "valueQuantity.value": {"fixed": 1.50}, "component": "keep"},
	"Condition": {"onsetDateTime": "shift", "recordedDate": "month", "subject": "reference"},
	"Claim": {"id": "token", "created": "shift", "billablePeriod.start": "shift"},
	"ExplanationOfBenefit": {"created": "shift", "item.servicedPeriod.start": "shift"},
	"Immunization": {"occurrenceDateTime": "shift"},
	"Practitioner": {"birthDate": "shift", "name.prefix": "keep"}
}}`

// conditions has rows for some objects only, and for what no row names.
const conditions = `{"title": "Conditions", "version": 5, "resources": {
	"Patient": {"*": "keep", "identifier.value": "mask", "identifier[system=http://hospital.smarthealthit.org].value": "keep",
		"identifier[system='urn:oid:0.1.2.3.4.5.6.7',use=usual].value": "token", "telecom[system=phone].value": "mask",
		"telecom[system=phone,use=work].value": "keep", "telecom[system=email]": "remove", "birthDate": "shift", "address": "remove",
		"extension[url='http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex']": "keep", "contact.*": "keep", "text": "keep"},
	"Appointment": {"participant[status=accepted].actor": "reference", "participant.status": "keep", "participant[status=accepted,required=required]": "keep"},
	"Encounter": {"*": "keep", "subject": "reference", "period.start": "shift", "meta": "remove", "id": "token"},
	"Observation": {"id": "token", "code": "keep", "code.coding[system=http://loinc.org].display": "keep",
		"category.*": "keep", "extension[url=http://hl7.org/fhir/StructureDefinition/bodySite]": "keep", "component[x=y].code": "keep",
		"value": "keep", "valueQuantity": "keep", "valueQuantity[unit=cm]": "remove", "subject": "keep",
		"subject.extension[url=x]": "keep"},
	"Condition": {"code.coding[system=http://snomed.info/sct]": "keep", "code.coding.system": "keep", "subject.*": "keep"},
	"Claim": {"*": "keep", "patient": "remove", "item[sequence=1].*": "keep"},
	"Immunization": {"*": "keep", "reaction.date": "shift", "meta.security[code=N]": "keep"}
}, "require": {"Patient": ["id", "identifier", "gender", "birthDate", "meta", "active"], "Encounter": ["status", "subject", "reference"],
	"Condition": ["subject"], "Appointment": ["participant"]}}`

// compartment is the patients', as far as the tests need it.
var compartment = transforms.Compartment{
	"Appointment": {"participant.actor"}, "Encounter": {"subject"}, "Observation": {"subject", "performer"},
	"Condition": {"subject", "asserter"}, "MedicationRequest": {"subject"}, "DiagnosticReport": {"subject"},
	"Claim": {"patient", "payee.party"}, "ExplanationOfBenefit": {"patient", "payee.party"}, "Immunization": {"patient"},
	"List": {"subject", "source"}, "AllergyIntolerance": {"patient", "recorder", "asserter"},
}

// fixture is a dataset and its plan.
type fixture struct {
	name string
	ds   *transforms.Dataset
	plan *transforms.Plan
}

func load(t testing.TB, name, doc string) fixture {
	t.Helper()
	ds, err := transforms.ParseDataset(name, []byte(doc))
	if err != nil {
		t.Fatalf("dataset %s: %v", name, err)
	}
	plan, err := transforms.Compile(ds, compartment)
	if err != nil {
		t.Fatalf("dataset %s: %v", name, err)
	}
	return fixture{name, ds, plan}
}

func fixtures(t testing.TB) []fixture {
	t.Helper()
	return []fixture{load(t, "narrow", narrow), load(t, "wide", wide), load(t, "odd", odd), load(t, "methods", methods), load(t, "conditions", conditions)}
}

// tokens is a Tokenizer whose tokens anyone can read back, and which insists on a kind that makes sense.
type tokens struct{}

var errKind = errors.New("not a resource type, nor the path of an element")

var (
	kinds = regexp.MustCompile(`^[A-Z][A-Za-z]*(\.[A-Za-z][A-Za-z0-9]*)*$`)
	token = regexp.MustCompile(`T([0-9a-f]+)-([0-9a-f]*)T`)
)

func (tokens) AppendToken(dst []byte, kind string, value []byte) ([]byte, error) {
	if !kinds.MatchString(kind) {
		return dst, errKind
	}
	dst = append(dst, 'T')
	dst = hex.AppendEncode(dst, []byte(kind))
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, value)
	return append(dst, 'T'), nil
}

// moves is a Shifter: everyone's dates move by some days.
type moves struct{}

func (moves) Shift(patient string) (int, error) {
	switch patient {
	case "p1":
		return -37, nil
	case "p2":
		return 400, nil
	}
	return 1 + len(patient), nil
}

// hashes is a Hasher whose hashes are tokens in other words.
type hashes struct{}

func (hashes) AppendHash(dst []byte, kind string, value []byte) ([]byte, error) {
	if !kinds.MatchString(kind) {
		return dst, errKind
	}
	return fmt.Appendf(dst, "H%x-%xH", kind, value), nil
}

// open reads a token back that token has matched.
func openToken(match [][]byte) (kind, value string) {
	k, _ := hex.DecodeString(string(match[1]))
	v, _ := hex.DecodeString(string(match[2]))
	return string(k), string(v)
}

// options are those of a stream from the EHR that the tests' documents come from.
func options() transforms.Options {
	return transforms.Options{
		Tokens: tokens{}, Shift: moves{}, Hash: hashes{},
		EHR: []string{
			"https://ehr.example.org/fhir", "https://ehr2.example.org/r4", "https://fhir.example.org/r4",
			"https://example.com/base", "http://test.fhir.org/r4",
			"https://healthcare.googleapis.com/v1/projects/fhir-sdk/locations/us/datasets/synthea-sample-data/fhirStores/gcs-data/fhir",
		},
		Base: "https://gateway.example.net/fhir",
	}
}

// links lets two relations pass, one with a URL that needs escapes.
func links(relation, url string) (string, bool) {
	switch relation {
	case "self":
		return "https://gateway.example.net/fhir?" + strings.ToUpper(url), true
	case "next":
		return "\"\\\n\u2028é" + url, true
	}
	return "", false
}

// result is what came of a stream.
type result struct {
	body     []byte
	windows  []window
	subjects map[reference.Subject]bool
	last     bool
	report   transforms.Report
	err      error
}

// window is one of a stream's, at an offset of its body.
type window struct {
	start, end int
	subjects   []reference.Subject
}

// collector is a Sink that keeps everything, and holds the stream to the contract of Sink.
type collector struct {
	t testing.TB
	result
}

func (c *collector) Release(w *transforms.Window) error {
	if c.last {
		c.t.Error("a window follows the last one")
	}
	if w.Report == nil {
		c.t.Error("a window has no report")
	} else if w.Report.BytesOut != int64(len(c.body)+len(w.Body)) {
		c.t.Errorf("with its window, the report counts %d bytes out, want %d", w.Report.BytesOut, len(c.body)+len(w.Body))
	}
	if len(w.Body) == 0 && !w.Last {
		c.t.Error("a window discloses nothing")
	}
	start := len(c.body)
	c.body = append(c.body, w.Body...)
	var subjects []reference.Subject
	for kind, id := range w.Subjects.All() {
		s := reference.Subject{Type: kind, ID: string(id)}
		subjects = append(subjects, s)
		c.subjects[s] = true
	}
	if w.Subjects.Len() != len(subjects) {
		c.t.Errorf("%d subjects are said to be %d", len(subjects), w.Subjects.Len())
	}
	c.windows = append(c.windows, window{start, len(c.body), subjects})
	c.last = w.Last
	return nil
}

func filter(t testing.TB, plan *transforms.Plan, src io.Reader, o transforms.Options) result {
	t.Helper()
	return stream(t, plan.Filter, src, o)
}

// stream is filter, or the same for lines.
func stream(t testing.TB, filter func(transforms.Sink, io.Reader, transforms.Options) (transforms.Report, error), src io.Reader, o transforms.Options) result {
	t.Helper()
	c := &collector{t: t, result: result{subjects: map[reference.Subject]bool{}}}
	c.report, c.err = filter(c, src, o)
	if c.last != (c.err == nil) {
		t.Errorf("last window %v, error %v", c.last, c.err)
	}
	var e *transforms.Error
	if c.err != nil && (!errors.As(c.err, &e) || !errors.Is(c.err, e.Kind)) {
		t.Errorf("error %v is not an Error of a kind", c.err)
	}
	return c.result
}

// chunks reads at most n bytes at a time.
type chunks struct {
	src io.Reader
	n   int
}

func (c chunks) Read(p []byte) (int, error) { return c.src.Read(p[:min(len(p), c.n)]) }

// document is one of the tests' inputs.
type document struct {
	name string
	data []byte
}

// own are the tests' own documents.
func own(t testing.TB) []document {
	t.Helper()
	docs := read(t, "testdata/*.json")
	if len(docs) == 0 {
		t.Fatal("testdata is empty")
	}
	return docs
}

func read(t testing.TB, pattern string) (docs []document) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, document{filepath.Base(file), data})
	}
	return docs
}

// corpus is the folder of third-party documents, "" where there is none.
func corpus(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("HALFDOOR_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "SOURCES.md")); err != nil {
		t.Log("no corpus (HALFDOOR_CORPUS): the tests' own documents only")
		return ""
	}
	return dir
}

// foreign are the corpus's documents: its files, and the lines of its NDJSON.
func foreign(t testing.TB) (docs []document) {
	t.Helper()
	dir := corpus(t)
	if dir == "" {
		return nil
	}
	for _, sub := range []string{"examples", "searchset", "synthea"} {
		docs = append(docs, read(t, filepath.Join(dir, sub, "*.json"))...)
	}
	for _, file := range read(t, filepath.Join(dir, "ndjson", "*.ndjson")) {
		for i, line := range slices.Collect(strings.Lines(string(file.data))) {
			if i < 3 {
				docs = append(docs, document{file.name + "#" + string(rune('1'+i)), []byte(line)})
			}
		}
	}
	if len(docs) == 0 {
		t.Fatalf("%s has no documents", dir)
	}
	return docs
}

func equal[K, V comparable](a, b map[K]V) bool { return maps.Equal(a, b) }

// sorted lists subjects for a message.
func sorted(set map[reference.Subject]bool) []reference.Subject {
	return slices.SortedFunc(maps.Keys(set), func(a, b reference.Subject) int {
		return strings.Compare(a.Type+"/"+a.ID, b.Type+"/"+b.ID)
	})
}

func object(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}
