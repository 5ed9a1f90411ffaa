package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// replays is the plainest store of what was used; broken refuses to know.
type replays struct {
	mu     sync.Mutex
	seen   map[[32]byte]time.Time
	broken bool
}

func (r *replays) Use(owner string, hash [32]byte, until time.Time) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return false, errors.New("broken")
	}
	_, had := r.seen[hash]
	r.seen[hash] = until
	return !had, nil
}

var (
	clientPair = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	thiefPair  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func jwkOf(k *ecdsa.PrivateKey) string {
	return string(must(json.Marshal(jose.JSONWebKey{Key: k.Public()})))
}

func thumb(k crypto.Signer) string {
	jwk := jose.JSONWebKey{Key: k.Public()}
	return base64.RawURLEncoding.EncodeToString(must(jwk.Thumbprint(crypto.SHA256)))
}

// signES256 signs any header and payload.
func signES256(k *ecdsa.PrivateKey, header, payload string) string {
	input := encode(header) + "." + encode(payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		panic(err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + encode(string(sig[:]))
}

const proofURL = "https://gateway.example/fhir/Patient"

var proofs atomic.Int64

// proofClaims are those of a good proof for a token, with changes; nil takes one out.
func proofClaims(token string, changes ...claim) string {
	sum := sha256.Sum256([]byte(token))
	c := claim{
		"jti": fmt.Sprint("p", proofs.Add(1)), "htm": "GET", "htu": proofURL, "iat": start.Unix(), "ath": encode(string(sum[:])),
	}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return string(must(json.Marshal(c)))
}

func proofHeader(k *ecdsa.PrivateKey) string {
	return `{"typ":"dpop+jwt","alg":"ES256","jwk":` + jwkOf(k) + `}`
}

func proof(token string, changes ...claim) string {
	return signES256(clientPair(), proofHeader(clientPair()), proofClaims(token, changes...))
}

type bindings struct {
	*auth.Authenticator
	clock   *clock
	replays *replays
	bound   string // a token that is bound to clientPair
	bearer  string // one that is not bound
	issuer  *issuer
}

func newBindings(t testing.TB, change func(*auth.Options)) *bindings {
	iss := newIssuer(t, ecKey("ec"))
	b := &bindings{clock: newClock(), replays: &replays{seen: map[[32]byte]time.Time{}}, issuer: iss}
	o := auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: b.clock.now, Replays: b.replays}
	if change != nil {
		change(&o)
	}
	b.Authenticator = newAuth(t, o)
	b.bound = sign(t, ecKey("ec"), "at+jwt", iss.claims(claim{"cnf": claim{"jkt": thumb(clientPair())}}))
	b.bearer = sign(t, ecKey("ec"), "at+jwt", iss.claims())
	return b
}

func (b *bindings) request(token string, proofs ...string) auth.Request {
	return auth.Request{Authorization: []string{"DPoP " + token}, Proof: proofs, Method: "GET", URL: proofURL}
}

// refusal is the error of a request, or nil; the caller is held to be there or not.
func refusalOf(t testing.TB, a *auth.Authenticator, r auth.Request) *auth.Error {
	t.Helper()
	caller, err := a.Authenticate(t.Context(), r)
	if err == nil {
		if caller == nil {
			t.Fatal("neither caller nor error")
		}
		return nil
	}
	var e *auth.Error
	if !errors.As(err, &e) || caller != nil || e.Sentence() == "" {
		t.Fatalf("Authenticate = %v, %v", caller, err)
	}
	return e
}

func codeOf(t testing.TB, a *auth.Authenticator, r auth.Request) string {
	t.Helper()
	if e := refusalOf(t, a, r); e != nil {
		return e.Code
	}
	return ""
}

func TestProof(t *testing.T) {
	b := newBindings(t, nil)
	caller, err := b.Authenticate(t.Context(), b.request(b.bound, proof(b.bound)))
	if err != nil || !caller.DPoP || caller.MTLS {
		t.Fatalf("%+v, %v", caller, err)
	}
	other := func(header, claims string) string { return signES256(clientPair(), header, claims) }
	good := proofHeader(clientPair())
	head := func(from, to string) string {
		return other(strings.Replace(good, from, to, 1), proofClaims(b.bound))
	}
	with := func(c claim) string { return proof(b.bound, c) }
	private := string(must(json.Marshal(jose.JSONWebKey{Key: clientPair()})))
	rsaPublic := string(must(json.Marshal(jose.JSONWebKey{Key: rsaPair().Public()})))
	weak := string(must(json.Marshal(jose.JSONWebKey{Key: weakRSA().Public()})))
	p384 := string(must(json.Marshal(jose.JSONWebKey{Key: ec384Pair().Public()})))
	at := func(d time.Duration) claim { return claim{"iat": start.Add(d).Unix()} }
	used := proof(b.bound)
	if got := codeOf(t, b.Authenticator, b.request(b.bound, used)); got != "" {
		t.Fatal(got)
	}
	for _, c := range []struct {
		name  string
		proof []string
		want  string
	}{
		{"none", nil, auth.CodeProofMissing},
		{"two", []string{proof(b.bound), proof(b.bound)}, auth.CodeProofMalformed},
		{"two in one", []string{proof(b.bound) + ", " + proof(b.bound)}, auth.CodeProofMalformed},
		{"empty", []string{""}, auth.CodeProofMalformed},
		{"no JWT", []string{"proof"}, auth.CodeProofMalformed},
		{"encrypted", []string{"a.b.c.d.e"}, auth.CodeProofMalformed},
		{"too long", []string{with(claim{"x": strings.Repeat("x", 8<<10)})}, auth.CodeProofMalformed},
		{"padding", []string{proof(b.bound) + "="}, auth.CodeProofMalformed},
		{"a claim twice", []string{other(good, `{"jti":"a",`+proofClaims(b.bound)[1:])}, auth.CodeProofMalformed},
		{"a claim of the wrong kind", []string{with(claim{"htm": []string{"GET"}})}, auth.CodeProofMalformed},
		{"crit", []string{head(`"alg"`, `"crit":["x"],"x":1,"alg"`)}, auth.CodeProofMalformed},
		{"jku", []string{head(`"alg"`, `"jku":"https://evil.example","alg"`)}, auth.CodeProofMalformed},
		{"no jti", []string{with(claim{"jti": nil})}, auth.CodeProofMalformed},
		{"a jti without end", []string{with(claim{"jti": strings.Repeat("a", 300)})}, auth.CodeProofMalformed},
		{"no htm", []string{with(claim{"htm": nil})}, auth.CodeProofMalformed},
		{"no htu", []string{with(claim{"htu": nil})}, auth.CodeProofMalformed},
		{"no iat", []string{with(claim{"iat": nil})}, auth.CodeProofMalformed},
		{"no ath", []string{with(claim{"ath": nil})}, auth.CodeProofMalformed},
		{"another typ", []string{head("dpop+jwt", "JWT")}, auth.CodeProofType},
		{"no typ", []string{head(`"typ":"dpop+jwt",`, "")}, auth.CodeProofType},
		{"alg none", []string{head("ES256", "none")}, auth.CodeProofAlgorithm},
		{"a symmetric alg", []string{head("ES256", "HS256")}, auth.CodeProofAlgorithm},
		{"no alg", []string{head(`"alg":"ES256",`, "")}, auth.CodeProofAlgorithm},
		{"no key", []string{other(`{"typ":"dpop+jwt","alg":"ES256"}`, proofClaims(b.bound))}, auth.CodeProofKey},
		{"a secret for a key", []string{other(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct","k":"c2VjcmV0"}}`, proofClaims(b.bound))}, auth.CodeProofKey},
		{"a private key", []string{other(`{"typ":"dpop+jwt","alg":"ES256","jwk":`+private+`}`, proofClaims(b.bound))}, auth.CodeProofKey},
		{"a key of another type", []string{other(`{"typ":"dpop+jwt","alg":"ES256","jwk":`+rsaPublic+`}`, proofClaims(b.bound))}, auth.CodeProofKey},
		{"a key of another curve", []string{other(`{"typ":"dpop+jwt","alg":"ES256","jwk":`+p384+`}`, proofClaims(b.bound))}, auth.CodeProofKey},
		{"a weak key", []string{other(`{"typ":"dpop+jwt","alg":"RS256","jwk":`+weak+`}`, proofClaims(b.bound))}, auth.CodeProofKey},
		{"the signature of another", []string{signES256(thiefPair(), good, proofClaims(b.bound))}, auth.CodeProofSignature},
		{"no signature", []string{proof(b.bound)[:strings.LastIndex(proof(b.bound), ".")+1]}, auth.CodeProofMalformed + auth.CodeProofSignature},
		{"another method", []string{with(claim{"htm": "POST"})}, auth.CodeProofMethod},
		{"the method in lower case", []string{with(claim{"htm": "get"})}, auth.CodeProofMethod},
		{"another path", []string{with(claim{"htu": proofURL + "/1"})}, auth.CodeProofURL},
		{"another host", []string{with(claim{"htu": "https://evil.example/fhir/Patient"})}, auth.CodeProofURL},
		{"another port", []string{with(claim{"htu": "https://gateway.example:444/fhir/Patient"})}, auth.CodeProofURL},
		{"another scheme", []string{with(claim{"htu": "http://gateway.example/fhir/Patient"})}, auth.CodeProofURL},
		{"another user", []string{with(claim{"htu": "https://a@gateway.example/fhir/Patient"})}, auth.CodeProofURL},
		{"another case of the path", []string{with(claim{"htu": "https://gateway.example/fhir/patient"})}, auth.CodeProofURL},
		{"an encoded slash", []string{with(claim{"htu": "https://gateway.example/fhir%2FPatient"})}, auth.CodeProofURL},
		{"a path alone", []string{with(claim{"htu": "/fhir/Patient"})}, auth.CodeProofURL},
		{"old", []string{with(at(-time.Minute))}, auth.CodeProofTime},
		{"of the future", []string{with(at(31 * time.Second))}, auth.CodeProofTime},
		{"another token", []string{proof(b.bearer)}, auth.CodeProofToken},
		{"a stolen token", []string{signES256(thiefPair(), proofHeader(thiefPair()), proofClaims(b.bound))}, auth.CodeProofKeyOther},
		{"replayed", []string{used}, auth.CodeProofReplayed},

		{"a query in htu", []string{with(claim{"htu": proofURL + "?a=b#c"})}, ""},
		{"an equal htu", []string{with(claim{"htu": "HTTPS://GATEWAY.example:443/fhir/%50atient"})}, ""},
		{"a nonce that nobody asked for", []string{with(claim{"nonce": "n"})}, ""},
		{"nearly too old", []string{with(at(-59 * time.Second))}, ""},
		{"nearly of the future", []string{with(at(30 * time.Second))}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := refusalOf(t, b.Authenticator, b.request(b.bound, c.proof...))
			switch {
			case e == nil && c.want == "":
			case e == nil || c.want == "" || !strings.Contains(c.want, e.Code):
				t.Errorf("%v, want %q", e, c.want)
			case e.Scheme != auth.SchemeDPoP || e.Challenge() != "invalid_dpop_proof" || e.Nonce != "":
				t.Errorf("challenge %s %s %q", e.Scheme, e.Challenge(), e.Nonce)
			}
		})
	}
	// Whoever has a bound token and no key has nothing, and who has none cannot fill the store.
	n := len(b.replays.seen)
	for name, r := range map[string]auth.Request{
		"as a bearer token":            {Authorization: []string{"Bearer " + b.bound}, Proof: []string{proof(b.bound)}, Method: "GET", URL: proofURL},
		"as a bearer token, no proof":  {Authorization: []string{"Bearer " + b.bound}, Method: "GET", URL: proofURL},
		"a bearer token with a proof":  b.request(b.bearer, proof(b.bearer)),
		"a bearer token without proof": b.request(b.bearer),
	} {
		if e := refusalOf(t, b.Authenticator, r); e == nil || e.Code != auth.CodeBinding || e.Challenge() != "invalid_token" {
			t.Errorf("%s: %v", name, e)
		}
	}
	if len(b.replays.seen) != n {
		t.Error("a proof was remembered that was not looked at")
	}
	if got := codeOf(t, b.Authenticator, auth.Request{Authorization: []string{"Bearer " + b.bearer}, Proof: []string{"x"}}); got != "" {
		t.Errorf("a bearer token whose client sends proofs to everybody: %q", got)
	}
	b.replays.broken = true
	if e := refusalOf(t, b.Authenticator, b.request(b.bound, proof(b.bound))); e == nil || e.Code != auth.CodeReplays || e.Challenge() != "" {
		t.Errorf("a store that does not know: %v", e)
	}
	b.replays.broken = false
	b.clock.advance(time.Minute)
	if got := codeOf(t, b.Authenticator, b.request(b.bound, used)); got != auth.CodeProofTime {
		t.Errorf("a used proof when the store may have forgotten it: %q", got)
	}
}

// Other keys and algorithms sign proofs, too.
func TestProofAlgorithms(t *testing.T) {
	b := newBindings(t, nil)
	for _, k := range []signingKey{
		{alg: "RS256", private: rsaPair()}, {alg: "PS256", private: rsaPair()}, {alg: "ES384", private: ec384Pair()}, {alg: "EdDSA", private: edPair()},
	} {
		token := sign(t, ecKey("ec"), "", b.issuer.claims(claim{"cnf": claim{"jkt": thumb(k.private)}}))
		o := &jose.SignerOptions{EmbedJWK: true}
		signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.alg), Key: k.private}, o.WithType("dpop+jwt")))
		jws := must(signer.Sign([]byte(proofClaims(token))))
		if got := codeOf(t, b.Authenticator, b.request(token, must(jws.CompactSerialize()))); got != "" {
			t.Errorf("%s: %q", k.alg, got)
		}
	}
}

