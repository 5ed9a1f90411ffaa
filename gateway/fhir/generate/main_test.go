package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerate maps a made-up type whose parameters take every form of
// expression that HL7's definitions have.
func TestGenerate(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	element := func(path string, types ...string) string {
		var list []string
		for _, typ := range types {
			code, targets, _ := strings.Cut(typ, ">")
			one := `{"code":"` + code + `"`
			if targets != "" {
				one += `,"targetProfile":["http://hl7.org/fhir/StructureDefinition/` + strings.ReplaceAll(targets, "/", `","http://hl7.org/fhir/StructureDefinition/`) + `"]`
			}
			list = append(list, one+"}")
		}
		return `{"path":"` + path + `","type":[` + strings.Join(list, ",") + `]}`
	}
	structure := func(name, kind string, elements ...string) string {
		return `{"resource":{"resourceType":"StructureDefinition","kind":"` + kind + `","type":"` + name +
			`","fhirVersion":"4.0.1","snapshot":{"element":[` + strings.Join(elements, ",") + `]}}}`
	}
	bundle := func(entries ...string) string { return `{"entry":[` + strings.Join(entries, ",") + `]}` }
	search := func(code, typ, expression string, more ...string) string {
		switch typ {
		case "date", "quantity":
			more = append(more, `,"comparator":["eq","ne","gt","ge","lt","le","sa","eb","ap"]`)
		case "composite":
			more = append(more, `,"multipleOr":false`)
		}
		return `{"resource":{"resourceType":"SearchParameter","url":"sp/` + code + `","code":"` + code + `","type":"` + typ +
			`","base":["Thing"],"expression":"` + expression + `"` + strings.Join(more, "") + `}}`
	}

	write("profiles-types.json", bundle(
		structure("ContactPoint", "complex-type", element("ContactPoint"), element("ContactPoint.system", "code")),
		structure("Quantity", "complex-type", element("Quantity"), element("Quantity.value", "decimal")),
	))
	write("profiles-resources.json", bundle(
		structure("Thing", "resource", element("Thing"), element("Thing.id", "http://hl7.org/fhirpath/System.String"),
			element("Thing.value[x]", "Quantity", "dateTime", "string"), strings.Replace(element("Thing.telecom", "ContactPoint"), `{`, `{"max":"*",`, 1),
			element("Thing.who", "Reference>Patient/Thing"), element("Thing.any", "Reference>Resource"),
			element("Thing.part", "BackboneElement"), element("Thing.part.code", "CodeableConcept"), element("Thing.part.value[x]", "Quantity", "boolean"),
			`{"path":"Thing.part.part","contentReference":"#Thing.part"}`, element("Thing.dead[x]", "boolean", "dateTime")),
		structure("Patient", "resource", element("Patient"), element("Patient.link", "Reference>Patient")),
	))
	write("compartmentdefinition-patient.json", `{"resource":[{"code":"Thing","param":["who","other"]},{"code":"Patient","param":["link"]}]}`)
	write("search-parameters.json", bundle(
		search("_id", "token", "Thing.id"),
		search("as", "date", "(Thing.value as dateTime)"),
		search("cast", "quantity", "(Thing.value.ofType(Quantity)).value | Thing.value.as(Quantity)"),
		search("choice", "date", "Patient.link | Thing.value"),
		search("dead", "token", "Thing.dead.exists() and Thing.dead != false"),
		search("deep", "token", "Thing.part.part.code"),
		search("other", "reference", "Thing.any"),
		search("pair", "composite", "Thing.part", `,"component":[{"definition":"sp/deep","expression":"code"},{"definition":"sp/cast","expression":"value.as(quantity)"},{"definition":"sp/as","expression":"%resource.value.as(dateTime)"}]`),
		search("patient", "reference", "Thing.who.where(resolve() is Patient)", `,"target":["Patient"]`),
		search("phone", "token", "telecom.where(system='phone')"),
		search("strange", "token", "Thing.part.iif(true)"),
		search("whole", "token", "Thing.part"),
		search("who", "reference", "Thing.who", `,"target":["Patient","Thing"]`),
		`{"resource":{"resourceType":"SearchParameter","url":"sp/text","code":"_text","type":"string","base":["Thing"]}}`,
	))
	const want = "`Resource\nPatient _id\nThing patient who,any\n" +
		"_id t id\nas d valueDateTime\ncast q valueQuantity.value,valueQuantity\nchoice d valueDateTime\n" +
		"dead t deadBoolean,deadDateTime\ndeep t part.part.code:C\nother r any\n" +
		"pair c part.code:C,part.valueQuantity,valueDateTime $tqd\npatient r who Patient\n" +
		"phone t telecom:P,telecom.system\nstrange t ?\nwho r who Patient,Thing\nwhole t ?\n`"
	const wantElements = "`Patient link:Reference\nThing valueQuantity:Quantity valueDateTime:dateTime valueString:string telecom:ContactPoint* " +
		"who:Reference any:Reference part:#Thing.part deadBoolean:boolean deadDateTime:dateTime\n" +
		"Quantity value:decimal\nContactPoint system:code\n" +
		"Thing.part code:CodeableConcept valueQuantity:Quantity valueBoolean:boolean part:#Thing.part\n`"
	text, table, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, _ := strings.Cut(string(text), "const definitions = "); strings.TrimSpace(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, got, _ := strings.Cut(string(table), "const elementTable = "); strings.TrimSpace(got) != wantElements {
		t.Errorf("got  %s\nwant %s", got, wantElements)
	}
	for _, irregular := range []string{
		search("_id", "token", "Thing.id", `,"comparator":["eq"]`), search("_id", "token", "Thing.id", `,"multipleOr":false`),
		search("as", "date", "Thing.value", `,"multipleOr":false`), search("n", "number", "Thing.value"),
	} {
		write("search-parameters.json", bundle(irregular))
		if _, _, err := generate(dir); err == nil {
			t.Errorf("taken: %s", irregular)
		}
	}
	for _, name := range []string{"profiles-types.json", "compartmentdefinition-patient.json", "search-parameters.json"} {
		write(name, "{")
		if _, _, err := generate(dir); err == nil {
			t.Errorf("a broken %s is taken", name)
		}
	}
}

// TestCurrent holds definitions.go and elements.go to what the generator makes of HL7's
// definitions, where HALFDOOR_DEFINITIONS names them.
func TestCurrent(t *testing.T) {
	dir := os.Getenv("HALFDOOR_DEFINITIONS")
	if dir == "" {
		t.Log("HALFDOOR_DEFINITIONS is not set: the tables are not compared with HL7's")
		return
	}
	definitions, elements, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"definitions.go": definitions, "elements.go": elements} {
		if want, err := os.ReadFile("../" + name); err != nil || string(got) != string(want) {
			t.Errorf("%s is not what generate makes (%v)", name, err)
		}
	}
}
