package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Request is what a call says of its caller.
type Request struct {
	Authorization []string // the header's fields
	Proof         []string // the fields of the header DPoP
	Method        string
	URL           string            // by which clients call: the configured public URL and the path, without query
	Certificate   *x509.Certificate // of the client, whose key TLS has proven; nil without
	Tenant        string            // of the EHR that the call is for
}

// Schemes by which a token is presented.
const (
	SchemeBearer = "Bearer" // RFC 6750
	SchemeDPoP   = "DPoP"   // RFC 9449, section 7.1
)

// confirmation is by which keys a token can be used (RFC 7800): those that are named all
// have to be proven.
type confirmation struct {
	key         string // RFC 9449, section 6.1: jkt, the thumbprint of a key that signs proofs
	certificate string // RFC 8705, section 3.1: x5t#S256, the thumbprint of a client certificate
}

// confirm reads a token's cnf. A way of proof that is not known here cannot be demanded of
// the caller, so the token is of no use.
func confirm(cnf jsontext.Value) (confirmation, bool) {
	if cnf == nil {
		return confirmation{}, true
	}
	var c struct {
		Key         *string `json:"jkt"`
		Certificate *string `json:"x5t#S256"`
	}
	if cnf.Kind() != '{' || json.Unmarshal(cnf, &c, json.RejectUnknownMembers(true)) != nil || c.Key == nil && c.Certificate == nil {
		return confirmation{}, false
	}
	var out confirmation
	for _, s := range []struct {
		from *string
		into *string
	}{{c.Key, &out.key}, {c.Certificate, &out.certificate}} {
		if s.from == nil {
			continue
		}
		if sum, ok := segment(*s.from); !ok || len(sum) != sha256.Size {
			return confirmation{}, false
		}
		*s.into = *s.from
	}
	return out, true
}

// Authenticate is the caller of a request, or an *Error. The context bounds how long an
// issuer is waited for.
func (a *Authenticator) Authenticate(ctx context.Context, r Request) (*Caller, error) {
	scheme, raw, refused := credentials(r.Authorization, a.tokenBytes)
	if refused != nil {
		return nil, refused
	}
	caller, refused := a.authenticate(ctx, r, scheme, raw)
	if refused != nil {
		refused.Scheme = scheme
		if scheme == SchemeDPoP {
			refused.Nonce = a.Nonce()
		}
		return nil, refused
	}
	return caller, nil
}

func (a *Authenticator) authenticate(ctx context.Context, r Request, scheme, raw string) (*Caller, *Error) {
	v, refused := a.known(ctx, raw, r.Tenant)
	if refused != nil {
		return nil, refused
	}
	code := CodeTenant
	if v.source.opens(r.Tenant) {
		code = a.prove(r, scheme, raw, v)
	}
	if code != "" {
		e := v.source.fail(code)
		e.Caller = v.caller
		return nil, e
	}
	return v.caller, nil
}

// prove holds a request to the keys that its token is bound to, and returns the code of
// what is wrong, or "".
func (a *Authenticator) prove(r Request, scheme, raw string, v verified) string {
	if (scheme == SchemeDPoP) != (v.confirm.key != "") {
		// RFC 9449, section 7.2: a bound token as a bearer token is one that was stolen, or
		// meant for a server that does not look. The other way around a proof proves nothing.
		return CodeBinding
	}
	if sum := v.confirm.certificate; sum != "" {
		// RFC 8705, section 3: the certificate of the connection has to be the token's.
		if r.Certificate == nil || !same(thumbprint(r.Certificate.Raw), sum) {
			return CodeCertificate
		}
	}
	if v.confirm.key != "" {
		return a.proof(r, raw, v)
	}
	return ""
}

func thumbprint(doc []byte) string {
	sum := sha256.Sum256(doc)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
