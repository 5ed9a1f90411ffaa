package probe

import (
	"net/url"
	"strings"
)

func pagingChecks() []Check {
	return []Check{
		{Name: "leak/page-stolen", Attack: "paging links stolen from another client", needs: needsOther,
			Sentence: "A next link of this client's, asked for with another client's token and with none: nothing comes.",
			Advice:   "Seal page links for the caller, the dataset and a time.",
			do: func(a *attempt) {
				links := a.nextLinks()
				for _, link := range links {
					a.nothingAtAll(a.send(request{path: link, token: a.o.Other}), "another client's token")
					a.nothingAtAll(a.send(request{path: link}), "no token")
				}
				if len(links) == 0 {
					a.note("no search had a next page")
				}
			}},
		{Name: "leak/page-forged", Attack: "paging links forged",
			Sentence: "Next links cut, changed, moved to another type, and with parameters added, and the paging parameters of EHRs: nothing hidden comes, and no forged link is followed.",
			Advice:   "Seal page links with authenticated encryption, and take no paging parameter of the EHR's from a client.", do: forged},
		{Name: "leak/page-ehr", Attack: "paging links that show the EHR's own",
			Sentence: "The links of a searchset name the gateway alone, and show nothing of the EHR's paging or of hidden criteria.",
			Advice:   "Seal the EHR's paging URL, and drop the links that are not needed.",
			do: func(a *attempt) {
				for _, kind := range []string{"Appointment", "Patient", "Practitioner", "Encounter"} {
					got := a.get("/" + kind + "?_count=2")
					a.ehrNamed(got)
					for _, link := range got.json().Get("link").Array() {
						u := link.Get("url").Str
						if _, ok := a.target.below(u); strings.Contains(u, "://") && !ok {
							a.fail("link %s names another server than the gateway: %s, %s", link.Get("relation").Str, got.what, hostOf(u))
						}
						for _, p := range []string{"_offset=", "_getpages=", "_skip=", "_getpagesoffset=", "_bundletype=", "_pageId=", "_cursor=", "ct="} {
							if relation := link.Get("relation").Str; relation != "self" && strings.Contains(u, p) {
								a.fail("link %s shows the EHR's own paging (%s): %s", relation, strings.TrimSuffix(p, "="), got.what)
							}
						}
					}
				}
			}},
	}
}

// nothingAtAll fails where a call that is not this caller's to make is answered with anything.
func (a *attempt) nothingAtAll(got answer, with string) {
	if got.allowed() && len(got.entries()) > 0 {
		a.fail("a page link works with %s: %s", with, got.says())
	}
}

// nextLinks are links to second pages, relative to the base.
func (a *attempt) nextLinks() []string {
	var links []string
	for _, kind := range []string{"Encounter", "Appointment", "Practitioner", "Location", "Task", "Patient"} {
		next := a.get("/" + kind + "?_count=2").json().Get(`link.#(relation=="next").url`).Str
		if below, ok := a.target.below(next); ok && next != "" {
			links = append(links, below)
		}
	}
	return links
}

func forged(a *attempt) {
	for _, link := range a.nextLinks() {
		path, query, _ := strings.Cut(link, "?")
		params, err := url.ParseQuery(query)
		if err != nil {
			continue
		}
		for name, values := range params {
			v := values[0]
			if len(v) < 16 {
				continue
			}
			for _, changed := range []string{v[:len(v)-1], v + "A", v[:len(v)/2] + flip(v[len(v)/2]) + v[len(v)/2+1:], strings.Repeat("A", len(v)), v[:8] + strings.Repeat("A", len(v)-8)} {
				params.Set(name, changed)
				if got := a.get(path + "?" + params.Encode()); got.allowed() && len(got.entries()) > 0 {
					a.fail("a changed page link was followed: %s of a link of %s", name, path)
				}
			}
			params.Set(name, v)
		}
		for what, changed := range map[string]string{"of another type": "/Observation?" + query, "with includes": link + "&_revinclude=Encounter:patient&_include=*", "with _elements": link + "&_elements=text,contained"} {
			got := a.get(changed)
			got.what = "a page link " + what
			a.hiddenOnly(got)
		}
	}
	for _, q := range []string{"_offset=2", "_getpages=1&_getpagesoffset=2&_count=5", "_skip=2", "_page=2", "_page=AAAA", "_bundletype=searchset&_getpages=x", "ct=x", "_cursor=x", "search-offset=2", "_pageToken=x"} {
		for _, path := range []string{"/Appointment", "/Patient", ""} {
			a.hiddenOnly(a.get(path + "?" + q))
		}
	}
}

// flip is another character than c.
func flip(c byte) string {
	if c == 'x' {
		return "y"
	}
	return "x"
}
