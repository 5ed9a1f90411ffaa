package upstream

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/go-jose/go-jose/v4"
)

// Key is a private key by which the gateway signs who it is (RFC 7523). It does not print.
type Key struct {
	private   crypto.Signer
	algorithm jose.SignatureAlgorithm
	id        string // "kid"
}

// What is wrong with a file of keys. No error quotes any of it.
var (
	ErrNotKey  = errors.New("want one private key in PEM, or a private JWK or JWK Set")
	ErrKeyKind = errors.New("want RSA of at least 2048 bits, for RS384, or EC on P-384, for ES384")
	ErrKeyUse  = errors.New("the JWK says that it is for something else than signing by RS384 or ES384")
)

// ParseKeys reads a PEM file (PKCS #8, PKCS #1 or SEC 1, not encrypted), a private JWK, or a JWK Set of private keys
// (RFC 7517). A key without a "kid" is called by its thumbprint (RFC 7638). The algorithm is the key's own: RS384 or ES384,
// the two that every server of SMART Backend Services takes (SMART App Launch 2.2, section 5.1.1).
func ParseKeys(data []byte) ([]*Key, error) {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '{' {
		return parseJWK(data)
	}
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, ErrNotKey
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		err = ErrNotKey
	}
	if err != nil {
		return nil, ErrNotKey
	}
	k, err := newKey(jose.JSONWebKey{Key: private})
	if err != nil {
		return nil, err
	}
	return []*Key{k}, nil
}

func parseJWK(data []byte) ([]*Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(data, &set) != nil {
		return nil, ErrNotKey
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{data}
	}
	var keys []*Key
	for _, raw := range set.Keys {
		var jwk jose.JSONWebKey
		if json.Unmarshal(raw, &jwk) != nil || jwk.IsPublic() || !jwk.Valid() {
			return nil, ErrNotKey
		}
		k, err := newKey(jwk)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, ErrNotKey
	}
	return keys, nil
}

func newKey(jwk jose.JSONWebKey) (*Key, error) {
	k := &Key{id: jwk.KeyID}
	switch private := jwk.Key.(type) {
	case *rsa.PrivateKey:
		if private.N.BitLen() < 2048 {
			return nil, ErrKeyKind
		}
		k.private, k.algorithm = private, jose.RS384
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P384() {
			return nil, ErrKeyKind
		}
		k.private, k.algorithm = private, jose.ES384
	default:
		return nil, ErrKeyKind
	}
	if jwk.Algorithm != "" && jwk.Algorithm != string(k.algorithm) || jwk.Use != "" && jwk.Use != "sig" {
		return nil, ErrKeyUse
	}
	if k.id == "" {
		print, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, ErrNotKey
		}
		k.id = base64.RawURLEncoding.EncodeToString(print)
	}
	return k, nil
}

// Format prints no key, whatever the verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// MarshalText keeps a key out of JSON and log lines.
func (k *Key) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// public is what may be known of a key.
func (k *Key) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig"}
}

// JWKS is the JWK Set by which the server verifies the gateway's signatures: the public half of every key, those that do
// not sign yet or no longer too. It is nil where the gateway signs nothing.
func (e *EHR) JWKS() ([]byte, error) {
	if e.o.OAuth == nil || len(e.o.OAuth.Keys) == 0 {
		return nil, nil
	}
	var set jose.JSONWebKeySet
	for _, k := range e.o.OAuth.Keys {
		set.Keys = append(set.Keys, k.public())
	}
	return json.Marshal(set)
}
