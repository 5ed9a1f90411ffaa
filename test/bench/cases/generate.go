package cases

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// The shape of a Synthea patient's record, measured on its Bundles: which types follow an
// encounter and how many, what they hold, and how long the texts are. All values are made up.

// generator writes entries; the same ones each time.
type generator struct {
	out     []byte
	rand    *rand.Rand
	patient string
	visit   string
	org     string
	doctor  string
	made    int
}

// generate makes a compact searchset of about so many bytes.
func generate(size int) []byte {
	g := &generator{rand: rand.New(rand.NewPCG(1, 2))}
	g.patient, g.org, g.doctor = g.uuid(), g.uuid(), g.uuid()
	g.out = fmt.Appendf(nil, `{"resourceType":"Bundle","id":"%s","meta":{"lastUpdated":"2026-01-01T00:00:00.000+00:00"},`+
		`"type":"searchset","total":832,"link":[{"relation":"self","url":"%s/Patient/1/$everything"}],"entry":[`, g.uuid(), EHR)
	g.person()
	for len(g.out) < size {
		g.encounter()
	}
	return append(g.out, "]}"...)
}

func (g *generator) uuid() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(g.rand.Uint32())
	}
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (g *generator) time() string {
	r := g.rand
	return fmt.Sprintf("20%02d-%02d-%02dT%02d:%02d:17-07:00", r.IntN(24), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60))
}

var things = strings.Split("General examination of patient (procedure)|Hypertension|Acute bronchitis (disorder)|Body Height|"+
	"Measurement of respiratory function (procedure)|Evaluation of uterine fundal height|Normal pregnancy|"+
	"Hydrochlorothiazide 25 MG Oral Tablet|Medication Reconciliation (procedure)|Diastolic Blood Pressure|"+
	"Influenza, seasonal, injectable, preservative free|Documentation of current medications|Prenatal visit", "|")

// concept writes a CodeableConcept.
func (g *generator) concept(system string) string {
	thing := things[g.rand.IntN(len(things))]
	return fmt.Sprintf(`{"coding":[{"system":"%s","code":"%d","display":"%s"}],"text":"%s"}`, system, 1e7+g.rand.IntN(9e7), thing, thing)
}

const (
	snomed = "http://snomed.info/sct"
	loinc  = "http://loinc.org"
	hl7    = "http://terminology.hl7.org/CodeSystem/"
	cms    = "https://bluebutton.cms.gov/resources/"
)

// entry writes a resource of a type with members, of which the first are the same in all.
func (g *generator) entry(kind, format string, args ...any) string {
	id := g.uuid()
	if kind == "Patient" {
		id = g.patient
	}
	if g.made++; g.made > 1 {
		g.out = append(g.out, ',')
	}
	g.out = fmt.Appendf(g.out, `{"fullUrl":"%s/%s/%s","resource":{"resourceType":"%s","id":"%s",`+
		`"meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-%s"]},`,
		EHR, kind, id, kind, id, strings.ToLower(kind))
	g.out = fmt.Appendf(g.out, format, args...)
	g.out = append(g.out, `},"search":{"mode":"match"}}`...)
	return id
}

func (g *generator) subject() string { return `"subject":{"reference":"Patient/` + g.patient + `"}` }
func (g *generator) context() string {
	return g.subject() + `,"encounter":{"reference":"Encounter/` + g.visit + `"}`
}
func (g *generator) period() string {
	return fmt.Sprintf(`{"start":"%s","end":"%s"}`, g.time(), g.time())
}
func (g *generator) practitioner() string {
	return `{"reference":"Practitioner/` + g.doctor + `","display":"Dr. Keren761 Murazik203"}`
}
func (g *generator) place(kind string) string {
	return `{"reference":"` + kind + `/` + g.org + `","display":"EVERGREEN HOUSE MEDICAL CENTER"}`
}

// note is a clinical note in base64.
func (g *generator) note() string {
	var b strings.Builder
	for range 16 + g.rand.IntN(16) {
		b.WriteString("\n- " + things[g.rand.IntN(len(things))])
	}
	return base64.StdEncoding.EncodeToString([]byte(b.String()))
}

