package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// tokenWall is an EHR that only Backend Services opens, with its authorization server.
type tokenWall struct {
	w      *world
	public func() []byte // the keys that it verifies by
	says   atomic.Pointer[http.HandlerFunc]
	closed atomic.Bool  // no token is taken
	seen   atomic.Value // the last token that was shown
	given  atomic.Int64
}

const wallMarker = "Zz-Marker-zZ"

func (e *tokenWall) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if below := strings.TrimPrefix(r.URL.Path, demo.BasePath); below == "/.well-known/smart-configuration" {
		out.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(out, `{"token_endpoint":"http://%s%s/token"}`, r.Host, demo.BasePath)
		return
	} else if below == "/token" {
		e.token(out, r)
		return
	}
	shown := r.Header.Get("Authorization")
	e.seen.Store(shown)
	if e.closed.Load() || e.public != nil && shown != fmt.Sprintf("Bearer wall-%d", e.given.Load()) {
		http.Error(out, wallMarker, http.StatusUnauthorized)
		return
	}
	e.w.sandbox.ServeHTTP(out, r)
}

func (e *tokenWall) token(out http.ResponseWriter, r *http.Request) {
	if says := e.says.Load(); says != nil {
		(*says)(out, r)
		return
	}
	var set jose.JSONWebKeySet
	assertion, err := jwt.ParseSigned(r.FormValue("client_assertion"), []jose.SignatureAlgorithm{jose.ES384})
	var claims jwt.Claims
	if err == nil {
		err = json.Unmarshal(e.public(), &set)
	}
	if err == nil {
		err = assertion.Claims(&set, &claims)
	}
	if err != nil || claims.Subject != "halfdoor" {
		http.Error(out, `{"error":"invalid_client","error_description":"`+wallMarker+`"}`, http.StatusUnauthorized)
		return
	}
	out.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(out, `{"access_token":"wall-%d","token_type":"bearer","expires_in":300}`, e.given.Add(1))
}

// withCredentials sets how the EHR is told who asks.
func withCredentials(yaml string) setting {
	return withConfig(func(y string) string { return strings.Replace(y, "    path: /fhir\n", "    path: /fhir\n"+yaml, 1) })
}

func signingKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	file := filepath.Join(t.TempDir(), "signing.pem")
	check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return file
}

// The EHR's wall opens by the keys that the gateway publishes, and every way in which it does not open has its code and record.
func TestBackendServices(t *testing.T) {
	wall := &tokenWall{}
	key := signingKey(t)
	w := newWorld(t, withEHR(wall), withCredentials("    oauth: {client_id: halfdoor, keys: ["+key+"], jwks_path: /keys/main.json}\n"))
	wall.w = w
	origin := strings.TrimSuffix(w.fhir, "/fhir")
	wall.public = func() []byte { return w.get("", origin+"/keys/main.json").body }
	desk := w.token("demo-scheduling", demo.TokenOptions{})
	if r := w.get(desk, "/Patient?_count=1"); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	before := len(w.records(""))
	r := w.get("", origin+"/keys/main.json")
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(string(r.body), `"d"`) {
		t.Errorf("published %d %s", r.status, r.body)
	}
	if n := len(w.records("")); n != before {
		t.Errorf("%d records of public keys", n-before)
	}
	if r := w.do(http.MethodPost, "", origin+"/keys/main.json"); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST gives %d", r.status)
	}
	if r := w.get("", "/.well-known/jwks.json"); r.status != http.StatusUnauthorized {
		t.Errorf("another place gives %d", r.status)
	}

	says := func(status int, body string) {
		h := http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			out.WriteHeader(status)
			_, _ = io.WriteString(out, body)
		})
		wall.says.Store(&h)
	}
	wall.closed.Store(true)
	for _, c := range []struct {
		name   string
		token  int
		body   string
		status int
		code   string
	}{
		{"the EHR takes no token", 0, "", http.StatusBadGateway, "ehr-refused"},
		{"down", http.StatusServiceUnavailable, wallMarker, http.StatusServiceUnavailable, "ehr-token"},
		{"nonsense", http.StatusOK, wallMarker, http.StatusServiceUnavailable, "ehr-token"},
		{"not taken", http.StatusBadRequest, `{"error":"invalid_client","error_description":"` + wallMarker + `"}`, http.StatusBadGateway, "ehr-token-refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.token != 0 {
				says(c.token, c.body)
				w.edit("halfdoor.yaml", func(y string) string { return y + "# again\n" }) // a generation that holds no token
				w.reload <- os.Interrupt
				w.until("a reload", func() bool { return w.get(desk, "/Patient?_count=1").code() == c.code })
			}
			r := w.get(desk, "/Patient?_count=1")
			if r.status != c.status || r.code() != c.code || strings.Contains(string(r.body), wallMarker) {
				t.Errorf("%d %s", r.status, r.body)
			}
			if rec := w.record(r); rec.Code != c.code || rec.Status != c.status {
				t.Errorf("record %+v", rec)
			}
		})
	}
	if strings.Contains(w.operator.String(), wallMarker) {
		t.Error("the operator's log quotes the authorization server")
	}
}

