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
// are retired. A key of RSA takes its time to make, so that there is none until
// it is asked for; who checks a token asks again for a key that it does not know.
type keyring struct {
	mu      sync.Mutex
	current map[string]jose.JSONWebKey // by algorithm
	older   []jose.JSONWebKey
}

// Rotate makes new keys. Tokens signed with the former ones stay valid until
// Retire.
func (i *Issuer) Rotate() error {
	k, err := newKey(ES256)
	if err != nil {
		return err
	}
	i.keys.mu.Lock()
	defer i.keys.mu.Unlock()
	for _, algorithm := range []string{ES256, RS256} {
		if old, ok := i.keys.current[algorithm]; ok {
			i.keys.older = append(i.keys.older, old.Public())
		}
	}
	i.keys.current = map[string]jose.JSONWebKey{ES256: k}
	return nil
}

// newKey makes a key, which is named by its thumbprint (RFC 7638).
func newKey(algorithm string) (jose.JSONWebKey, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		return jose.JSONWebKey{}, fmt.Errorf("no key for %q", algorithm)
	}
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("make an %s key: %w", algorithm, err)
	}
	k := jose.JSONWebKey{Key: key, Algorithm: algorithm, Use: "sig"}
	thumb, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("name an %s key: %w", algorithm, err)
	}
	k.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	return k, nil
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
		if key, ok := k.current[algorithm]; ok {
			set.Keys = append(set.Keys, key.Public())
		}
	}
	set.Keys = append(set.Keys, slices.Clone(k.older)...)
	return set
}

// key is the newest of an algorithm.
func (k *keyring) key(algorithm string) (jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.current[algorithm]; ok {
		return key, nil
	}
	key, err := newKey(algorithm)
	if err == nil {
		k.current[algorithm] = key
	}
	return key, err
}

// sign makes a compact JWS (RFC 7515) of typ over claims.
func (k *keyring) sign(algorithm, typ string, claims map[string]any) (string, error) {
	key, err := k.key(algorithm)
	if err != nil {
		return "", err
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