func (g *generator) person() {
	g.entry("Patient", `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Made up by the benchmark.\n  Seed 4416831764605078102</div>"},`+
		`"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory",`+
		`"valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3","display":"White"}},{"url":"text","valueString":"White"}]}],`+
		`"identifier":[{"system":"https://ehr.example.org/mrn","value":"%s"},{"type":{"coding":[{"system":"%sv2-0203","code":"SS",`+
		`"display":"Social Security Number"}],"text":"Social Security Number"},"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-18-5452"}],`+
		`"name":[{"use":"official","family":"Marquardt819","given":["Johnetta529"],"prefix":["Ms."]}],`+
		`"telecom":[{"system":"phone","value":"555-770-3535","use":"home"}],"gender":"female","birthDate":"1985-07-30",`+
		`"address":[{"line":["913 Haag Park"],"city":"Redmond","state":"WA","postalCode":"98008","country":"US"}],"multipleBirthBoolean":false`,
		g.patient, hl7)
}

// encounter writes one with what comes of it.
func (g *generator) encounter() {
	g.visit = g.entry("Encounter", `"identifier":[{"use":"official","system":"https://ehr.example.org/visit","value":"%s"}],"status":"finished",`+
		`"class":{"system":"%sv3-ActCode","code":"AMB"},"type":[%s],%s,"participant":[{"individual":%s}],"period":%s,"location":[{"location":%s}],"serviceProvider":%s`,
		g.uuid(), hl7, g.concept(snomed), g.subject(), g.practitioner(), g.period(), g.place("Location"), g.place("Organization"))
	for range g.rand.IntN(6) {
		g.entry("Procedure", `"status":"completed","code":%s,%s,"performedPeriod":%s,"location":%s,"reasonReference":[{"reference":"Condition/%s","display":"Normal pregnancy"}]`,
			g.concept(snomed), g.context(), g.period(), g.place("Location"), g.uuid())
	}
	var results []string
	for range g.rand.IntN(5) {
		results = append(results, fmt.Sprintf(`{"reference":"Observation/%s"}`, g.observation()))
	}
	g.entry("DiagnosticReport", `"status":"final","category":[{"coding":[{"system":"%s","code":"34117-2","display":"History and physical note"}]}],`+
		`"code":%s,%s,"effectiveDateTime":"%s","issued":"%s","performer":[%s],"presentedForm":[{"contentType":"text/plain","data":"%s"}],"result":[%s]`,
		loinc, g.concept(loinc), g.context(), g.time(), g.time(), g.practitioner(), g.note(), strings.Join(results, ","))
	g.entry("DocumentReference", `"status":"superseded","type":%s,"category":[%s],%s,"date":"%s","author":[%s],`+
		`"content":[{"attachment":{"contentType":"text/plain","data":"%s"}}],"context":{"encounter":[{"reference":"Encounter/%s"}],"period":%s}`,
		g.concept(loinc), g.concept(hl7+"us-core-documentreference-category"), g.subject(), g.time(), g.practitioner(), g.note(), g.visit, g.period())
	switch g.rand.IntN(4) {
	case 0:
		g.entry("MedicationRequest", `"status":"stopped","intent":"order","medicationCodeableConcept":%s,%s,"authoredOn":"%s","requester":%s,`+
			`"dosageInstruction":[{"sequence":1,"timing":{"repeat":{"frequency":1,"period":1.0,"periodUnit":"d"}},"asNeededBoolean":false,"doseAndRate":[{"doseQuantity":{"value":1.0}}]}]`,
			g.concept("http://www.nlm.nih.gov/research/umls/rxnorm"), g.context(), g.time(), g.practitioner())
	case 1:
		g.entry("Condition", `"clinicalStatus":{"coding":[{"system":"%scondition-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"%scondition-ver-status","code":"confirmed"}]},`+
			`"code":%s,%s,"onsetDateTime":"%s","recordedDate":"%s"`, hl7, hl7, g.concept(snomed), g.context(), g.time(), g.time())
	case 2:
		g.entry("Immunization", `"status":"completed","vaccineCode":%s,"patient":{"reference":"Patient/%s"},"encounter":{"reference":"Encounter/%s"},"occurrenceDateTime":"%s","primarySource":true,"location":%s`,
			g.concept("http://hl7.org/fhir/sid/cvx"), g.patient, g.visit, g.time(), g.place("Location"))
	}
	claim := g.entry("Claim", `"status":"active","type":{"coding":[{"system":"%sclaim-type","code":"institutional"}]},"use":"claim","patient":{"reference":"Patient/%s"},`+
		`"billablePeriod":%s,"created":"%s","provider":%s,"priority":{"coding":[{"system":"%sprocesspriority","code":"normal"}]},`+
		`"insurance":[{"sequence":1,"focal":true,"coverage":{"display":"Medicaid"}}],"item":[{"sequence":1,"productOrService":%s,"encounter":[{"reference":"Encounter/%s"}]},`+
		`{"sequence":2,"procedureSequence":[1],"productOrService":%s,"net":{"value":%d.61,"currency":"USD"}}],"total":{"value":%d.21,"currency":"USD"}`,
		hl7, g.patient, g.period(), g.time(), g.place("Organization"), hl7, g.concept(snomed), g.visit, g.concept(snomed), g.rand.IntN(1e4), g.rand.IntN(1e4))
	g.benefit(claim)
}

