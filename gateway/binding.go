package gateway

import (
	"crypto/x509"
	"net/http"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/auth"
)

// credentials are what a request says of its caller. A DPoP proof is compared with the
// configured public URL, never with what the request says that it was sent to.
func credentials(r *http.Request, rt *route, below string) auth.Request {
	return auth.Request{
		Authorization: r.Header["Authorization"], Proof: r.Header["Dpop"],
		Method: r.Method, URL: rt.base + below, Certificate: certificate(r), Tenant: rt.tenant,
	}
}

// certificate is the client's, which the listener has verified; nil without one.
func certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// bindings are what the configuration demands of each client.
func bindings(clients []configs.Client) map[clientKey]string {
	m := map[clientKey]string{}
	for _, c := range clients {
		m[clientKey{c.Issuer, c.ID}] = c.RequireBinding
	}
	return m
}

// bound holds a caller to how the EHR and the configuration of its client want tokens bound.
func (g *generation) bound(rt *route, caller *auth.Caller) error {
	for _, demand := range []string{rt.binding, g.bindings[clientKey{caller.Issuer, caller.ClientID}]} {
		met, scheme := true, auth.SchemeDPoP
		switch demand {
		case "", "none":
		case "any":
			met = caller.DPoP || caller.MTLS
		case "dpop":
			met = caller.DPoP
		case "mtls":
			met, scheme = caller.MTLS, auth.SchemeBearer
		default: // not a configuration that was validated
			met = false
		}
		if !met {
			r := refusal("token-unbound")
			r.challenge, r.scheme = "invalid_token", scheme
			return r
		}
	}
	return nil
}

// binding is what a policy is told of how the caller's token is bound.
func binding(caller *auth.Caller) string {
	switch {
	case caller.DPoP:
		return "dpop"
	case caller.MTLS:
		return "mtls"
	}
	return "none"
}
