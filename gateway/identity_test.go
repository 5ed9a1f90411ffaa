package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// rehead gives a token another header; its signature is wrong then.
func rehead(token, header string) string {
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

// repay gives a token another payload.
func repay(token string, change func(string) string) string {
	parts := strings.Split(token, ".")
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(change(string(payload)))) + "." + parts[2]
}

// kid is the id of the key by which a token is signed.
func kid(token string) string {
	head, _, _ := strings.Cut(token, ".")
	doc, _ := base64.RawURLEncoding.DecodeString(head)
	return gjson.GetBytes(doc, "kid").String()
}

// byPublicKey signs a token's claims with the issuer's public key as if it were a secret, which a careless verifier takes.
func byPublicKey(w *world, token string) string {
	resp, err := w.client.Get(w.issuer.URL() + "/keys")
	check(w.t, err)
	defer resp.Body.Close()
	published, err := io.ReadAll(resp.Body)
	check(w.t, err)
	unsigned := rehead(token[:strings.LastIndex(token, ".")], `{"alg":"HS256","kid":"`+kid(token)+`"}`)
	mac := hmac.New(sha256.New, []byte(gjson.GetBytes(published, "keys.0").Raw))
	mac.Write([]byte(unsigned))
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestBadTokens tries every bad token at the running gateway: each has its own code and its
// record, and none is told more than that.
func TestBadTokens(t *testing.T) {
	w := newWorld(t)
	good := w.token("demo-access", demo.TokenOptions{})
	claims := func(c map[string]any) string { return w.token("demo-access", demo.TokenOptions{Claims: c}) }
	hour := time.Hour
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	const invalid = "The helpdesk app's access token is not valid here."
	sentences := map[string]bool{}
	for _, c := range []struct {
		name, token, code string
	}{
		{"opaque", "2YotnFZFEjr1zCsicMWpAA", "token-malformed"},
		{"huge", strings.Repeat("a", 17<<10), "token-too-long"},
		{"a compressed JWE", rehead(good, `{"alg":"dir","enc":"A256GCM","zip":"DEF"}`) + ".a.b", "token-encrypted"},
		{"none", rehead(good, `{"alg":"none"}`), "token-algorithm"},
		{"a symmetric algorithm", rehead(good, `{"alg":"HS256","kid":"a"}`), "token-algorithm"},
		{"an algorithm that is not configured", rehead(good, `{"alg":"RS512","kid":"a"}`), "token-algorithm"},
		{"a symmetric algorithm, by the public key", byPublicKey(w, good), "token-algorithm"},
		{"an algorithm for another kind of key", rehead(good, `{"alg":"RS256","kid":"`+kid(good)+`"}`), "token-key"},
		{"an algorithm for another curve", rehead(good, `{"alg":"ES384","kid":"`+kid(good)+`"}`), "token-key"},
		{"crit", rehead(good, `{"alg":"ES256","kid":"a","crit":["x"],"x":1}`), "token-critical"},
		{"b64", rehead(good, `{"alg":"ES256","kid":"a","b64":false}`), "token-critical"},
		{"its own key", rehead(good, `{"alg":"ES256","kid":"a","jwk":{"kty":"EC"}}`), "token-embedded-key"},
		{"an address of keys", rehead(good, `{"alg":"ES256","kid":"a","jku":"`+w.issuer.URL()+`/keys"}`), "token-embedded-key"},
		{"an address of a certificate", rehead(good, `{"alg":"ES256","kid":"a","x5u":"`+w.issuer.URL()+`/keys"}`), "token-embedded-key"},
		{"a certificate", rehead(good, `{"alg":"ES256","kid":"a","x5c":["AA"]}`), "token-embedded-key"},
		{"a path for a key", rehead(good, `{"alg":"ES256","kid":"../../../../dev/null"}`), "token-key"},
		{"a query for a key", rehead(good, `{"alg":"ES256","kid":"a' OR '1'='1"}`), "token-key"},
		{"no key", rehead(good, `{"alg":"ES256"}`), "token-key"},
		{"a member twice in the header", rehead(good, `{"alg":"ES256","alg":"none","kid":"a"}`), "token-duplicate"},
		{"a claim twice", repay(good, func(p string) string { return `{"scope":"system/*.cruds",` + p[1:] }), "token-duplicate"},
		{"other claims than were signed", repay(good, func(p string) string { return strings.Replace(p, "helpdesk-access", "helpdesk-billing", 1) }), "token-signature"},
		{"the signature of another", good[:strings.LastIndex(good, ".")] + claims(nil)[strings.LastIndex(good, "."):], "token-signature"},
		{"expired", claims(map[string]any{"exp": at(-hour)}), "token-expired"},
		{"of the future", claims(map[string]any{"nbf": at(hour)}), "token-not-yet-valid"},
		{"issued in the future", claims(map[string]any{"iat": at(hour)}), "token-not-yet-valid"},
		{"no expiry", claims(map[string]any{"exp": nil}), "token-claims"},
		{"a foreign audience", claims(map[string]any{"aud": w.fhir + "/more"}), "token-audience"},
		{"no audience", claims(map[string]any{"aud": nil}), "token-audience"},
		{"a foreign issuer", claims(map[string]any{"iss": "https://evil.example"}), "token-issuer"},
		{"no issuer", claims(map[string]any{"iss": nil}), "token-issuer"},
		{"an ID token", claims(map[string]any{"typ": "ID", "nonce": "n"}), "token-type"},
		{"a wrong typ", claims(map[string]any{"token_use": "id"}), "token-type"},
		{"no subject", claims(map[string]any{"sub": nil}), "token-claims"},
		{"a patient that is none", claims(map[string]any{"patient": "1/../2"}), "token-claims"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.ehr.Requests()
			r := w.get(c.token, "/Practitioner")
			if r.status != 401 || r.code() != c.code {
				t.Fatalf("%d %s, want %s", r.status, r.code(), c.code)
			}
			if challenge := r.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token", error_description="`+c.code+`"`) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			text := r.json().Get("issue.0.details.text").String()
			if sentences[text] = true; c.code != "token-expired" && !strings.HasPrefix(text, invalid) {
				t.Errorf("told %q", text)
			}
			rec := w.record(r)
			if rec.Kind != accesslog.KindRefusal || rec.Status != 401 || rec.Code != c.code || rec.Actor.Subject != "" || len(rec.Subjects) != 0 {
				t.Errorf("record %+v", rec)
			}
			if w.ehr.Requests() != before {
				t.Error("the EHR was asked")
			}
		})
	}
	if len(sentences) != 2 {
		t.Errorf("sentences %v", sentences)
	}
	if r := w.get(good, "/Practitioner"); r.status != 200 {
		t.Errorf("the good token afterwards: %d %s", r.status, r.code())
	}
}

