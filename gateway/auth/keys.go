package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// algorithms are all that can be configured (RFC 7518, section 3.1; RFC 8037). A shared
// secret is never among them: with HS256 a public key would be one.
func algorithms() []string {
	return []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
		oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
	}
}

func asymmetric(alg string) bool {
	switch alg {
	case oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
		oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA:
		return true
	}
	return false
}

const (
	maxKeys    = 64
	minRSABits = 2048 // RFC 7518, section 3.3
)

// key is a published public key. The same key keeps its pointer from one fetch to the
// next, so that pointers tell whether a key is still published.
type key struct {
	id    string
	print string // RFC 7638 thumbprint
	alg   string // what its use is limited to; "" for whatever its type can do
	jwk   jose.JSONWebKey
}

// keySet is what an issuer published at one time. It does not change.
type keySet struct {
	fetched time.Time
	byID    map[string][]*key // nearly always one
}

func (s *keySet) holds(k *key) bool { return slices.Contains(s.byID[k.id], k) }

// readKeys reads a JSON Web Key Set (RFC 7517, section 5). Keys that are of no use here
// (without an id, for encryption, secret, weak, of unknown type, malformed) are ignored,
// as the RFC has it; a set without any other is an answer, and revokes everything.
func readKeys(doc []byte, old *keySet, fetched time.Time) (*keySet, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(doc, &set); err != nil || set.Keys == nil {
		return nil, errors.New("no JSON Web Key Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, errors.New("too many keys")
	}
	out := &keySet{fetched: fetched, byID: make(map[string][]*key)}
	for _, raw := range set.Keys {
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON(raw) != nil || !usable(&jwk) {
			continue
		}
		thumb, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			continue
		}
		k := &key{id: jwk.KeyID, print: string(thumb), alg: jwk.Algorithm, jwk: jwk}
		if old != nil {
			for _, o := range old.byID[k.id] {
				if o.print == k.print && o.alg == k.alg {
					k = o
				}
			}
		}
		out.byID[k.id] = append(out.byID[k.id], k)
	}
	return out, nil
}

func usable(jwk *jose.JSONWebKey) bool {
	if jwk.KeyID == "" || jwk.Use != "" && jwk.Use != "sig" || !jwk.IsPublic() || !jwk.Valid() {
		return false // a private key that is published is nobody's any more
	}
	rsaKey, ok := jwk.Key.(*rsa.PublicKey)
	return !ok || rsaKey.N.BitLen() >= minRSABits
}

// fits reports whether the key is for the algorithm. The type decides, not the token.
func (k *key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch pub := k.jwk.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		switch alg {
		case oidc.ES256:
			return pub.Curve == elliptic.P256()
		case oidc.ES384:
			return pub.Curve == elliptic.P384()
		case oidc.ES512:
			return pub.Curve == elliptic.P521()
		}
	case ed25519.PublicKey:
		return alg == oidc.EdDSA
	}
	return false
}

// pinned is an oidc.KeySet of one key for one token: which key it is was decided before,
// and the network has no part in it. payload is set once the signature was found good.
type pinned struct {
	key     *key
	alg     string
	payload []byte
}

// VerifySignature implements oidc.KeySet.
func (p *pinned) VerifySignature(_ context.Context, jwt string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(p.alg)})
	if err != nil {
		return nil, err
	}
	payload, err := jws.Verify(&p.key.jwk)
	if err != nil {
		return nil, err
	}
	p.payload = payload
	return payload, nil
}
