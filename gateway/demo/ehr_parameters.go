package demo

// A paramKind is a search parameter's type
// (https://hl7.org/fhir/R4/search.html#ptypes).
type paramKind string

const (
	paramToken     paramKind = "token"
	paramString    paramKind = "string"
	paramDate      paramKind = "date"
	paramReference paramKind = "reference"
)

// A searchParameter reads the elements at paths. Repeating elements on the way
// are followed into each repetition.
type searchParameter struct {
	kind  paramKind
	paths []string
	// target is the one type that a reference must be of; "" any.
	target string
}

func token(paths ...string) searchParameter { return searchParameter{kind: paramToken, paths: paths} }
func text(paths ...string) searchParameter  { return searchParameter{kind: paramString, paths: paths} }
func dated(paths ...string) searchParameter { return searchParameter{kind: paramDate, paths: paths} }
func to(target string, paths ...string) searchParameter {
	return searchParameter{kind: paramReference, paths: paths, target: target}
}

// parameter looks a search parameter up.
func parameter(kind, name string) (searchParameter, bool) {
	if p, ok := parameters[kind][name]; ok {
		return p, true
	}
	p, ok := commonParameters[name]
	return p, ok
}

var commonParameters = map[string]searchParameter{
	"_id":          token("id"),
	"_lastUpdated": dated("meta.lastUpdated"),
	"_tag":         token("meta.tag"),
	"_security":    token("meta.security"),
}

var people = map[string]searchParameter{
	"identifier":         token("identifier"),
	"active":             token("active"),
	"name":               text("name.family", "name.given", "name.text", "name.prefix"),
	"family":             text("name.family"),
	"given":              text("name.given"),
	"gender":             token("gender"),
	"telecom":            token("telecom"),
	"phone":              token("telecom"),
	"email":              token("telecom"),
	"address":            text("address.line", "address.city", "address.state", "address.postalCode", "address.country"),
	"address-city":       text("address.city"),
	"address-state":      text("address.state"),
	"address-postalcode": text("address.postalCode"),
}

// and joins tables of parameters.
func and(tables ...map[string]searchParameter) map[string]searchParameter {
	all := map[string]searchParameter{}
	for _, t := range tables {
		for name, p := range t {
			all[name] = p
		}
	}
	return all
}