func (g *generator) observation() string {
	return g.entry("Observation", `"status":"final","category":[{"coding":[{"system":"%sobservation-category","code":"vital-signs","display":"vital-signs"}]}],`+
		`"code":%s,%s,"effectiveDateTime":"%s","issued":"%s","valueQuantity":{"value":%d.%02d,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}`,
		hl7, g.concept(loinc), g.context(), g.time(), g.time(), g.rand.IntN(200), g.rand.IntN(100))
}

// benefit writes an ExplanationOfBenefit, the type that most of a record's bytes are in.
func (g *generator) benefit(claim string) {
	var items []string
	for i := range 1 + g.rand.IntN(5) {
		var parts []string
		for _, name := range strings.Fields("Coinsurance Payment Submitted Allowed Deductible") {
			parts = append(parts, fmt.Sprintf(`{"category":{"coding":[{"system":"%scodesystem/adjudication","code":"%svariables/line_%s_amt","display":"Line Provider %s Amount"}]},"amount":{"value":%d.%d,"currency":"USD"}}`,
				cms, cms, strings.ToLower(name), name, g.rand.IntN(1e4), g.rand.IntN(1e3)))
		}
		items = append(items, fmt.Sprintf(`{"sequence":%d,"category":{"coding":[{"system":"%svariables/line_cms_type_srvc_cd","code":"1","display":"Medical care"}]},"productOrService":%s,"servicedPeriod":%s,`+
			`"locationCodeableConcept":{"coding":[{"system":"%sex-serviceplace","code":"21","display":"Inpatient Hospital"}]},"encounter":[{"reference":"Encounter/%s"}],"net":{"value":%d.28,"currency":"USD"},"adjudication":[%s]}`,
			i+1, cms, g.concept(snomed), g.period(), hl7, g.visit, g.rand.IntN(1e4), strings.Join(parts, ",")))
	}
	g.entry("ExplanationOfBenefit", `"contained":[{"resourceType":"ServiceRequest","id":"referral","status":"completed","intent":"order",%s,"requester":{"reference":"Practitioner/%s"}},`+
		`{"resourceType":"Coverage","id":"coverage","status":"active","type":{"text":"Medicaid"},"beneficiary":{"reference":"Patient/%s"},"payor":[{"display":"Medicaid"}]}],`+
		`"identifier":[{"system":"%svariables/clm_id","value":"%s"},{"system":"%sidentifier/claim-group","value":"99999999999"}],"status":"active",`+
		`"type":{"coding":[{"system":"%sclaim-type","code":"institutional"}]},"use":"claim","patient":{"reference":"Patient/%s"},"billablePeriod":%s,"created":"%s","insurer":{"display":"Medicaid"},`+
		`"provider":{"reference":"Practitioner/%s"},"referral":{"reference":"#referral"},"facility":%s,"claim":{"reference":"Claim/%s"},"outcome":"complete",`+
		`"careTeam":[{"sequence":1,"provider":{"reference":"Practitioner/%s"},"role":{"coding":[{"system":"%sclaimcareteamrole","code":"primary","display":"Primary Care Practitioner"}]}}],`+
		`"insurance":[{"focal":true,"coverage":{"reference":"#coverage","display":"Medicaid"}}],"item":[%s],"payment":{"amount":{"value":%d.5,"currency":"USD"}}`,
		g.subject(), g.doctor, g.patient, cms, g.uuid(), cms, hl7, g.patient, g.period(), g.time(), g.doctor, g.place("Location"), claim, g.doctor, hl7,
		strings.Join(items, ","), g.rand.IntN(1e4))
}
