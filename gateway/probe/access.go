package probe

import (
	"encoding/base64"
	"strings"
)

func accessChecks() []Check {
	return []Check{
		{Name: "leak/no-token", Attack: "access without a token",
			Sentence: "Reads, searches and operations without a token, and with one in the query: each is refused.",
			Advice:   "Authenticate before anything else is done, in the Authorization header only.", do: noToken},
		{Name: "leak/forged-token", Attack: "access with a forged token",
			Sentence: "The token with another signature, with none (alg none), and with its claims changed: each is refused.",
			Advice:   "Verify signatures with the issuer's keys, and take no algorithm from the token.", do: forgedToken},
		{Name: "leak/metadata-in-query", Attack: "?x=/metadata",
			Sentence: "What is open without a token (/metadata, .well-known) named in a query, a fragment or a longer path: it opens nothing else.",
			Advice:   "Decide what is open by the whole, parsed path, not by a search in the URL.", do: metadataInQuery},
	}
}

// nothing fails where a call that must be refused is answered.
func (a *attempt) nothing(got answer) {
	if got.allowed() && len(got.entries()) > 0 && got.json().Get("resourceType").Str != "OperationOutcome" {
		a.fail("%s was answered: %s", got.what, got.says())
		return
	}
	a.seek(got, nil)
}

func noToken(a *attempt) {
	for _, path := range []string{"/Patient?_count=1", "/" + a.ref("patient"), "/" + a.ref("appointment"), "/Appointment?_count=1", "/Patient/" + a.id("patient") + "/$everything", "/Observation?_count=1"} {
		a.nothing(a.send(request{path: path}))
		a.nothing(a.send(request{path: path, header: []string{"Authorization", "Basic Og=="}}))
	}
	a.nothing(a.send(request{path: "/Appointment?_count=1&access_token=" + string(a.o.Token)}).without(a.o.Token))
	a.nothing(a.send(request{method: "POST", path: "/Appointment/_search", body: "_count=1&access_token=" + string(a.o.Token), header: []string{"Content-Type", formType}}))
}

// without takes the token out of what the evidence would quote.
func (a answer) without(t Token) answer {
	a.what = strings.ReplaceAll(a.what, string(t), "[token]")
	if before, _, ok := strings.Cut(a.what, "access_token="); ok {
		a.what = before + "access_token=[token]"
	}
	return a
}

func forgedToken(a *attempt) {
	forged := []string{"none", "e30.e30.", string(a.o.Token) + "A"}
	if parts := strings.Split(string(a.o.Token), "."); len(parts) == 3 {
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`))
		flipped := []byte(parts[2])
		flipped[len(flipped)/2] ^= 1
		forged = append(forged, none+"."+parts[1]+".", parts[0]+"."+parts[1]+"."+string(flipped), parts[0]+"."+parts[1]+".")
		if claims, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			wider := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), "{", `{"x":1,`, 1)))
			forged = append(forged, parts[0]+"."+wider+"."+parts[2])
		}
	}
	for _, token := range forged {
		a.nothing(a.send(request{path: "/Appointment?_count=1", token: Token(token)}))
	}
}

func metadataInQuery(a *attempt) {
	for _, path := range []string{
		"/Patient?x=/metadata", "/Appointment?_count=1&x=/metadata", "/" + a.ref("patient") + "?x=/metadata", "/Appointment?/.well-known/smart-configuration",
		"/Appointment?_count=1&_format=/metadata", "/" + a.ref("patient") + "/metadata", "/Appointment/.well-known/smart-configuration", "/Appointment;/metadata", "/metadata/Patient",
	} {
		a.nothing(a.send(request{path: path}))
	}
	for _, target := range []string{"/metadata/../Patient?_count=1", "/Patient#/metadata", "/metadata%2f..%2fPatient", "/.well-known/../Patient", "/metadata?/../Patient"} {
		got := a.rawGet(target, "")
		if got.json().Get("resourceType").Str != "CapabilityStatement" {
			a.nothing(got)
		}
	}
}
