package cases

import (
	"maps"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/transforms"
)

// minimum is a dataset such as a desk has: what leaves is about a seventh of a document.
var minimum = rows(map[string]string{
	"Patient":            "id identifier.system identifier.value name.family name.use gender birthDate address.postalCode address.country",
	"Observation":        "id status category.coding.code code.coding subject@ effectiveDateTime valueQuantity valueCodeableConcept.coding component.code.coding component.valueQuantity",
	"Condition":          "id clinicalStatus.coding verificationStatus.coding.code code.coding subject@ onsetDateTime abatementDateTime",
	"Encounter":          "id status class type.coding subject@ period",
	"MedicationRequest":  "id status intent medicationCodeableConcept.coding subject@ authoredOn dosageInstruction.timing",
	"Procedure":          "id status code.coding subject@ performedPeriod",
	"Immunization":       "id status vaccineCode.coding patient@ occurrenceDateTime",
	"DiagnosticReport":   "id status category.coding.code code.coding subject@ effectiveDateTime result@",
	"AllergyIntolerance": "id clinicalStatus.coding code.coding patient@ recordedDate",
})

// tokenized is minimum with ids in tokens. (A reference's id always is; what differs is the
// vault.)
var tokenized = func() map[string]map[string]transforms.Rule {
	out := map[string]map[string]transforms.Rule{}
	for kind, row := range minimum {
		out[kind] = maps.Clone(row)
		out[kind]["id"] = transforms.Rule{Method: transforms.Token}
	}
	return out
}()

// most keeps nearly everything, so that copying is what costs.
func most() map[string]map[string]transforms.Rule {
	const elements = `id meta text extension identifier status category code subject patient encounter
		effectiveDateTime issued valueQuantity valueString valueCodeableConcept component performedPeriod location
		clinicalStatus verificationStatus onsetDateTime recordedDate class type participant period serviceProvider
		reasonReference intent medicationCodeableConcept authoredOn requester dosageInstruction name telecom gender
		birthDate address maritalStatus multipleBirthBoolean communication item total insurance provider use
		billablePeriod created priority insurer facility diagnosis payment procedure referral claim outcome
		careTeam result presentedForm performer date author custodian content context target recorded agent goal
		activity lifecycleStatus achievementStatus description addresses`
	out := map[string]map[string]transforms.Rule{}
	for kind := range strings.FieldsSeq(`Patient Observation Condition Encounter MedicationRequest Procedure
		Immunization DiagnosticReport Claim ExplanationOfBenefit DocumentReference CareTeam CarePlan Goal Location
		Organization Practitioner PractitionerRole Provenance AllergyIntolerance Device ImagingStudy Medication
		MedicationAdministration SupplyDelivery`) {
		maps.Copy(out, rows(map[string]string{kind: elements}))
	}
	return out
}

// rows makes rows of lists of paths; "@" behind one marks a reference.
func rows(lists map[string]string) map[string]map[string]transforms.Rule {
	out := map[string]map[string]transforms.Rule{}
	for kind, list := range lists {
		row := map[string]transforms.Rule{}
		for path := range strings.FieldsSeq(list) {
			path, reference := strings.CutSuffix(path, "@")
			if row[path] = (transforms.Rule{Method: transforms.Keep}); reference {
				row[path] = transforms.Rule{Method: transforms.Reference}
			}
		}
		out[kind] = row
	}
	return out
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ones stand for chance where keys are made: these keys protect nothing.
type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}
