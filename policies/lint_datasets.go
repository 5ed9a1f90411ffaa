package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// datasets looks at what leaves, by what FHIR says that it is.
func (l *linter) datasets() {
	for _, name := range slices.Sorted(maps.Keys(l.plans)) {
		d := &datasetLinter{linter: l, name: name, plan: l.plans[name], set: l.plans[name].Dataset()}
		for _, kind := range slices.Sorted(maps.Keys(d.set.Resources)) {
			for _, path := range slices.Sorted(maps.Keys(d.set.Resources[kind])) {
				d.row(kind, path, d.set.Resources[kind][path])
			}
			d.reasons(kind)
		}
		for _, kind := range slices.Sorted(maps.Keys(d.set.Search)) {
			d.search(kind)
		}
	}
}

type datasetLinter struct {
	*linter
	name string
	plan *transforms.Plan
	set  *transforms.Dataset
}

func (d *datasetLinter) at(below ...string) []string {
	return append(append(slices.Clone(datasetsPath), d.name), below...)
}

func (d *datasetLinter) row(kind, path string, rule transforms.Rule) {
	at := d.at("resources", kind, path)
	add := func(id string, s Severity, text, fix string) {
		d.addData(id, s, at, fmt.Sprintf("dataset %s: %s.%s %s", d.name, kind, path, text), fix)
	}
	elements := transforms.ElementsIn(path)
	if len(elements) == 0 || rule.Method == transforms.Remove {
		return
	}
	element := elements[0]
	dataType, known := "", false
	if element != "" && d.defs.Type != nil {
		dataType, known = d.defs.Type(kind, element)
	}
	if known {
		d.method(kind, dataType, rule, add)
	}
	if rule.Method != transforms.Keep {
		return
	}
	byURL := strings.HasSuffix(path, "]") && len(elements) > 1 && slices.Contains(elements, element+".url")
	switch {
	case strings.HasSuffix(path, "*"):
		add("dataset-star", SeverityWarning, "lets everything below leave, also what the EHR will send one day", "name the elements that the desk needs")
	case dataType == "Extension" && !byURL:
		add("dataset-extension", SeverityWarning, "lets every extension leave that the EHR knows", "name one: extension[url=…]")
	case dataType == "Narrative" || dataType == "xhtml":
		add("dataset-text", SeverityWarning, "is the resource once more, in words", "remove the row")
	case dataType == "Resource":
		add("dataset-contained", SeverityHint, "lets contained resources leave, by the rows of their types, with their own ids", "see that the rows of each type are meant for that as well")
	case known:
		d.kept(kind, element, dataType, add)
	}
}

// reasons finds rows of which nothing says why they are needed.
func (d *datasetLinter) reasons(kind string) {
	var without []string
	for _, path := range slices.Sorted(maps.Keys(d.set.Resources[kind])) {
		if d.set.Resources[kind][path].Method != transforms.Remove && d.set.Reason(kind, path) == "" {
			without = append(without, path)
		}
	}
	if len(without) > 0 {
		d.addData("dataset-why", SeverityWarning, d.at("resources", kind),
			fmt.Sprintf("dataset %s: nothing says why these of %s are needed: %s", d.name, kind, strings.Join(without, ", ")),
			"add a sentence for each below why: "+kind+":, or remove its row")
	}
}

// method finds methods that cannot apply to what an element is, which then never leaves.
func (d *datasetLinter) method(kind, dataType string, rule transforms.Rule, add func(string, Severity, string, string)) {
	never := func(applies string) {
		add("dataset-method", SeverityWarning, fmt.Sprintf("never leaves: %s is for %s, and it is a %s", rule.Method, applies, dataType), "use another method, or name an element below")
	}
	isText := !slices.Contains([]string{"boolean", "integer", "decimal", "positiveInt", "unsignedInt"}, dataType) && simple(dataType)
	isDate := slices.Contains([]string{"date", "dateTime", "instant"}, dataType)
	switch rule.Method {
	case transforms.Token, transforms.Mask, transforms.Hash:
		if !isText {
			never("texts")
		}
	case transforms.Reference:
		if dataType != "Reference" {
			never("references")
		}
	case transforms.Fixed:
		if !simple(dataType) {
			never("single values")
		}
	case transforms.Year, transforms.Month:
		if !isDate {
			never("dates")
		} else if dataType == "instant" {
			add("dataset-method", SeverityWarning, fmt.Sprintf("is an instant, which FHIR has no %s of; a strict client refuses it", rule.Method), "use shift, or remove the row")
		}
	case transforms.Shift:
		if !isDate {
			never("dates")
		} else if kind != "Patient" && len(d.compartment[kind]) == 0 {
			add("dataset-method", SeverityWarning, "never leaves: a "+kind+" is in no patient's compartment whose days could move it", "use another method")
		}
	case transforms.Remove, transforms.Keep:
	}
}

func simple(dataType string) bool { return dataType != "" && dataType[0] >= 'a' && dataType[0] <= 'z' }

