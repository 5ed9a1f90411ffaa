package demo

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms that tokens are signed with. ES256 is used where none is asked
// for.
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// A keyring signs with its newest keys and publishes the older ones until they
// are retired.
type keyring struct {
	mu      sync.Mutex
	current map[string]jose.JSONWebKey // by algorithm
	older   []jose.JSONWebKey
}

// Rotate makes new keys. Tokens signed with the former ones stay valid until
// Retire.
func (i *Issuer) Rotate() error {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make an ES256 key: %w", err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make an RS256 key: %w", err)
	}
	fresh := map[string]jose.JSONWebKey{}
	for algorithm, key := range map[string]crypto.Signer{ES256: ec, RS256: rs} {
		k := jose.JSONWebKey{Key: key, Algorithm: algorithm, Use: "sig"}
		thumb, err := k.Thumbprint(crypto.SHA256) // RFC 7638
		if err != nil {
			return fmt.Errorf("name an %s key: %w", algorithm, err)
		}
		k.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
		fresh[algorithm] = k
	}
	i.keys.mu.Lock()
	defer i.keys.mu.Unlock()
	for _, algorithm := range []string{ES256, RS256} {
		if old, ok := i.keys.current[algorithm]; ok {
			i.keys.older = append(i.keys.older, old.Public())
		}
	}
	i.keys.current = fresh
	return nil
}

// Retire takes the keys before the newest out of the published set.
func (i *Issuer) Retire() {
	i.keys.mu.Lock()
	defer i.keys.mu.Unlock()
	i.keys.older = nil
}

func (k *keyring) public() jose.JSONWebKeySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, algorithm := range []string{ES256, RS256} {
		key := k.current[algorithm]
		set.Keys = append(set.Keys, key.Public())
	}
	set.Keys = append(set.Keys, slices.Clone(k.older)...)
	return set
}

// sign makes a compact JWS (RFC 7515) of typ over claims.
func (k *keyring) sign(algorithm, typ string, claims map[string]any) (string, error) {
	k.mu.Lock()
	key, ok := k.current[algorithm]
	k.mu.Unlock()
	if !ok {
		return "", fmt.Errorf("no key for %q", algorithm)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("write claims: %w", err)
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key}, options)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed.CompactSerialize()
}

func (i *Issuer) publicKeys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, i.keys.public())
}
