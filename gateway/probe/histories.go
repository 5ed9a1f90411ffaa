package probe

func historyChecks() []Check {
	return []Check{
		{Name: "leak/history-deleted", Attack: "history of a deleted patient", needs: needsEHR,
			Sentence: "History, versions and reads of a canary patient that was found and then deleted: it is not there.",
			Advice:   "Decide a former version by what the resource is now, and answer 410 as 404.",
			do: func(a *attempt) {
				for _, id := range []string{a.id("deleted"), a.ehr.id("deleted")} {
					for _, path := range []string{"", "/_history", "/_history/1", "/_history/2", "/_history?_count=10", "?_elements=name", "/$everything", "/Appointment"} {
						got := a.get("/Patient/" + id + path)
						a.planted(got, "deleted")
						if got.status == 410 {
							a.fail("410 tells that there was such a patient: %s", got.what)
						}
					}
				}
			}},
		{Name: "leak/history", Attack: "history of a type, of the system, and of what is hidden",
			Sentence: "Histories at all three levels, with _since, _at and _count: nothing hidden is in them.",
			Advice:   "Filter each entry of a history by its type, label and compartment; refuse histories that cannot be.",
			do: func(a *attempt) {
				for _, path := range []string{"/_history", "/_history?_count=20", "/Patient/_history?_count=20", "/Observation/_history?_count=5", "/Condition/_history?_count=5", "/Appointment/_history?_count=20",
					"/" + a.ref("patient") + "/_history", "/" + a.ref("appointment") + "/_history", "/" + a.ref("patient") + "/_history/1", "/" + a.ref("appointment") + "/_history/1",
					"/" + a.ref("observation") + "/_history", "/_history?_since=1900-01-01T00:00:00Z&_count=20", "/Patient/_history?_at=gt1900&_count=20", "/Patient/" + a.id("restricted") + "/_history"} {
					a.hiddenOnly(a.get(path))
				}
			}},
		{Name: "leak/system-search", Attack: "searches of the system and of compartments",
			Sentence: "Searches without a type, with _type, and below a patient: nothing hidden is in them.",
			Advice:   "Judge each type that such a search can bring as a search of its own.",
			do: func(a *attempt) {
				for _, path := range []string{"?_count=20", "?_type=Observation,Patient&_count=20", "/_search?_type=Condition", "?_type=Patient&birthdate=ge1800-01-01", "/Patient/" + a.id("patient") + "/Observation", "/Patient/" + a.id("patient") + "/Condition",
					"/Patient/" + a.id("patient") + "/*", "/Patient/" + a.id("patient") + "/*?_type=Observation", "/Patient/" + a.id("patient") + "/Appointment?_include=*", "/Encounter/" + a.id("encounter") + "/Observation",
					"/Practitioner/" + a.id("practitioner") + "/Observation", "/Patient/" + a.id("restricted") + "/Appointment"} {
					a.hiddenOnly(a.get(path))
				}
				a.hiddenOnly(a.post("/_search", formType, "_type=Observation&_count=5"))
				a.hiddenOnly(a.post("/Patient/"+a.id("patient")+"/Observation/_search", formType, "_count=5"))
				for _, q := range a.hidden() {
					if q.kind == "Patient" {
						continue
					}
					a.each(q, func(hit, other string) {
						a.differ("Patient/"+a.id("patient")+"/"+q.kind, "", q.parameter, hit, other)
						a.differ("", "_type="+q.kind, q.parameter, hit, other)
					})
				}
			}},
	}
}
