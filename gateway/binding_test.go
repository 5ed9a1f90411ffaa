package gateway_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// prover is a client that has a key.
type prover struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newProver(t *testing.T) prover {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return prover{t, key}
}

// cnf is what binds a token to the key.
func (p prover) cnf() map[string]any {
	jwk := jose.JSONWebKey{Key: p.key.Public()}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	check(p.t, err)
	return map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(sum)}
}

// proof is one for a call; changes are over its claims.
func (p prover) proof(method, url, token string, changes map[string]any) string {
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{
		"jti": rand.Text(), "htm": method, "htu": url, "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	for k, v := range changes {
		claims[k] = v
	}
	payload, err := json.Marshal(claims)
	check(p.t, err)
	o := &jose.SignerOptions{EmbedJWK: true}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, o.WithType("dpop+jwt"))
	check(p.t, err)
	jws, err := signer.Sign(payload)
	check(p.t, err)
	compact, err := jws.CompactSerialize()
	check(p.t, err)
	return compact
}

type brokenReplays struct{}

func (brokenReplays) Use(string, [32]byte, time.Time) (bool, error) {
	return false, errors.New("broken")
}

// TestDPoP has a token that is bound to a key: it works with the key's proof of each call, and a
// thief of token and proof has nothing.
func TestDPoP(t *testing.T) {
	w := newWorld(t)
	mine, thief := newProver(t), newProver(t)
	token := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"cnf": mine.cnf()}})
	other := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"cnf": mine.cnf(), "jti": "other"}})
	bearer := w.token("demo-access", demo.TokenOptions{})
	const path = "/Practitioner"
	call := func(scheme, token string, proofs ...string) reply {
		headers := []string{"Authorization", scheme + " " + token}
		for _, p := range proofs {
			headers = append(headers, "DPoP", p)
		}
		return w.get("", path+"?_count=1", headers...)
	}
	good := func() string { return mine.proof("GET", w.fhir+path, token, nil) }
	used := good()
	if r := call("DPoP", token, used); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	with := func(c map[string]any) string { return mine.proof("GET", w.fhir+path, token, c) }
	for _, c := range []struct {
		name, scheme, token string
		proofs              []string
		code, challenge     string
	}{
		{"replayed", "DPoP", token, []string{used}, "dpop-replayed", "invalid_dpop_proof"},
		{"no proof", "DPoP", token, nil, "dpop-missing", "invalid_dpop_proof"},
		{"two proofs", "DPoP", token, []string{good(), good()}, "dpop-malformed", "invalid_dpop_proof"},
		{"another method", "DPoP", token, []string{with(map[string]any{"htm": "DELETE"})}, "dpop-method", "invalid_dpop_proof"},
		{"another address", "DPoP", token, []string{with(map[string]any{"htu": w.fhir + "/Patient"})}, "dpop-url", "invalid_dpop_proof"},
		{"another name of the gateway", "DPoP", token, []string{with(map[string]any{"htu": strings.Replace(w.fhir, "127.0.0.1", "localhost", 1) + path})}, "dpop-url", "invalid_dpop_proof"},
		{"of another token", "DPoP", token, []string{mine.proof("GET", w.fhir+path, other, nil)}, "dpop-token", "invalid_dpop_proof"},
		{"old", "DPoP", token, []string{with(map[string]any{"iat": time.Now().Add(-time.Hour).Unix()})}, "dpop-time", "invalid_dpop_proof"},
		{"stolen token", "DPoP", token, []string{thief.proof("GET", w.fhir+path, token, nil)}, "dpop-other-key", "invalid_dpop_proof"},
		{"stolen token, as a bearer token", "Bearer", token, nil, "token-binding", "invalid_token"},
		{"stolen token and proof, as a bearer token", "Bearer", token, []string{good()}, "token-binding", "invalid_token"},
		{"a bearer token with a proof", "DPoP", bearer, []string{mine.proof("GET", w.fhir+path, bearer, nil)}, "token-binding", "invalid_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.ehr.Requests()
			r := call(c.scheme, c.token, c.proofs...)
			if r.status != 401 || r.code() != c.code || w.ehr.Requests() != before {
				t.Fatalf("%d %s", r.status, r.body)
			}
			challenge := r.header.Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, c.scheme+" ") || !strings.Contains(challenge, `error="`+c.challenge+`"`) ||
				(c.scheme == "DPoP") != strings.Contains(challenge, `algs="RS256 `) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != c.code || rec.Status != 401 || len(rec.Subjects) != 0 ||
				rec.Actor.Client != "demo-access" || (rec.Actor.Binding == "dpop") != (c.token != bearer) {
				t.Errorf("record %+v", rec)
			}
		})
	}
	// A reload forgets no proof.
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask(http.MethodPost, "/reload", string(admin)); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	if r := call("DPoP", token, used); r.code() != "dpop-replayed" {
		t.Errorf("after a reload: %d %s", r.status, r.code())
	}
	// Who sends nothing learns every way.
	if got := w.get("", path).header.Values("WWW-Authenticate"); len(got) != 2 || !strings.HasPrefix(got[0], "Bearer ") || !strings.HasPrefix(got[1], "DPoP ") {
		t.Errorf("WWW-Authenticate %q", got)
	}
}

