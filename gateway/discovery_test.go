package gateway_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestDiscovery makes the checks of SMART's discovery that conformance kits make, at the running gateway: SMART App Launch 2.2,
// sections "Conformance" and "Cross-Origin Resource Sharing (CORS) support".
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	const path = "/.well-known/smart-configuration"
	get := func(t *testing.T, headers ...string) reply {
		t.Helper()
		r := w.get("", path, headers...)
		if kind := r.header.Get("Content-Type"); r.status != 200 || strings.Split(kind, ";")[0] != "application/json" || !gjson.ValidBytes(r.body) {
			t.Fatalf("%d %q %s", r.status, kind, r.body)
		}
		return r
	}
	doc := get(t).json()
	t.Run("JSON whatever is accepted", func(t *testing.T) {
		for _, accept := range []string{"application/json", "application/fhir+json", "text/html", "application/xml;q=0.9, */*;q=0", "image/png", "nonsense"} {
			if r := get(t, "Accept", accept); r.json().Raw != doc.Raw {
				t.Errorf("%q: another document", accept)
			}
		}
		if r := get(t, "Authorization", "Bearer nonsense"); r.json().Raw != doc.Raw {
			t.Error("with a token: another document")
		}
	})
	t.Run("required members", func(t *testing.T) {
		for name, kind := range map[string]func(gjson.Result) bool{
			"token_endpoint": isText, "capabilities": areTexts, "grant_types_supported": areTexts, "code_challenge_methods_supported": areTexts,
			"authorization_endpoint": isText, "issuer": isText, "jwks_uri": isText, // where there is a launch and single sign-on, as here
		} {
			if !kind(doc.Get(name)) {
				t.Errorf("%s: %s", name, doc.Get(name).Raw)
			}
		}
		for name, kind := range map[string]func(gjson.Result) bool{ // where they are there, they are these
			"scopes_supported": areTexts, "response_types_supported": areTexts, "token_endpoint_auth_methods_supported": areTexts,
			"token_endpoint_auth_signing_alg_values_supported": areTexts,
			"registration_endpoint":                            isText, "management_endpoint": isText, "introspection_endpoint": isText, "revocation_endpoint": isText,
		} {
			if v := doc.Get(name); v.Exists() && !kind(v) {
				t.Errorf("%s: %s", name, v.Raw)
			}
		}
	})
	t.Run("what goes with what", func(t *testing.T) {
		if got := texts(doc.Get("code_challenge_methods_supported")); !slices.Contains(got, "S256") || slices.Contains(got, "plain") {
			t.Errorf("code challenges %q", got)
		}
		capabilities, grants := texts(doc.Get("capabilities")), texts(doc.Get("grant_types_supported"))
		known := regexp.MustCompile(`^(launch-(ehr|standalone)|authorize-post|client-(public|confidential-(symmetric|asymmetric))|sso-openid-connect|` +
			`context-(banner|style|ehr-(patient|encounter)|standalone-(patient|encounter))|permission-(offline|online|patient|user|v1|v2)|smart-app-state)$`)
		for _, c := range capabilities {
			if !known.MatchString(c) {
				t.Errorf("capability %q", c)
			}
		}
		for _, want := range []string{"permission-v1", "permission-v2", "sso-openid-connect", "client-public", "launch-standalone", "context-standalone-patient"} {
			if !slices.Contains(capabilities, want) {
				t.Errorf("no capability %s in %q", want, capabilities)
			}
		}
		if !slices.Contains(grants, "authorization_code") || !slices.Contains(texts(doc.Get("response_types_supported")), "code") {
			t.Errorf("grants %q, responses %s", grants, doc.Get("response_types_supported").Raw)
		}
		if scopes := texts(doc.Get("scopes_supported")); !slices.Contains(scopes, "openid") || !slices.Contains(scopes, "launch/patient") || slices.Contains(scopes, "patient/*.rs") {
			t.Errorf("scopes %s", doc.Get("scopes_supported").Raw)
		}
	})
	t.Run("absolute URLs", func(t *testing.T) {
		doc.ForEach(func(name, v gjson.Result) bool {
			if strings.HasSuffix(name.Str, "_endpoint") || name.Str == "jwks_uri" || name.Str == "issuer" {
				if u, err := url.Parse(v.Str); err != nil || u.Scheme != "https" || u.Host == "" {
					t.Errorf("%s: %s", name.Str, v.Raw)
				}
			}
			return true
		})
	})
	t.Run("any page may read it, and no more than it", func(t *testing.T) {
		for _, document := range []string{path, "/metadata"} {
			r := w.get("", document, "Origin", "https://inferno.example")
			if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "*" || r.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %d %v", document, r.status, r.header)
			}
			r = w.do(http.MethodOptions, "", document, "Origin", "https://inferno.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
			if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" || r.header.Get("Access-Control-Allow-Methods") != "GET, HEAD" {
				t.Errorf("%s, preflight: %d %v", document, r.status, r.header)
			}
		}
		r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Location", "Origin", "https://inferno.example")
		if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("a call: %d %v", r.status, r.header)
		}
		if r := w.do(http.MethodPost, "", path, "Origin", "https://inferno.example"); r.status != 405 || r.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d %v", r.status, r.header)
		}
	})
	t.Run("/metadata leads here", func(t *testing.T) {
		security := w.get("", "/metadata").json().Get("rest.0.security")
		if !slices.Contains(texts(security.Get("service.#.coding.#.code|@flatten")), "SMART-on-FHIR") {
			t.Errorf("security %s", security.Raw)
		}
	})
}

func isText(v gjson.Result) bool { return v.Type == gjson.String && v.Str != "" }

func areTexts(v gjson.Result) bool {
	all := v.Array()
	return v.IsArray() && len(all) > 0 && !slices.ContainsFunc(all, func(one gjson.Result) bool { return !isText(one) })
}
