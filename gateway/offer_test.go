package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

func texts(v gjson.Result) []string {
	var all []string
	for _, e := range v.Array() {
		all = append(all, e.String())
	}
	return all
}

// TestOffers reads what the default policy can grant, to the letter where it matters.
func TestOffers(t *testing.T) {
	w := newWorld(t)
	meta := w.get("", "/metadata")
	if meta.status != 200 || meta.header.Get("Content-Type") != "application/fhir+json; charset=utf-8" {
		t.Errorf("%d %v", meta.status, meta.header)
	}
	rest := meta.json().Get("rest.0")
	of := func(kind string) gjson.Result { return rest.Get(`resource.#(type=="` + kind + `")`) }
	for kind, want := range map[string][]string{
		"Appointment": {"history-instance", "patch", "read", "search-type", "update", "vread"}, "Communication": {"create", "history-instance", "read", "search-type", "vread"},
		"Patient": {"history-instance", "read", "search-type", "vread"}, "Observation": nil,
	} {
		if got := texts(of(kind).Get("interaction.#.code")); !slices.Equal(got, want) {
			t.Errorf("%s: interactions %q, want %q", kind, got, want)
		}
	}
	if got := of("Patient").Get("operation.#.definition").String(); got != `["http://hl7.org/fhir/OperationDefinition/Patient-match"]` {
		t.Errorf("operations %s", got)
	}
	if got := texts(of("Appointment").Get("searchInclude")); !slices.Contains(got, "Appointment:actor") || slices.Contains(got, "Appointment:reason-reference") {
		t.Errorf("includes %q", got)
	}
	if got := texts(of("Patient").Get("searchRevInclude")); !slices.Contains(got, "Appointment:patient") || slices.Contains(got, "Observation:patient") {
		t.Errorf("reverse includes %q", got)
	}
	if got := texts(rest.Get("interaction.#.code")); !slices.Contains(got, "batch") || !slices.Contains(got, "search-system") || slices.Contains(got, "history-system") {
		t.Errorf("system interactions %q", got)
	}
	if meta.json().Get("patchFormat.0").String() != "application/json-patch+json" || rest.Get("security.cors").Bool() || rest.Get("compartment.#").Int() != 1 {
		t.Errorf("statement %s", meta.body)
	}
	scopes := texts(w.get("", "/.well-known/smart-configuration").json().Get("scopes_supported"))
	for scope, want := range map[string]bool{
		"system/Appointment.rus": true, "user/Communication.crs": true, "patient/Patient.rs": true, "system/Location.rs": true, "system/Observation.rs": false, "system/Patient.cruds": false,
	} {
		if slices.Contains(scopes, scope) != want {
			t.Errorf("scope %s: %v, want %v", scope, !want, want)
		}
	}
	if w := newWorld(t, withConfig(forPage)); !w.get("", "/metadata").json().Get("rest.0.security.cors").Bool() {
		t.Error("cors is not told")
	}
}

// TestOffersOfABundle has a bundle that says nothing of interactions: only what its datasets bear is offered.
func TestOffersOfABundle(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego":                 allowAll,
		"halfdoor/data.yaml":                     "nothing: here\n",
		"halfdoor/datasets/access/data.yaml":     "title: A\nversion: 1\nresources:\n  Location: {id: token, name: keep}\n  Slot: {id: token, schedule: reference, meta.versionId: keep}\nwrite: {Slot: [schedule]}\n",
		"halfdoor/datasets/scheduling/data.yaml": "title: B\nversion: 1\nresources:\n  Location: {id: token, status: keep}\n",
		"halfdoor/datasets/emergency/data.yaml":  "title: D\nversion: 1\nresources:\n  Location: {id: token}\n",
		"halfdoor/datasets/billing/data.yaml":    "title: C\nversion: 1\nresources:\n  Location: {id: token}\n",
	}))
	rest := w.get("", "/metadata").json().Get("rest.0")
	location, slot := rest.Get(`resource.#(type=="Location")`), rest.Get(`resource.#(type=="Slot")`)
	if got := texts(location.Get("interaction.#.code")); !slices.Equal(got, []string{"read", "search-type"}) {
		t.Errorf("without its version: %q", got)
	}
	if got := texts(slot.Get("interaction.#.code")); !slices.Equal(got, []string{"read", "search-type", "vread"}) {
		t.Errorf("with its version: %q", got)
	}
	if got := texts(location.Get("searchParam.#.name")); !slices.Contains(got, "status") || slices.Contains(got, "address") {
		t.Errorf("parameters of both: %q", got)
	}
	if slot.Get("searchInclude").Exists() { // of Schedule, nothing leaves
		t.Errorf("includes %s", slot.Get("searchInclude"))
	}
}

// TestOffersHold asks for what the statement offers: some desk is granted each of it.
func TestOffersHold(t *testing.T) {
	w := newWorld(t)
	var tokens []string
	for _, desk := range []string{"demo-scheduling", "demo-access", "demo-billing"} {
		tokens = append(tokens, w.token(desk, demo.TokenOptions{}))
	}
	granted := func(query string) bool {
		return slices.ContainsFunc(tokens, func(token string) bool {
			r := w.get(token, query)
			return r.status == http.StatusOK || r.code() == "ehr-rejected" // the sandbox knows fewer parameters
		})
	}
	values := map[string]string{"date": "2026-01-01", "number": "1", "quantity": "1", "uri": "urn:x", "reference": "x", "token": "x", "string": "x"}
	asked := 0
	for _, offer := range w.get("", "/metadata").json().Get("rest.0.resource").Array() {
		kind := offer.Get("type").String()
		hidden := map[string]bool{"identifier": true, "family": true, "given": true, "birthdate": true} // by combinations alone
		for _, p := range offer.Get("searchParam").Array() {
			name, value := p.Get("name").String(), values[p.Get("type").String()]
			if hidden[name] || value == "" {
				continue
			}
			asked++
			if query := "/" + kind + "?_count=1&" + name + "=" + url.QueryEscape(value); !granted(query) {
				t.Errorf("%s is offered and not granted", query)
			}
		}
		for _, parameter := range []string{"searchInclude", "searchRevInclude"} {
			for _, name := range texts(offer.Get(parameter)) {
				asked++
				if query := "/" + kind + "?_count=1&_" + strings.ToLower(strings.TrimPrefix(parameter, "search")) + "=" + name; !granted(query) {
					t.Errorf("%s is offered and not granted", query)
				}
			}
		}
	}
	if asked < 100 {
		t.Errorf("only %d were asked for", asked)
	}
}