// TestDPoPNonce demands a nonce: the first call is told it, and answers tell the next.
func TestDPoPNonce(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "dpop: {require_nonce: true}\n" }))
	mine := newProver(t)
	token := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"cnf": mine.cnf()}})
	call := func(nonce any) reply {
		p := mine.proof("GET", w.fhir+"/Practitioner", token, map[string]any{"nonce": nonce})
		return w.get("", "/Practitioner", "Authorization", "DPoP "+token, "DPoP", p)
	}
	r := call("invented")
	nonce := r.header.Get("DPoP-Nonce")
	if r.status != 401 || r.code() != "dpop-nonce" || nonce == "" || !strings.Contains(r.header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
		t.Fatalf("%d %s %q", r.status, r.body, nonce)
	}
	if rec := w.record(r); rec.Code != "dpop-nonce" || rec.Kind != accesslog.KindRefusal || rec.Actor.Client != "demo-access" {
		t.Errorf("record %+v", rec)
	}
	if r := call(nonce); r.status != 200 || r.header.Get("DPoP-Nonce") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Practitioner"); r.status != 200 || r.header.Get("DPoP-Nonce") != "" {
		t.Errorf("a bearer token: %d %s", r.status, r.code())
	}
}

// A store of proofs that does not know refuses.
func TestReplaysUnavailable(t *testing.T) {
	w := newWorld(t, func(o *worldOptions) { o.run = func(r *gateway.RunOptions) { r.Replays = brokenReplays{} } })
	mine := newProver(t)
	token := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"cnf": mine.cnf()}})
	r := w.get("", "/Practitioner", "Authorization", "DPoP "+token, "DPoP", mine.proof("GET", w.fhir+"/Practitioner", token, nil))
	if r.status != 503 || r.code() != "replay-unavailable" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Code != "replay-unavailable" || rec.Kind != accesslog.KindRefusal {
		t.Errorf("record %+v", rec)
	}
}

// authority makes client certificates.
func authority(t *testing.T) (pemFile []byte, issue func(name string) tls.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), func(name string) tls.Certificate {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(t, err)
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, own.Public(), key)
		check(t, err)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}
	}
}