// A caller's own token reaches the EHR only by a setting that says so.
func TestACallersTokenForwarded(t *testing.T) {
	wall := &tokenWall{}
	w := newWorld(t, withEHR(wall), withCredentials("    insecure_forward_caller_token: true\n"))
	wall.w = w
	desk := w.token("demo-scheduling", demo.TokenOptions{})
	if r := w.get(desk, "/Patient?_count=1"); r.status != http.StatusOK || wall.seen.Load() != "Bearer "+desk {
		t.Errorf("%d, sent %v", r.status, wall.seen.Load())
	}
	wall.closed.Store(true)
	r := w.get(desk, "/Patient?_count=1")
	if r.status != http.StatusForbidden || r.code() != "ehr-caller-refused" || w.record(r).Code != "ehr-caller-refused" {
		t.Errorf("%d %s", r.status, r.body)
	}
	own := &tokenWall{}
	other := newWorld(t, withEHR(own))
	own.w = other
	if r := other.get(other.token("demo-scheduling", demo.TokenOptions{}), "/Patient?_count=1"); r.status != http.StatusOK || own.seen.Load() != "" {
		t.Errorf("%d, sent %v", r.status, own.seen.Load())
	}
}

// Each caller's token is exchanged for one of the EHR's.
func TestTokenExchange(t *testing.T) {
	wall := &tokenWall{}
	secret := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(secret, []byte("between the two of us"), 0o600))
	w := newWorld(t, withEHR(wall), withCredentials("    oauth: {client_id: halfdoor, client_secret: \"file:"+secret+"\", exchange_caller_token: true}\n"))
	wall.w = w
	exchange := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		subject := r.FormValue("subject_token")
		if _, password, _ := r.BasicAuth(); password != "between+the+two+of+us" || subject == "" {
			http.Error(out, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		out.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(out, `{"access_token":"for-%s","token_type":"Bearer","expires_in":300,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`, subject)
	})
	wall.says.Store(&exchange)
	for _, client := range []string{"demo-scheduling", "demo-access"} {
		token := w.token(client, demo.TokenOptions{})
		if r := w.get(token, "/Patient?_count=1"); r.status != http.StatusOK && r.status != http.StatusForbidden {
			t.Errorf("%d %s", r.status, r.body)
		} else if r.status == http.StatusOK && wall.seen.Load() != "Bearer for-"+token {
			t.Errorf("%s: sent %v", client, wall.seen.Load())
		}
	}
	refuses := http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "application/json")
		out.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(out, `{"error":"invalid_request","error_description":"`+wallMarker+`"}`)
	})
	wall.says.Store(&refuses)
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Patient?_count=1")
	if r.status != http.StatusForbidden || r.code() != "ehr-caller-refused" || w.record(r).Code != "ehr-caller-refused" {
		t.Errorf("%d %s", r.status, r.body)
	}
}
