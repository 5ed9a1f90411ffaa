package fhir_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// searches are queries below the base, and what goes to the EHR: or "!" and the
// kind of the refusal.
type searches []struct{ in, want string }

func (all searches) run(t *testing.T) {
	for _, test := range all {
		t.Run(test.in, func(t *testing.T) {
			r, err := fhir.Parse(message("GET /"+test.in), fhir.Limits{})
			var e *fhir.Error
			switch kind, refused := strings.CutPrefix(test.want, "!"); {
			case refused && (!errors.As(err, &e) || string(e.Kind) != kind):
				t.Errorf("got %+v, %v", r, err)
			case !refused && err != nil:
				t.Error(err)
			case !refused && r.Encode() != test.want:
				t.Errorf("sends %s", r.Encode())
			}
		})
	}
}

func TestValues(t *testing.T) {
	searches{
		{"Patient?name=peter", "name=peter"},
		{"Patient?name=p+e%20r", "name=p%20e%20r"},
		{"Patient?name=M%C3%BCller%2BS%c3%b6hne", "name=M%C3%BCller%2BS%C3%B6hne"},
		{"Patient?name:exact=Ann&name:contains=n", "name:exact=Ann&name:contains=n"},
		{"Patient?name%3Aexact=Ann", "name:exact=Ann"},
		{"Patient?n%61me=a;name=b", "name=a%3Bname%3Db"}, // a semicolon separates nothing
		{"Patient?name=a%26active=true", "name=a%26active%3Dtrue"},
		{"Patient?&name=a&&", "name=a"},
		{"Patient?x=/metadata", "!parameter-unknown"},
		{"Patient?name=a,b,c", "name=a,b,c"},
		{`Patient?name=a\,b,c`, `name=a%5C%2Cb,c`},
		{`Patient?name=a%5C%2Cb%2Cc`, `name=a%5C%2Cb,c`},
		{`Patient?name=a\\,c`, `name=a%5C%5C,c`},
		{`Patient?name=a\|b\$c`, `name=a%5C%7Cb%5C%24c`},
		{`Patient?name=a\b`, "!parameter-invalid"},
		{`Patient?name=a\`, "!parameter-invalid"},
		{"Patient?name=", "!parameter-invalid"},
		{"Patient?name", "!parameter-invalid"},
		{"Patient?name=a,,b", "!parameter-invalid"},
		{"Patient?name=a,", "!parameter-invalid"},
		{"Patient?name=%20", "!parameter-invalid"},
		{"Patient?name:missing=true", "name:missing=true"},
		{"Patient?name:missing=maybe", "!parameter-invalid"},
		{"Patient?name:missing=true,false", "!parameter-invalid"},
		{"Patient?name:=a", "!parameter-invalid"},
		{"Patient?name:shoe=a", "!parameter-invalid"},
		{"Patient?name:exact:contains=a", "!parameter-invalid"},
		{"Patient?name:text=a", "!parameter-invalid"},
		{"Patient?name:Patient=a", "!parameter-invalid"},
		{"Patient?name.family=a", "!parameter-invalid"}, // a chain from what is no reference
		{"Patient?Name=a", "!parameter-unknown"},
		{"Patient?code=a", "!parameter-unknown"}, // another type's
		{"Patient?mode=full", "!parameter-unknown"},

		{"Patient?identifier=http://x.example/mrn|12", "identifier=http://x.example/mrn%7C12"},
		{"Patient?identifier=http%3A%2F%2Fx.example|12,13", "identifier=http://x.example%7C12,13"},
		{"Patient?identifier=|12", "identifier=%7C12"},
		{"Patient?identifier=http://x.example|", "identifier=http://x.example%7C"},
		{"Patient?identifier=|", "!parameter-invalid"},
		{"Patient?identifier=a|b|c", "!parameter-invalid"},
		{"Patient?identifier=a+b|c", "!parameter-invalid"},
		{"Patient?identifier=+c", "!parameter-invalid"},
		{"Patient?identifier:of-type=a|b|c", "identifier:of-type=a%7Cb%7Cc"},
		{"Patient?identifier:of-type=a|b", "!parameter-invalid"},
		{"Patient?identifier:of-type=a|b|", "!parameter-invalid"},
		{"Patient?identifier:of-type=a||c", "!parameter-invalid"},
		{"Patient?telecom:of-type=a|b|c", "!parameter-invalid"},
		{"Patient?gender:of-type=a|b|c", "!parameter-invalid"},
		{"Condition?code:of-type=a|b|c", "!parameter-invalid"},
		{"Patient?identifier:not=a", "identifier:not=a"},
		{"Patient?identifier:not=a,b", "identifier:not=a,b"},
		{"Patient?_id:not=a", "_id:not=a"},
		{"Patient?_id:not=a/b", "!parameter-invalid"},
		{"Patient?birthdate:not=1970", "!parameter-invalid"},
		{"Appointment?patient:not=1", "!parameter-invalid"},
		{"Observation?code-value-quantity:not=a$1", "!parameter-invalid"},
		{"Condition?code:text=heart+attack", "code:text=heart%20attack"},
		{"Condition?code:text=%20", "!parameter-invalid"},
		{`Condition?code:text=a\b`, "!parameter-invalid"},
		{"Condition?_id:text=a", "!parameter-invalid"},
		{"Condition?code:above=a", "!parameter-not-supported"},
		{"Condition?code:not-in=http://x.example/vs", "!parameter-not-supported"},
		{"Patient?identifier:in=http://x.example/vs", "!parameter-not-supported"},
		{"Patient?identifier:exact=a", "!parameter-invalid"},
		{"Patient?gender=male,female", "gender=male,female"},
		{"Patient?telecom=555", "telecom=555"},
		{"Patient?telecom=home|555", "!parameter-invalid"},
		{"Patient?_id=1,2", "_id=1,2"},
		{"Patient?_id=1/..", "!parameter-invalid"},
		{"Patient?_id=..", "!parameter-invalid"},
		{"Patient?_id=x|1", "!parameter-invalid"},
		{"Patient?_id=1&_id=2", "_id=1&_id=2"},
		{"Patient?_lastUpdated=ge2020-01-01&_tag=http://x|y&_security=R&_profile=http://x.example/p", "_lastUpdated=ge2020-01-01&_tag=http://x%7Cy&_security=R&_profile=http://x.example/p"},
		{"Patient?_profile=a+b", "!parameter-invalid"},
		{"Patient?_profile:below=http://x", "_profile:below=http://x"},
		{"Patient?_profile:above=http://x", "_profile:above=http://x"},
		{"Patient?name:below=x", "!parameter-invalid"},
		{"Encounter?location:below=1", "!parameter-not-supported"},

		{"Patient?birthdate=1970", "birthdate=1970"},
		{"Patient?birthdate=ge1970-01&birthdate=lt1971-02-03", "birthdate=ge1970-01&birthdate=lt1971-02-03"},
		{"Appointment?date=eq2026-01-02T03:04", "date=eq2026-01-02T03:04"},
		{"Appointment?date=sa2026-01-02T03:04:05.678Z", "date=sa2026-01-02T03:04:05.678Z"},
		{"Appointment?date=2026-01-02T03:04:05%2B02:00", "date=2026-01-02T03:04:05%2B02:00"},
		{"Appointment?date=2026-01-02T03:04:05+02:00", "!parameter-invalid"}, // the plus was not escaped
		{"Patient?birthdate=", "!parameter-invalid"},
		{"Patient?birthdate=ge", "!parameter-invalid"},
		{"Patient?birthdate=xx1970", "!parameter-invalid"},
		{"Patient?birthdate=197", "!parameter-invalid"},
		{"Patient?birthdate=1970-13", "!parameter-invalid"},
		{"Patient?birthdate=1970-1-1", "!parameter-invalid"},
		{"Patient?birthdate=1970-01-32", "!parameter-invalid"},
		{"Patient?birthdate=1970-01-01T25:00", "!parameter-invalid"},
		{"Patient?birthdate=1970-01-01T10", "!parameter-invalid"},
		{"Patient?birthdate=%EF%BC%91970", "!parameter-invalid"},
		{"Patient?birthdate:contains=1970", "!parameter-invalid"},

		{"RiskAssessment?probability=gt0.8", "probability=gt0.8"},
		{"RiskAssessment?probability=1e-3", "probability=1e-3"},
		{"RiskAssessment?probability=1e9999", "!parameter-invalid"},
		{"RiskAssessment?probability=0x1", "!parameter-invalid"},
		{"RiskAssessment?probability=.5", "!parameter-invalid"},
		{"Observation?value-quantity=lt5.4", "value-quantity=lt5.4"},
		{"Observation?value-quantity=5.4|http://unitsofmeasure.org|mg", "value-quantity=5.4%7Chttp://unitsofmeasure.org%7Cmg"},
		{"Observation?value-quantity=5.4||mg", "value-quantity=5.4%7C%7Cmg"},
		{"Observation?value-quantity=5.4|mg", "!parameter-invalid"},
		{"Observation?value-quantity=mg", "!parameter-invalid"},

		{"Appointment?patient=1", "patient=1"},
		{"Appointment?patient=Patient/1", "patient=Patient/1"},
		{"Appointment?actor:Patient=1", "actor:Patient=1"},
		{"Appointment?actor=Patient/1,Practitioner/2", "actor=Patient/1,Practitioner/2"},
		{"Appointment?patient=https://gw.example/fhir/Patient/1", "patient=https://gw.example/fhir/Patient/1"},
		{"Appointment?patient=urn:uuid:2c5c5a2e", "patient=urn:uuid:2c5c5a2e"},
		{"Appointment?patient=Practitioner/1", "!parameter-invalid"},
		{"Appointment?patient=https://gw.example/fhir/Practitioner/1", "!parameter-invalid"},
		{"Appointment?patient:Practitioner=1", "!parameter-invalid"},
		{"Appointment?actor:Patient=Practitioner/1", "!parameter-invalid"},
		{"Appointment?actor:Patient=Patient/1", "!parameter-invalid"},
		{"Appointment?patient=patient/1", "!parameter-invalid"},
		{"Appointment?patient=Patient/1/_history/2", "!parameter-invalid"},
		{"Appointment?patient=Patient/..", "!parameter-invalid"},
		{"Appointment?patient=//evil.example/Patient/1", "!parameter-invalid"},
		{"Appointment?patient=ftp://evil.example/Patient/1", "!parameter-invalid"},
		{"Appointment?patient=/Patient/1", "!parameter-invalid"},
		{"Appointment?patient=%23x", "!parameter-invalid"},
		{"Appointment?patient:identifier=a|b", "patient:identifier=a%7Cb"},
		{"Appointment?patient:identifier=a|b|c", "!parameter-invalid"},
		{"Patient?name:identifier=a|b", "!parameter-invalid"},
		{"Appointment?patient.name=x", "patient:Patient.name=x"},
		{"Appointment?actor:Patient.name=x", "actor:Patient.name=x"},
		{"Appointment?actor:Patient.general-practitioner:Practitioner.name:exact=x", "actor:Patient.general-practitioner:Practitioner.name:exact=x"},
		{"QuestionnaireResponse?questionnaire=http://x.example/q|1.0", "questionnaire=http://x.example/q%7C1.0"},
		{"QuestionnaireResponse?questionnaire=http://x.example/q|1|2", "!parameter-invalid"},

		{"Observation?code-value-quantity=http://loinc.org|8480-6$gt150", "code-value-quantity=http://loinc.org%7C8480-6%24gt150"},
		{"Observation?code-value-quantity=a$1,b$2", "!parameter-invalid"}, // HL7's definition has no alternatives here
		{"Observation?code-value-quantity=8480-6", "!parameter-invalid"},
		{"Observation?code-value-quantity=8480-6$x", "!parameter-invalid"},
		{"Observation?code-value-quantity=a$1$2", "!parameter-invalid"},
		{"Observation?code-value-quantity:missing=true", "!parameter-invalid"},
		{"Location?near=1|2|3|km", "!parameter-not-supported"},
	}.run(t)
}

func TestParams(t *testing.T) {
	r := parse(t, "/Appointment?patient:missing=false&_sort=-date,status&date=ge2026,lt2027&_count=5&date=ne2026-05")
	var got []string
	for _, p := range r.Params {
		got = append(got, p.Name+"/"+p.Modifier+"/"+strings.Join(p.Values, "+"))
		if result := p.Name[0] == '_'; result != (p.Definition == nil) {
			t.Errorf("%s: definition %v", p.Name, p.Definition)
		}
	}
	want := []string{"patient/missing/false", "_sort//-date+status", "date//ge2026+lt2027", "_count//5", "date//ne2026-05"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReads(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []string
	}{
		{"/Observation?code=x", []string{"code.coding.system", "code.coding.code"}},
		{"/Observation?code:missing=true", []string{"code"}}, // tells of a code that is text alone
		{"/Observation?_sort=code,-date", []string{"code", "effectiveDateTime", "effectivePeriod", "effectiveTiming", "effectiveInstant"}},
		{"/Patient?identifier=x", []string{"identifier.system", "identifier.value"}},
		{"/Patient?_count=1", nil},
		{"/Patient/_history?_since=2026-01-01T00:00:00Z", []string{"meta.lastUpdated"}},
		{"/_history?_at=2026", []string{"meta.lastUpdated"}},
		{"/Condition?code:not=x", []string{"code.coding.system", "code.coding.code"}},
		{"/Condition?code:text=x", []string{"code"}},
		{"/Patient?identifier:of-type=a|b|c", []string{"identifier"}},
		{"/Appointment?patient=1", []string{"participant.actor"}},
		{"/Appointment?patient:identifier=a|b", []string{"participant.actor.identifier.system", "participant.actor.identifier.value"}},
		{"/Appointment?patient.birthdate=1970", []string{"birthDate"}},
	} {
		got, ok := parse(t, test.in).Params[0].Reads()
		if !ok || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s reads %q, %v", test.in, got, ok)
		}
	}
	for _, in := range []string{"/Bundle?composition:identifier=1", "/Bundle?composition=1", "/Bundle?_sort=message", "/Bundle?message:missing=true"} {
		if got, ok := parse(t, in).Params[0].Reads(); ok {
			t.Errorf("%s: said to read %q, but that is not known", in, got)
		}
	}
}

// No value of a request and no name that could be one stands in an error.
func TestErrorsHoldNoValues(t *testing.T) {
	const secret = "Zyx12345"
	for _, in := range []string{
		"/Patient?birthdate=" + secret, "/Patient?name=%" + secret, "/Patient/" + secret + "_", "/Patient/" + secret + "%2F",
		"/Patient?name:" + secret + "%20=x", "/Patient?_page=x/" + secret, "/" + secret, "/Patient?_sort=" + secret,
		"/Patient?%20" + secret + "=1", "/Patient?_format=" + secret, "/" + secret + ".",
	} {
		_, err := fhir.Parse(message(in), fhir.Limits{})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", in, err)
		}
	}
}