// TestMTLS has a token that is bound to a client certificate, and an EHR that demands it.
func TestMTLS(t *testing.T) {
	ca, issue := authority(t)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "clients.pem"), ca, 0o600))
	w := newWorld(t, withConfig(func(y string) string {
		y = strings.Replace(y, "\nadmin:", "\n  client_ca: "+filepath.Join(dir, "clients.pem")+"\n  client_auth: request\nadmin:", 1)
		return strings.Replace(y, "    base_url:", "    require_binding: mtls\n    base_url:", 1)
	}))
	with := func(certificate *tls.Certificate) func(token string) reply {
		transport := w.client.Transport.(*http.Transport).Clone()
		if certificate != nil {
			transport.TLSClientConfig.Certificates = []tls.Certificate{*certificate}
		}
		own := *w
		own.client = &http.Client{Transport: transport, Timeout: w.client.Timeout}
		t.Cleanup(transport.CloseIdleConnections)
		return func(token string) reply {
			r := own.get(token, "/Practitioner")
			transport.CloseIdleConnections()
			return r
		}
	}
	mine, other := issue("mine"), issue("other")
	sum := sha256.Sum256(mine.Certificate[0])
	bound := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}}})
	bearer := w.token("demo-access", demo.TokenOptions{})
	for _, c := range []struct {
		name        string
		certificate *tls.Certificate
		token, code string
	}{
		{"its own", &mine, bound, ""},
		{"another", &other, bound, "token-certificate"},
		{"none", nil, bound, "token-certificate"},
		{"a token that is not bound", &mine, bearer, "token-unbound"},
	} {
		r := with(c.certificate)(c.token)
		if c.code == "" {
			if r.status != 200 {
				t.Errorf("%s: %d %s", c.name, r.status, r.body)
			}
			continue
		}
		if r.status != 401 || r.code() != c.code || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), `Bearer realm="halfdoor", error="invalid_token"`) {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
		if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != c.code || rec.Actor.Client != "demo-access" || (rec.Actor.Binding == "mtls") != (c.token == bound) {
			t.Errorf("%s: record %+v", c.name, rec)
		}
	}
}

// TestRequireBinding has an EHR, a client and a policy that demand bound tokens.
func TestRequireBinding(t *testing.T) {
	ask := func(w *world, scheme string, p *prover) reply {
		claims := map[string]any{}
		if p != nil {
			claims["cnf"] = p.cnf()
		}
		token := w.token("demo-access", demo.TokenOptions{Claims: claims})
		headers := []string{"Authorization", scheme + " " + token}
		if p != nil {
			headers = append(headers, "DPoP", p.proof("GET", w.fhir+"/Practitioner", token, nil))
		}
		return w.get("", "/Practitioner", headers...)
	}
	mine := newProver(t)
	for _, c := range []struct {
		name   string
		world  []setting
		status int
		code   string
	}{
		{"an EHR", []setting{withConfig(func(y string) string {
			return strings.Replace(y, "    base_url:", "    require_binding: any\n    base_url:", 1)
		})}, 401, "token-unbound"},
		{"a client", []setting{withConfig(func(y string) string {
			return strings.Replace(y, "vault:", "  - {id: demo-access, require_binding: dpop}\nvault:", 1)
		})}, 401, "token-unbound"},
		{"a policy", []setting{
			withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }),
			withBundle(map[string]string{"halfdoor/decision.rego": strings.Replace(allowAll, `"allow": true`, `"allow": input.caller.binding == "dpop"`, 1)}),
		}, 403, "test-allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.world...)
			r := ask(w, "Bearer", nil)
			if r.status != c.status || r.code() != c.code {
				t.Fatalf("a bearer token: %d %s", r.status, r.body)
			}
			if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != c.code || rec.Actor.Client != "demo-access" {
				t.Errorf("record %+v", rec)
			}
			if c.status == 401 && !slices.ContainsFunc(r.header.Values("WWW-Authenticate"), func(s string) bool { return strings.HasPrefix(s, "DPoP ") }) {
				t.Errorf("WWW-Authenticate %q", r.header.Values("WWW-Authenticate"))
			}
			if r := ask(w, "DPoP", &mine); r.status != 200 {
				t.Errorf("a bound token: %d %s", r.status, r.body)
			}
		})
	}
}