// parameters are those of R4 that helpdesks use, and enough of the clinical ones
// to try what must not be possible through a gateway.
var parameters = map[string]map[string]searchParameter{
	"Patient": and(people, map[string]searchParameter{
		"birthdate": dated("birthDate"), "death-date": dated("deceasedDateTime"), "language": token("communication.language"),
		"general-practitioner": to("", "generalPractitioner"), "organization": to("Organization", "managingOrganization"), "link": to("Patient", "link.other"),
	}),
	"Practitioner": and(people, map[string]searchParameter{"communication": token("communication")}),
	"PractitionerRole": {
		"identifier": token("identifier"), "active": token("active"), "practitioner": to("Practitioner", "practitioner"), "organization": to("Organization", "organization"),
		"location": to("Location", "location"), "role": token("code"), "specialty": token("specialty"), "date": dated("period"),
	},
	"Organization": {
		"identifier": token("identifier"), "active": token("active"), "name": text("name", "alias"), "type": token("type"), "partof": to("Organization", "partOf"),
		"address": text("address.line", "address.city", "address.postalCode"), "address-city": text("address.city"),
	},
	"Location": {
		"identifier": token("identifier"), "status": token("status"), "name": text("name", "alias"), "type": token("type"),
		"organization": to("Organization", "managingOrganization"), "address": text("address.line", "address.city", "address.postalCode"), "address-city": text("address.city"),
	},
	"Schedule": {
		"identifier": token("identifier"), "active": token("active"), "actor": to("", "actor"), "date": dated("planningHorizon"),
		"service-type": token("serviceType"), "specialty": token("specialty"),
	},
	"Slot": {
		"identifier": token("identifier"), "schedule": to("Schedule", "schedule"), "status": token("status"), "start": dated("start"),
		"service-type": token("serviceType"), "specialty": token("specialty"),
	},
	"Appointment": {
		"identifier": token("identifier"), "status": token("status"), "date": dated("start"), "actor": to("", "participant.actor"),
		"patient": to("Patient", "participant.actor"), "practitioner": to("Practitioner", "participant.actor"), "location": to("Location", "participant.actor"),
		"slot": to("Slot", "slot"), "based-on": to("ServiceRequest", "basedOn"), "part-status": token("participant.status"),
		"service-type": token("serviceType"), "specialty": token("specialty"), "appointment-type": token("appointmentType"), "reason-code": token("reasonCode"),
	},
	"Encounter": {
		"identifier": token("identifier"), "status": token("status"), "class": token("class"), "type": token("type"), "date": dated("period"),
		"patient": to("Patient", "subject"), "subject": to("", "subject"), "practitioner": to("Practitioner", "participant.individual"),
		"participant": to("", "participant.individual"), "location": to("Location", "location.location"), "appointment": to("Appointment", "appointment"),
		"service-provider": to("Organization", "serviceProvider"), "reason-code": token("reasonCode"), "diagnosis": to("", "diagnosis.condition"),
	},
	"Coverage": {
		"identifier": token("identifier"), "status": token("status"), "type": token("type"), "patient": to("Patient", "beneficiary"),
		"beneficiary": to("Patient", "beneficiary"), "subscriber": to("", "subscriber"), "policy-holder": to("", "policyHolder"), "payor": to("", "payor"),
		"dependent": text("dependent"), "class-type": token("class.type"), "class-value": text("class.value"),
	},
	"Task": {
		"identifier": token("identifier"), "status": token("status"), "business-status": token("businessStatus"), "code": token("code"), "intent": token("intent"),
		"priority": token("priority"), "patient": to("Patient", "for"), "subject": to("", "for"), "owner": to("", "owner"), "requester": to("", "requester"),
		"focus": to("", "focus"), "authored-on": dated("authoredOn"), "modified": dated("lastModified"), "period": dated("executionPeriod"),
	},
	"Communication": {
		"identifier": token("identifier"), "status": token("status"), "category": token("category"), "medium": token("medium"), "patient": to("Patient", "subject"),
		"subject": to("", "subject"), "sender": to("", "sender"), "recipient": to("", "recipient"), "sent": dated("sent"), "received": dated("received"),
	},
	"ServiceRequest": {
		"identifier": token("identifier"), "status": token("status"), "intent": token("intent"), "category": token("category"), "code": token("code"),
		"priority": token("priority"), "patient": to("Patient", "subject"), "subject": to("", "subject"), "requester": to("", "requester"),
		"performer": to("", "performer"), "authored": dated("authoredOn"), "occurrence": dated("occurrenceDateTime"),
	},
	"Observation": {
		"identifier": token("identifier"), "status": token("status"), "category": token("category"), "code": token("code"), "patient": to("Patient", "subject"),
		"subject": to("", "subject"), "performer": to("", "performer"), "date": dated("effectiveDateTime"), "value-string": text("valueString"),
	},
	"Condition": {
		"identifier": token("identifier"), "clinical-status": token("clinicalStatus"), "verification-status": token("verificationStatus"), "category": token("category"),
		"code": token("code"), "patient": to("Patient", "subject"), "subject": to("", "subject"), "onset-date": dated("onsetDateTime"), "recorded-date": dated("recordedDate"),
	},
	"MedicationRequest": {
		"identifier": token("identifier"), "status": token("status"), "intent": token("intent"), "code": token("medicationCodeableConcept"), "patient": to("Patient", "subject"),
		"subject": to("", "subject"), "requester": to("", "requester"), "authoredon": dated("authoredOn"),
	},
	"AllergyIntolerance": {
		"identifier": token("identifier"), "clinical-status": token("clinicalStatus"), "code": token("code"), "criticality": token("criticality"),
		"patient": to("Patient", "patient"), "recorder": to("", "recorder"), "date": dated("recordedDate"),
	},
}

// patientCompartment names the parameters by which a resource belongs to a
// patient (https://hl7.org/fhir/R4/compartmentdefinition-patient.html). Task is
// in it since R5; many servers of R4 count it in as well.
var patientCompartment = map[string][]string{
	"Patient":            {"link"},
	"Schedule":           {"actor"},
	"Appointment":        {"actor"},
	"Encounter":          {"patient"},
	"Coverage":           {"policy-holder", "subscriber", "beneficiary", "payor"},
	"Communication":      {"subject", "sender", "recipient"},
	"ServiceRequest":     {"subject", "performer"},
	"Observation":        {"subject", "performer"},
	"Condition":          {"patient"},
	"MedicationRequest":  {"subject"},
	"AllergyIntolerance": {"patient", "recorder"},
	"Task":               {"patient"},
}