func TestNonce(t *testing.T) {
	var o auth.Options
	b := newBindings(t, func(opts *auth.Options) { opts.DemandNonce, opts.ProofAge = true, time.Hour; o = *opts })
	try := func(a *auth.Authenticator, nonce any) *auth.Error {
		t.Helper()
		return refusalOf(t, a, b.request(b.bound, proof(b.bound, claim{"nonce": nonce})))
	}
	for name, nonce := range map[string]any{"none": nil, "empty": "", "invented": strings.Repeat("a", 43)} {
		e := try(b.Authenticator, nonce)
		if e == nil || e.Code != auth.CodeProofNonce || e.Challenge() != "use_dpop_nonce" || e.Nonce != b.Nonce() || e.Nonce == "" {
			t.Errorf("%s: %v", name, e)
		}
	}
	first := b.Nonce()
	if e := try(b.Authenticator, first); e != nil {
		t.Errorf("as handed out: %v", e)
	}
	o.Previous = b.Authenticator
	again := newAuth(t, o)
	if e := try(again, first); e != nil {
		t.Errorf("after a reload: %v", e)
	}
	o.Previous = nil
	if e := try(newAuth(t, o), first); e == nil || e.Code != auth.CodeProofNonce {
		t.Errorf("of another process: %v", e)
	}
	b.clock.advance(2 * time.Minute)
	if e := try(b.Authenticator, first); e != nil || b.Nonce() == first {
		t.Errorf("the one before: %v", e)
	}
	b.clock.advance(2 * time.Minute)
	if e := try(b.Authenticator, first); e == nil || e.Code != auth.CodeProofNonce {
		t.Errorf("old: %v", e)
	}
}

