package upstream_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// A server that asks for a certificate is shown the gateway's, and so is the token endpoint, where it says who asks.
func TestCertificate(t *testing.T) {
	seen := map[string]int{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[r.URL.Path] = len(r.TLS.PeerCertificates)
		if r.URL.Path == "/token" {
			if r.FormValue("client_id") != "halfdoor" || r.Form.Has("client_assertion") || r.Header.Get("Authorization") != "" {
				t.Errorf("asked with %v", r.Form)
			}
			jsonBody(`{"access_token":"t","token_type":"Bearer","expires_in":60}`)(w, r)
			return
		}
		jsonBody(resource)(w, r)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	shown := s.TLS.Certificates[0]
	e := ehr(t, s.URL, func(o *upstream.Options) {
		o.Bearer, o.RootCAs, o.Certificate = "", pool, &shown
		o.OAuth = &upstream.OAuth{ClientID: "halfdoor", TokenURL: s.URL + "/token"}
	})
	reads(t, e)
	if seen["/token"] != 1 || seen["/Patient/1"] != 1 {
		t.Errorf("certificates shown: %v", seen)
	}
	none := ehr(t, s.URL, func(o *upstream.Options) { o.RootCAs = pool })
	_, err := fetch(t.Context(), none)
	fails(t, err, upstream.Unreachable, "no TLS handshake")
}