// kept finds what a kept element lets leave in the clear.
func (d *datasetLinter) kept(kind, element, dataType string, add func(string, Severity, string, string)) {
	numbers, texts, documents := d.leaks(kind, element, dataType, 0)
	about := func(paths []string) string {
		if len(paths) == 1 && paths[0] == element {
			return ""
		}
		for i := range paths {
			paths[i] = strings.TrimPrefix(paths[i], element+".")
		}
		if len(paths) > 4 {
			paths = append(paths[:4], "…")
		}
		return " (" + strings.Join(paths, ", ") + ")"
	}
	if len(numbers) > 0 {
		severity := SeverityWarning
		if !d.personal(kind) {
			severity = SeverityHint // a department's or a payer's number may be public
		}
		fix := "use token, mask or hash for its value"
		if element == "id" {
			fix = "use token, which serves a client as well"
		}
		add("dataset-identifier", severity, "lets an identifier leave in the clear"+about(numbers), fix)
	}
	if len(texts) > 0 {
		add("dataset-text", SeverityWarning, "is free text, in which anything can stand"+about(texts), "name the codes, as in type.coding.code, or remove the row")
	}
	if len(documents) > 0 {
		add("dataset-document", SeverityWarning, "is a document, in which anything can stand"+about(documents), "remove the row")
	}
}

// personal says whether resources of a type are about a person.
func (d *datasetLinter) personal(kind string) bool {
	return slices.Contains([]string{"Patient", "Person", "RelatedPerson", "Practitioner", "PractitionerRole"}, kind) || len(d.compartment[kind]) > 0
}

// leaks are the paths at and below a kept element that are identifiers, free text, and documents.
func (d *datasetLinter) leaks(kind, path, dataType string, depth int) (numbers, texts, documents []string) {
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	in, _ := "", false
	if parent != "" {
		in, _ = d.defs.Type(kind, parent)
	}
	switch {
	case path == "id", in == "Identifier" && name == "value", slices.Contains(memberNumbers, name):
		return []string{path}, nil, nil
	case dataType == "xhtml", dataType == "markdown", in == "Annotation" && name == "text",
		dataType == "string" && (slices.Contains(freeText, name) && in != "HumanName" && in != "Address" || freely(in) && len(d.compartment[kind]) > 0):
		return nil, []string{path}, nil
	case dataType == "Attachment", dataType == "base64Binary":
		return nil, nil, []string{path}
	case simple(dataType), depth > 4:
		return nil, nil, nil
	}
	for _, below := range d.defs.Below(kind, path) {
		of, _ := d.defs.Type(kind, path+"."+below)
		// Left out below what is kept: see package transforms.
		if below == "id" || below == "display" || slices.Contains([]string{"Extension", "Resource", "Narrative", "Reference"}, of) {
			continue
		}
		n, t, doc := d.leaks(kind, path+"."+below, of, depth+1)
		numbers, texts, documents = append(numbers, n...), append(texts, t...), append(documents, doc...)
	}
	return numbers, texts, documents
}

// freely says whether a string is one that people write as they like: a member of the resource itself, and not of a data type
// with parts of its own.
func freely(in string) bool { return in == "" || in == "BackboneElement" }

var (
	// memberNumbers are names of strings by which payers and authorities know a person.
	memberNumbers = []string{"subscriberId", "medicareId", "ssn", "mrn", "policyNumber"}

	freeText = []string{
		"text", "display", "note", "comment", "description", "patientInstruction", "title", "conclusion", "summary", "details",
		"valueString", "reason", "answer", "contentString", "detail", "documentation", "disposition",
	}
)

// search finds parameters by which what is hidden can be asked for.
func (d *datasetLinter) search(kind string) {
	at := d.at("search", kind)
	asks := false
	for _, combination := range d.set.Search[kind] {
		var hidden []string
		names := strings.Split(combination, "+")
		number := false
		for _, name := range names {
			if strings.ContainsAny(name, ".:") { // a chain: what it reads is of another type
				hidden, number = append(hidden, name), number || strings.HasSuffix(name, "identifier")
				continue
			}
			if d.defs.Reads == nil {
				return
			}
			reads := d.defs.Reads(kind, name)
			for _, element := range reads {
				number = number || strings.HasSuffix(element, "identifier.value")
			}
			if len(reads) == 0 || slices.ContainsFunc(reads, func(e string) bool {
				m := d.plan.Method(kind, e)
				return m != transforms.Keep && m != transforms.Reference
			}) {
				hidden = append(hidden, name)
			}
		}
		asks = asks || len(hidden) > 0
		switch {
		case len(hidden) == 0:
			d.addData("search-needless", SeverityHint, at, fmt.Sprintf("dataset %s: search: %s: %s reads nothing that is hidden", d.name, kind, combination), "remove it: it is allowed without")
		case len(names) == 1 && !number:
			d.addData("search-oracle", SeverityWarning, at, fmt.Sprintf("dataset %s: search: %s: %s alone finds out what is hidden, value by value", d.name, kind, combination),
				"demand it together with others, as in family+birthdate")
		}
	}
	if asks && d.set.Candidates[kind] == 0 && (kind == "Patient" || kind == "Person" || kind == "RelatedPerson") {
		d.addData("search-unbounded", SeverityWarning, at, fmt.Sprintf("dataset %s: search: %s: nothing bounds how many people are shown to whoever asks for what is hidden", d.name, kind), "add candidates: {"+kind+": 5}")
	}
}