// Of one proof that is sent many times at once, one is good.
func TestProofOnce(t *testing.T) {
	b := newBindings(t, nil)
	p := proof(b.bound)
	var good atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			switch got := codeOf(t, b.Authenticator, b.request(b.bound, p)); got {
			case "":
				good.Add(1)
			case auth.CodeProofReplayed:
			default:
				t.Errorf("%q", got)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("good %d times", good.Load())
	}
}

func TestCertificateBinding(t *testing.T) {
	b := newBindings(t, nil)
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("other")}
	sum := sha256.Sum256(mine.Raw)
	x5t := claim{"x5t#S256": encode(string(sum[:]))}
	token := sign(t, ecKey("ec"), "", b.issuer.claims(claim{"cnf": x5t}))
	both := sign(t, ecKey("ec"), "", b.issuer.claims(claim{"cnf": claim{"x5t#S256": x5t["x5t#S256"], "jkt": thumb(clientPair())}}))
	for _, c := range []struct {
		name          string
		authorization string
		certificate   *x509.Certificate
		proof         []string
		want          string
	}{
		{"its own", "Bearer " + token, mine, nil, ""},
		{"none", "Bearer " + token, nil, nil, auth.CodeCertificate},
		{"another", "Bearer " + token, other, nil, auth.CodeCertificate},
		{"as DPoP", "DPoP " + token, mine, []string{proof(token)}, auth.CodeBinding},
		{"a certificate with a bearer token", "Bearer " + b.bearer, mine, nil, ""},
		{"both", "DPoP " + both, mine, []string{proof(both)}, ""},
		{"both, without the proof", "DPoP " + both, mine, nil, auth.CodeProofMissing},
		{"both, without the certificate", "DPoP " + both, nil, []string{proof(both)}, auth.CodeCertificate},
		{"both, as a bearer token", "Bearer " + both, mine, nil, auth.CodeBinding},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // remembered, it has to be proven again
				r := auth.Request{Authorization: []string{c.authorization}, Proof: c.proof, Method: "GET", URL: proofURL, Certificate: c.certificate}
				got := codeOf(t, b.Authenticator, r)
				if len(c.proof) > 0 && got == auth.CodeProofReplayed {
					continue
				}
				if got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			}
		})
	}
	if c := caller(t, b.Authenticator, b.bearer); c.DPoP || c.MTLS {
		t.Errorf("%+v", c)
	}
}