// TestTenants has an issuer of one tenant: its tokens open nothing of another.
func TestTenants(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string {
		ehr := y[strings.Index(y, "    base_url:"):strings.Index(y, "issuers:")]
		y = strings.Replace(y, "issuers:", "  - name: east\n    path: /east\n    tenant: east\n"+ehr+"issuers:", 1)
		return strings.Replace(y, "    audiences:", "    tenants: [default]\n    audiences:", 1)
	}))
	token := w.token("demo-access", demo.TokenOptions{})
	for range 2 { // not yet remembered, and remembered
		if r := w.get(token, "/Practitioner"); r.status != 200 {
			t.Fatalf("its own: %d %s", r.status, r.code())
		}
		before := w.ehr.Requests()
		r := w.get(token, strings.TrimSuffix(w.fhir, "/fhir")+"/east/Practitioner")
		if r.status != 401 || r.code() != "token-tenant" || w.ehr.Requests() != before {
			t.Fatalf("another's: %d %s", r.status, r.code())
		}
		if rec := w.record(r); rec.Code != "token-tenant" || rec.Tenant != "east" || rec.Kind != accesslog.KindRefusal || rec.Actor.Client != "demo-access" {
			t.Errorf("record %+v", rec)
		}
	}
}

// TestKeysFile has the issuer's keys in a file: it is not asked, and a rotation is another file.
func TestKeysFile(t *testing.T) {
	w := newWorld(t)
	published := func(path string) string {
		resp, err := w.client.Get(w.issuer.URL() + path)
		check(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		return string(body)
	}
	put := func(name, text string) { check(t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600)) }
	put("jwks.json", published("/keys"))
	put("metadata.json", published("/.well-known/openid-configuration"))
	w.edit("halfdoor.yaml", func(y string) string {
		return strings.Replace(y, "    audiences:", "    keys_file: jwks.json\n    metadata_file: metadata.json\n    audiences:", 1)
	})
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask(http.MethodPost, "/reload", string(admin)); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	old := w.token("demo-access", demo.TokenOptions{})
	check(t, w.issuer.Rotate())
	newer := w.token("demo-access", demo.TokenOptions{})
	if r := w.get(old, "/Practitioner"); r.status != 200 {
		t.Errorf("the key of the file: %d %s", r.status, r.code())
	}
	r := w.get(newer, "/Practitioner")
	if r.status != 401 || r.code() != "token-key" {
		t.Errorf("a key that is not in the file: %d %s", r.status, r.code())
	}
	if rec := w.record(r); rec.Code != "token-key" || rec.Kind != accesslog.KindRefusal {
		t.Errorf("record %+v", rec)
	}
	if r := w.get("", "/.well-known/smart-configuration"); r.status != 200 || !strings.HasPrefix(r.json().Get("token_endpoint").String(), w.issuer.URL()) {
		t.Errorf("smart-configuration: %d %s", r.status, r.body)
	}
	put("jwks.json", published("/keys"))
	w.until("the new keys", func() bool { return w.get(newer, "/Practitioner").status == 200 })
}

