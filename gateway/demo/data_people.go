package demo

import (
	"fmt"
	"strings"
)

var letters = strings.NewReplacer("å", "a", "é", "e", "è", "e", "ë", "e", "ñ", "n", "ø", "o", "ö", "o", "ü", "u", "û", "u", "Å", "a", "Ø", "o", "Ö", "o", "Ü", "u")

// slug keeps the lower-case ASCII letters and digits of a name.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return -1
	}, strings.ToLower(letters.Replace(name)))
}

// patientID gives ids of every shape that FHIR allows, in fixed places: most are
// UUIDs, number 3 of each 16 is a decimal, 5 and 9 of the first sixteen are long,
// 7 has the full alphabet and 11 is a UUID in capitals.
func patientID(d dice, number int) string {
	uuid := d.uuid()
	switch {
	case number%16 == 3:
		return fmt.Sprint(10007 + number)
	case number == 5:
		return fmt.Sprintf("legacy-import-2019.facility-north.record-%012d-v2", 4711)
	case number == 9:
		return strings.Repeat("Ab9.-", 12) + "Zz90"
	case number%16 == 7:
		return fmt.Sprintf("pt-%04d.Qx-Y", number)
	case number%16 == 11:
		return strings.ToUpper(uuid)
	}
	return uuid
}

// A person is a patient while the resources around it are made.
type person struct {
	*draft
	dice
	number     int
	restricted bool
	doctor     *draft
	birth      string
	family     string
	mrn        string
}

func (g *generator) person(number int) (*person, object) {
	d := roll(g.seed, "Patient", number)
	id := patientID(d, number)
	given, family := draw(d, givenNames), draw(d, familyNames)
	second := draw(d, givenNames)
	p := &person{dice: d, number: number, family: family,
		mrn: fmt.Sprintf("MRN-%06d", 100000+number*37), birth: date(d.day(-33000, -500)),
		restricted: number%15 == 4, doctor: g.practitioners[d.IntN(len(g.practitioners))]}
	full := given.name + " " + family
	p.draft = &draft{kind: "Patient", id: id, name: full, updated: d.day(-200, -1), versions: 1 + number%3, restricted: p.restricted}
	if number%2 == 0 {
		p.draft.profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
	}
	ssn := "000-" + d.digits(2) + "-" + fmt.Sprintf("%04d", number%10000)
	body := obj(
		"text", narrative("<p><b>%s</b>, born %s, %s &amp; SSN %s</p>", full, p.birth, p.mrn, ssn),
		"extension", array{
			obj("url", "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString", draw(d, familyNames)),
			obj("url", systemCode+"/extension/account", "extension", array{obj("url", "portal", "valueBoolean", d.chance(2)), obj("url", "balance", "valueDecimal", decimal(fmt.Sprintf("%d.%s", d.IntN(900), "50")))})},
		"identifier", array{
			identifier("usual", systemMRN, p.mrn).with("type", concept(terminology+"v2-0203", "MR", "Medical record number"), "assigner", reference(g.hospitals[0])),
			identifier("official", systemSSN, ssn).with("type", concept(terminology+"v2-0203", "SS", "Social Security number"))},
		"active", number%12 != 10,
		"name", array{
			// The second given name carries an extension and the first does not: null
			// keeps them aligned.
			obj("use", "official", "text", full, "family", family, "given", array{given.name, second.name[:1]},
				"_given", array{nil, obj("extension", array{obj("url", "http://hl7.org/fhir/StructureDefinition/iso21090-EN-qualifier", "valueCode", "IN")})}),
			obj("use", "nickname", "given", array{slug(given.name)[:3] + "kin"})},
		"telecom", array{phone("home", d.phone()).with("rank", 1), phone("mobile", d.phone()), email(slug(given.name+"."+family) + fmt.Sprint(number) + "@mail.example")})
	if given.gender == "unknown" {
		body = body.with("_gender", obj("extension", array{obj("url", "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode", "asked-declined")}))
	} else {
		body = body.with("gender", given.gender)
	}
	return p, body.with("birthDate", p.birth,
		"_birthDate", obj("extension", array{obj("url", "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime", p.birth+"T04:30:00-05:00")}))
}

func (g *generator) patient(number int) {
	p, body := g.person(number)
	d := p.dice
	if number%20 == 13 {
		body = body.with("deceasedDateTime", moment(d.day(-120, -20)))
	} else if number%3 == 0 {
		body = body.with("deceasedBoolean", false)
	}
	language := draw(d, languages)
	organization := reference(g.hospitals[d.IntN(3)])
	if number%5 == 2 { // the EHR may name its own resources by absolute URL, ...
		organization = obj("reference", basePlaceholder+"/Organization/"+g.hospitals[1].id, "display", g.hospitals[1].name)
	}
	doctor := reference(p.doctor)
	switch {
	case number%9 == 4: // ... by version, ...
		doctor = obj("reference", "Practitioner/"+p.doctor.id+"/_history/1", "type", "Practitioner", "display", p.doctor.name)
	case number%9 == 8: // ... or by identifier alone.
		doctor = obj("identifier", identifier("official", systemStaff, "ST-"+d.digits(6)), "display", p.doctor.name)
	}
	contact := draw(d, givenNames)
	body = body.with("address", array{address(d, "home"), address(d, "old").with("period", obj("end", "2019"))},
		"maritalStatus", concept(terminology+"v3-MaritalStatus", "M", "Married"),
		"photo", array{obj("contentType", "image/png", "data", pixel, "title", "Portrait of "+p.name, "url", basePlaceholder+"/photos/"+p.mrn+".png")},
		"contact", array{obj("relationship", array{concept(terminology+"v2-0131", "C", "Emergency Contact")}, "name", obj("family", p.family, "given", array{contact.name}),
			"telecom", array{phone("mobile", d.phone())}, "gender", contact.gender)},
		"communication", array{obj("language", concept("urn:ietf:bcp:47", language.code, language.display), "preferred", true)},
		"generalPractitioner", array{doctor}, "managingOrganization", organization)
	if number%17 == 16 {
		body = body.with("link", array{obj("other", obj("reference", "Patient/"+patientID(roll(g.seed, "Patient", number-1), number-1)), "type", "seealso")})
	}
	p.body = body
	g.put(*p.draft)
	g.care(p)
	g.clinical(p)
}

// deletedPatient is one that was: the EHR answers 410 and, being careless, says
// who it was.
func (g *generator) deletedPatient(number int) {
	p, body := g.person(number)
	p.id, p.versions, p.deleted, p.body = "deleted-"+p.hex(8), 2, true, body
	g.put(*p.draft)
}