// FuzzProof: of whatever a client signs with its key, only what says method, address and token
// is a proof.
func FuzzProof(f *testing.F) {
	b := newBindings(f, func(o *auth.Options) {
		o.Issuers = []auth.Issuer{{URL: fuzzIssuer, Audiences: []string{audience}, Client: offlineClient()}}
	})
	token := signEd(goodHeader, strings.Replace(goodPayload, `"scope"`, `"cnf":{"jkt":"`+thumb(clientPair())+`"},"scope"`, 1))
	good := proofHeader(clientPair())
	f.Add(good, proofClaims(token))
	f.Add(good, proofClaims(token, claim{"htu": proofURL + "?x"}))
	f.Add(good, proofClaims(token, claim{"htm": "POST"}))
	f.Add(strings.Replace(good, "ES256", "none", 1), proofClaims(token))
	f.Fuzz(func(t *testing.T, header, payload string) {
		if codeOf(t, b.Authenticator, b.request(token, signES256(clientPair(), header, payload))) != "" {
			return
		}
		var h, c map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &c) != nil ||
			h["typ"] != "dpop+jwt" || h["alg"] != "ES256" || c["htm"] != "GET" {
			t.Fatalf("accepted: %q %q", header, payload)
		}
		if url, _ := c["htu"].(string); !strings.Contains(strings.ToLower(url), "gateway.example") {
			t.Fatalf("accepted: %q", url)
		}
	})
}