// TestOpaqueTokens has the issuer asked about tokens that only it can read.
func TestOpaqueTokens(t *testing.T) {
	w := newWorld(t)
	var answer atomic.Pointer[string]
	introspection := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		switch said := answer.Load(); {
		case said == nil:
			rw.WriteHeader(http.StatusInternalServerError)
		case id != "gateway" || secret != "introspection-secret" || r.PostFormValue("token") != "opaque":
			rw.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = rw.Write([]byte(*said))
		}
	}))
	pair, err := tls.LoadX509KeyPair(filepath.Join(w.dir, "certs/server.pem"), filepath.Join(w.dir, "certs/server-key.pem"))
	check(t, err)
	introspection.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	introspection.StartTLS()
	t.Cleanup(introspection.Close)

	if r := w.get("opaque", "/Practitioner"); r.status != 401 || r.code() != "token-malformed" {
		t.Errorf("without introspection: %d %s", r.status, r.code())
	}
	check(t, os.WriteFile(filepath.Join(w.dir, "keys/introspection"), []byte("introspection-secret"), 0o600))
	w.edit("halfdoor.yaml", func(y string) string {
		return strings.Replace(y, "    audiences:", "    introspection: {url: "+introspection.URL+
			", client_id: gateway, client_secret: file:keys/introspection, cache: 0s}\n    audiences:", 1)
	})
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask(http.MethodPost, "/reload", string(admin)); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(w.token("demo-access", demo.TokenOptions{}), ".")[1])
	check(t, err)
	good, gone := `{"active":true,"token_type":"Bearer",`+string(payload[1:]), `{"active":false}`
	for _, c := range []struct {
		name   string
		answer *string
		status int
		code   string
	}{
		{"good", &good, 200, ""},
		{"withdrawn", &gone, 401, "token-inactive"},
		{"the issuer fails", nil, 503, "issuer-unavailable"},
		{"good again", &good, 200, ""},
	} {
		answer.Store(c.answer)
		r := w.get("opaque", "/Practitioner")
		if r.status != c.status || r.code() != c.code {
			t.Fatalf("%s: %d %s", c.name, r.status, r.body)
		}
		rec := w.record(r)
		if rec.Status != c.status || rec.Code != c.code && c.code != "" || (rec.Actor.Client == "demo-access") != (c.status == 200) {
			t.Errorf("%s: record %+v", c.name, rec)
		}
	}
	if strings.Contains(w.operator.String(), "introspection-secret") {
		t.Error("a secret in the operator's log")
	}
}

// TestRawIDs has a SMART app with a launch context: the raw ids of its own token work in every
// place, and come back as tokens; no other raw id does, and not for another token.
func TestRawIDs(t *testing.T) {
	w := newWorld(t)
	encounter, practitioner := w.sandbox.IDs("Encounter")[0], w.sandbox.IDs("Practitioner")[0]
	resource, _ := w.sandbox.Resource("Encounter", encounter)
	_, patient, _ := strings.Cut(gjson.GetBytes(resource, "subject.reference").String(), "Patient/")
	scopes := []string{"user/Patient.rs", "user/Encounter.rs", "user/Practitioner.rs", "user/Appointment.rs"}
	launched := w.token("demo-scheduling", demo.TokenOptions{Scopes: scopes, Claims: map[string]any{
		"patient": patient, "encounter": encounter, "fhirUser": "Practitioner/" + practitioner,
	}})
	plain := w.token("demo-scheduling", demo.TokenOptions{Scopes: scopes})
	raws := []string{patient, encounter, practitioner}
	for _, c := range []struct{ path, other string }{
		{"/Patient/" + patient, "/Patient/" + w.sandbox.IDs("Patient")[1]},
		{"/Encounter/" + encounter, "/Encounter/" + w.sandbox.IDs("Encounter")[1]},
		{"/Practitioner/" + practitioner, "/Practitioner/" + w.sandbox.IDs("Practitioner")[1]},
		{"/Patient?_id=" + patient, "/Patient?_id=" + w.sandbox.IDs("Patient")[1]},
		{"/Encounter?patient=" + patient, "/Encounter?patient=" + w.sandbox.IDs("Patient")[1]},
		{"/Encounter?subject=Patient/" + patient, "/Encounter?subject=Patient/" + w.sandbox.IDs("Patient")[1]},
	} {
		r := w.get(launched, c.path)
		found := r.json().Get("id").Exists() || r.json().Get("entry.0").Exists()
		if r.status != 200 || !found {
			t.Errorf("%s: %d %s", c.path, r.status, r.body)
		}
		said := strings.ReplaceAll(string(r.body), strings.TrimPrefix(c.path, "/"), "") // the link to itself says what was asked
		for _, raw := range raws {
			if strings.Contains(said, raw) {
				t.Errorf("%s: the answer holds %s", c.path, raw)
			}
		}
		for who, call := range map[string][2]string{"another's id": {launched, c.other}, "another token": {plain, c.path}} {
			before := w.ehr.Requests()
			r := w.get(call[0], call[1])
			if !(r.status == 404 && r.code() == "not-found" || r.status == 200 && !r.json().Get("entry.0").Exists()) || w.ehr.Requests() != before {
				t.Errorf("%s, %s: %d %s", who, call[1], r.status, r.body)
			}
		}
	}
}
