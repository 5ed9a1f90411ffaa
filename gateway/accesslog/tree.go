package accesslog

import (
	"crypto/sha256"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// A tree is the frontier of an RFC 6962 Merkle tree: the roots of the complete subtrees that cover
// its leaves, the largest first, one for each bit set in size. Its memory grows with the logarithm
// of the log.
type tree struct {
	size  int64
	nodes []tlog.Hash
}

// append adds a leaf.
func (t *tree) append(h tlog.Hash) {
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.nodes) - 1
		h = tlog.NodeHash(t.nodes[last], h)
		t.nodes = t.nodes[:last]
	}
	t.nodes = append(t.nodes, h)
	t.size++
}

// root returns the tree's hash (RFC 6962, section 2.1).
func (t *tree) root() tlog.Hash {
	if len(t.nodes) == 0 {
		return sha256.Sum256(nil)
	}
	last := len(t.nodes) - 1
	h := t.nodes[last]
	for i := last - 1; i >= 0; i-- {
		h = tlog.NodeHash(t.nodes[i], h)
	}
	return h
}

// whole reports whether the tree has as many nodes as its size demands.
func (t *tree) whole() bool {
	return t.size >= 0 && len(t.nodes) == bits.OnesCount64(uint64(t.size))
}

// clone returns a copy that can grow on its own.
func (t *tree) clone() tree {
	return tree{t.size, append(make([]tlog.Hash, 0, len(t.nodes)+1), t.nodes...)}
}
