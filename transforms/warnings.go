package transforms

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Warnings names the rows that may let more leave than they seem to, or less be of use, in the order
// of their paths: each begins with the type and the path. A dataset without warnings is not safe for
// that; only who knows the purpose can tell.
func (ds *Dataset) Warnings() []string {
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(ds.Resources)) {
		rows := ds.Resources[kind]
		for _, path := range slices.Sorted(maps.Keys(rows)) {
			steps, err := parsePath(path)
			if err != nil {
				continue
			}
			for _, w := range warn(kind, steps, rows[path]) {
				all = append(all, fmt.Sprintf("%s.%s: %s", kind, path, w))
			}
		}
	}
	return all
}

// Warnings are the dataset's, and those that the compartments tell.
func (p *Plan) Warnings() []string {
	all := p.dataset.Warnings()
	for _, kind := range slices.Sorted(maps.Keys(p.rows)) {
		if r := p.rows[kind]; kind == "Patient" || r.member {
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(p.dataset.Resources[kind])) {
			if p.dataset.Resources[kind][path].Method == Shift {
				all = append(all, fmt.Sprintf("%s.%s: is never there, since a %s is in no patient's compartment whose days could move it", kind, path, kind))
			}
		}
	}
	return all
}

func warn(kind string, steps []segment, rule Rule) (all []string) {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	path, last := strings.Join(names, "."), names[len(names)-1]
	one := slices.ContainsFunc(steps[len(steps)-1].conditions, func(c condition) bool { return c.member == "url" })
	if rule.Method == Keep && !one {
		switch what := meaning(path, last); {
		case last == "*":
			all = append(all, "keeps everything that the EHR sends below, also what it will send one day; name what the desk needs")
		case what != "":
			all = append(all, what)
		}
	}
	if rule.Method == Year || rule.Method == Month {
		if slices.Contains(instants, kind+"."+path) || path == "meta.lastUpdated" || last == "valueInstant" {
			all = append(all, fmt.Sprintf("is an instant, which FHIR has no %s of; a strict client refuses it", rule.Method))
		}
	}
	return all
}

// meaning says what is dangerous in keeping an element of a name.
func meaning(path, last string) string {
	switch {
	case path == "id":
		return "keeps the EHR's own ids in the clear; a token serves a client as well"
	case last == "identifier", path == "identifier.value", strings.HasSuffix(path, ".identifier.value"),
		last == "subscriberId", last == "medicareId", last == "ssn":
		return "keeps identifiers in the clear"
	case slices.Contains(freeText, last):
		return "is free text, in which anything can stand"
	case slices.Contains(documents, last):
		return "is a document, in which anything can stand"
	case last == "extension", last == "modifierExtension":
		return "keeps every extension that the EHR knows; a condition on url names one"
	}
	return ""
}

var (
	freeText = []string{
		"text", "div", "display", "note", "comment", "description", "patientInstruction", "instructionsText", "title",
		"conclusion", "summary", "details", "valueString", "valueMarkdown", "valueAnnotation", "reasonText", "answer",
	}
	documents = []string{"attachment", "content", "data", "photo", "presentedForm", "valueAttachment", "image"}

	// instants are R4's, whose values are always to the second.
	instants = []string{
		"Appointment.end", "Appointment.start", "AppointmentResponse.end", "AppointmentResponse.start",
		"AuditEvent.recorded", "DiagnosticReport.issued", "DocumentReference.date", "Media.issued",
		"Observation.issued", "Provenance.recorded", "Slot.end", "Slot.start", "Subscription.end",
	}
)
