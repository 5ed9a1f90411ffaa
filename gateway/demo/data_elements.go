package demo

import (
	"fmt"
	"time"
)

// systems of the sandbox's own.
const (
	systemMRN    = "https://sandbox.halfdoor.example/mrn"
	systemSSN    = "http://hl7.org/fhir/sid/us-ssn"
	systemStaff  = "https://sandbox.halfdoor.example/staff"
	systemMember = "https://sandbox.halfdoor.example/member"
	systemVisit  = "https://sandbox.halfdoor.example/visit"
	systemCode   = "https://sandbox.halfdoor.example/codes"
	terminology  = "http://terminology.hl7.org/CodeSystem/"
)

func coding(system, code, display string) object {
	return obj("system", system, "code", code, "display", display)
}

// concept is a CodeableConcept of one coding whose text repeats the display.
func concept(system, code, display string) object {
	return obj("coding", array{coding(system, code, display)}, "text", display)
}

func identifier(use, system, value string) object {
	return obj("use", use, "system", system, "value", value)
}

// reference is a Reference with the name of its target in display.
func reference(to *draft) object { return obj("reference", to.kind+"/"+to.id, "display", to.name) }

func narrative(format string, args ...any) object {
	return obj("status", "generated", "div", `<div xmlns="http://www.w3.org/1999/xhtml">`+fmt.Sprintf(format, args...)+`</div>`)
}

func note(text string, at time.Time) array {
	return array{obj("time", moment(at), "text", text)}
}

func phone(use, number string) object { return obj("system", "phone", "value", number, "use", use) }

func email(address string) object { return obj("system", "email", "value", address, "use", "home") }

func address(d dice, use string) object {
	city := draw(d, cityNames)
	return obj("use", use, "type", "both",
		"line", array{fmt.Sprintf("%d %s", 1+d.IntN(180), draw(d, streetNames))},
		"city", city.city, "state", city.state, "postalCode", city.code, "country", "XZ")
}

// pixel is a picture of one transparent point, as PNG.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
