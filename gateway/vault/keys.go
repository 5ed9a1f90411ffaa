package vault

import (
	"container/list"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	aead "github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// Every derived key and every associated data begins with one of these, so that nothing made for one purpose, or by
// another version of this encoding, is taken for another.
const (
	domainToken = "halfdoor/vault/v1/token" // seals a value into its token
	domainLong  = "halfdoor/vault/v1/long"  // names a long id
	domainMap   = "halfdoor/vault/v1/map"   // seals a long id into the mapping file
	domainLink  = "halfdoor/vault/v1/link"  // seals a link
	domainHash  = "halfdoor/vault/v1/hash"  // hashes a value
	domainShift = "halfdoor/vault/v1/shift" // says how far a patient's dates move
)

// maxClients bounds the remembered clients; a client's keys take about 3 KB an epoch in use.
const maxClients = 1024

// epochKeys are one client's keys of one epoch; immutable and safe for concurrent use.
type epochKeys struct {
	epoch byte
	token *siv
	named []byte // HMAC key
	hash  []byte // HMAC key
	maps  *siv
	link  *aead.XChaCha20Poly1305
}

func (epochKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// clientKeys are one client's keys of all epochs, each derived when it is first needed.
type clientKeys struct {
	set            *keyset
	tenant, client string
	shift          func() ([]byte, error) // the HMAC key for Shift, of the tenant
	epochs         []struct {
		once sync.Once
		keys *epochKeys
		err  error
	}
}

func newClientKeys(set *keyset, tenant, client string) *clientKeys {
	c := &clientKeys{set: set, tenant: tenant, client: client}
	c.shift = sync.OnceValues(func() ([]byte, error) { return shiftKey(set, tenant) })
	c.epochs = make([]struct {
		once sync.Once
		keys *epochKeys
		err  error
	}, len(set.keys))
	return c
}

// epoch returns the keys of the i-th epoch of the keyset.
func (c *clientKeys) epoch(i int) (*epochKeys, error) {
	e := &c.epochs[i]
	e.once.Do(func() { e.keys, e.err = c.derive(c.set.keys[i]) })
	return e.keys, e.err
}

func (c *clientKeys) derive(m masterKey) (*epochKeys, error) {
	var err error
	key := func(domain string, size int) []byte {
		if err != nil {
			return nil
		}
		info := appendField(nil, domain)
		info = appendField(info, c.tenant)
		info = appendField(info, c.client)
		info = append(info, m.epoch)
		var k []byte
		k, err = hkdf.Key(sha256.New, m.secret[:], nil, string(info), size)
		return k
	}
	token := key(domainToken, sivKey)
	named := key(domainLong, sha256.Size)
	maps := key(domainMap, sivKey)
	link := key(domainLink, 32)
	hash := key(domainHash, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("vault: derive keys: %w", err)
	}
	k := &epochKeys{epoch: m.epoch, named: named, hash: hash}
	if k.token, err = newSIV(token); err != nil {
		return nil, err
	}
	if k.maps, err = newSIV(maps); err != nil {
		return nil, err
	}
	if k.link, err = aead.NewXChaCha20Poly1305(link); err != nil {
		return nil, err
	}
	return k, nil
}

// appendField appends a text with its length before it, so that no two lists of texts give the same bytes.
func appendField[T ~string | ~[]byte](dst []byte, field T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(field)))
	return append(dst, field...)
}

// clientCache remembers the keys of the clients that called last. A client that fell out is derived again; its tokens
// are the same.
type clientCache struct {
	set *keyset

	mu    sync.Mutex
	byKey map[clientName]*list.Element
	used  *list.List // of *clientKeys, the last used in front
}

type clientName struct{ tenant, client string }

func newClientCache(set *keyset) *clientCache {
	return &clientCache{set: set, byKey: map[clientName]*list.Element{}, used: list.New()}
}

func (c *clientCache) get(tenant, client string) *clientKeys {
	name := clientName{tenant, client}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[name]; ok {
		c.used.MoveToFront(e)
		return e.Value.(*clientKeys)
	}
	keys := newClientKeys(c.set, tenant, client)
	c.byKey[name] = c.used.PushFront(keys)
	if c.used.Len() > maxClients {
		old := c.used.Remove(c.used.Back()).(*clientKeys)
		delete(c.byKey, clientName{old.tenant, old.client})
	}
	return keys
}
