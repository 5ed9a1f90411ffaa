package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// nonceStep is how long a nonce is handed out; it is taken for as long again.
const nonceStep = 2 * time.Minute

// nonces makes the nonces of DPoP proofs (RFC 9449, section 9): the number of a step of
// time under a key that nobody else has. So they need no store, cannot be foretold, and
// age by themselves. All who call within a step are given the same one: that a proof is
// good once is the replay cache's task.
type nonces struct{ key [sha256.Size]byte }

func newNonces() *nonces {
	n := new(nonces)
	rand.Read(n.key[:]) // never fails: crypto/rand aborts the process instead
	return n
}

func (n *nonces) at(step int64) string {
	mac := hmac.New(sha256.New, n.key[:])
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(step))
	mac.Write(b[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (n *nonces) current(now time.Time) string { return n.at(now.UnixNano() / int64(nonceStep)) }

func (n *nonces) good(nonce string, now time.Time) bool {
	step := now.UnixNano() / int64(nonceStep)
	return same(nonce, n.at(step)) || same(nonce, n.at(step-1))
}

// Nonce is what the next DPoP proof has to hold, and answers to such calls hand out (RFC
// 9449, section 8.2); "" where none is demanded.
func (a *Authenticator) Nonce() string {
	if !a.demandNonce {
		return ""
	}
	return a.nonces.current(a.now())
}
