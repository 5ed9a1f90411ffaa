package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// A Growth follows the tree of a log, and proves that it extends the trees that it was (RFC 6962, section
// 2.1.2). It reads each record once, however often it is asked, and its memory grows with the logarithm of the
// log. It is for one goroutine.
type Growth struct {
	dir   string
	first int64 // records that retention had removed when reading began
	end   End
	tree  tree
	olds  map[int64]*stem
}

// NewGrowth follows the log in a folder. The first proof reads all of it.
func NewGrowth(dir string) *Growth { return &Growth{dir: dir} }

// ErrRemoved is of a tree of which retention has removed the end: what it was can no longer be proven.
var ErrRemoved = errors.New("retention has removed the records that come next")

// An Extension is a proof that a tree extends an older one.
type Extension struct {
	Proof tlog.TreeProof // hashes as C2SP tlog-witness sends them
	Old   tlog.Hash      // root of the older tree, by the records that are there
	Err   error          // ErrRemoved
}

// Prove proves that the tree of a checkpoint of this log extends those of the sizes given, none of which is
// larger. The log must hold the records that the checkpoint signs, and they must be what it signs: what does
// not fit is a [*Damage]. It forgets the sizes that are not given.
func (g *Growth) Prove(ctx context.Context, to *Signed, sizes ...int64) (map[int64]Extension, error) {
	if g.tree.size > to.Size {
		*g = *NewGrowth(g.dir) // the log was put back; what is known of it is too much
	}
	olds := map[int64]*stem{}
	for _, size := range sizes {
		s := g.olds[size]
		if s == nil && size >= g.tree.size {
			s = newStem(g.tree, size)
		}
		if s == nil && size < g.first {
			continue
		}
		if s == nil {
			*g, olds = *NewGrowth(g.dir), map[int64]*stem{}
			break
		}
		olds[size] = s
	}
	g.olds = olds
	if g.end == (End{}) {
		if err := g.begin(sizes); err != nil {
			return nil, err
		}
	}
	if err := g.follow(ctx, to.Size); err != nil {
		*g = *NewGrowth(g.dir) // the next try looks again
		return nil, err
	}
	if g.tree.root() != to.root {
		*g = *NewGrowth(g.dir)
		return nil, fileDamage(checkpointFile, fmt.Sprintf("the %d records that it signs do not have the root that it signs", to.Size))
	}
	all := map[int64]Extension{}
	for _, size := range sizes {
		s := g.olds[size]
		if s == nil {
			all[size] = Extension{Err: ErrRemoved}
			continue
		}
		e := Extension{Old: s.root}
		if size == to.Size {
			e.Old = to.root
		}
		for _, b := range consistency(size, 0, to.Size, true) {
			e.Proof = append(e.Proof, s.hash(b))
		}
		all[size] = e
	}
	return all, nil
}

// begin goes to the first record that is there.
func (g *Growth) begin(sizes []int64) error {
	of, err := listSegments(g.dir, nil)
	if err != nil {
		return err
	}
	g.end.Next.Segment = of.first
	if of.base != nil {
		g.tree = of.base.tree.clone()
		g.first, g.end.Records, g.end.Last = of.base.tree.size, of.base.tree.size, of.base.prev
	}
	g.olds = map[int64]*stem{}
	for _, size := range sizes {
		if size >= g.tree.size {
			g.olds[size] = newStem(g.tree, size)
		}
	}
	return nil
}

// follow takes the records before size into the tree.
func (g *Growth) follow(ctx context.Context, size int64) error {
	f, err := FollowFrom(g.dir, g.end)
	if err != nil {
		return err
	}
	defer f.Close()
	for g.tree.size < size {
		line, err := f.line(Whole, nil)
		if errors.Is(err, io.EOF) {
			return fileDamage(segmentName(f.End().Next.Segment), fmt.Sprintf("the log ends with %d records, but the checkpoint signs %d", g.tree.size, size))
		}
		if err != nil {
			return err
		}
		h := tlog.RecordHash(line)
		g.tree.append(h)
		for old, s := range g.olds {
			s.append(h)
			if s.size == old {
				s.root = g.tree.root()
			}
		}
		if g.tree.size%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	g.end = f.End()
	return nil
}

// A stem is a tree that has grown from an older one, as the roots of complete subtrees from left to right. None
// of them is partly in the older tree, so that each hash of a proof from there is made of whole ones.
type stem struct {
	old, size int64
	nodes     []subtree
	root      tlog.Hash // of the older tree
}

type subtree struct {
	bounds
	root tlog.Hash
}

// bounds are the leaves of a subtree: from low on, and before high.
type bounds struct{ low, high int64 }

func newStem(t tree, old int64) *stem {
	s := &stem{old: old, size: t.size}
	low := int64(0)
	for i, left := 0, t.size; left > 0; i++ {
		size := largestPower(left)
		s.nodes = append(s.nodes, subtree{bounds{low, low + size}, t.nodes[i]})
		low, left = low+size, left-size
	}
	if old == t.size {
		s.root = t.root()
	}
	return s
}

func (s *stem) append(h tlog.Hash) {
	s.nodes = append(s.nodes, subtree{bounds{s.size, s.size + 1}, h})
	s.size++
	for n := len(s.nodes); n > 1; n-- {
		a, b := s.nodes[n-2], s.nodes[n-1]
		width := b.high - b.low
		// Two of a size are one where the tree has a node of them (they begin at a multiple of both) ...
		if a.high-a.low != width || a.low%(2*width) != 0 {
			return
		}
		// ... but not across the end of the older tree.
		if a.low < s.old && s.old < b.high {
			return
		}
		s.nodes = append(s.nodes[:n-2], subtree{bounds{a.low, b.high}, tlog.NodeHash(a.root, b.root)})
	}
}

// hash is the root of the subtree with these leaves.
func (s *stem) hash(b bounds) tlog.Hash {
	var inside tree
	for _, n := range s.nodes {
		if n.low >= b.low && n.high <= b.high {
			inside.nodes = append(inside.nodes, n.root)
		}
	}
	return inside.root()
}

// consistency is SUBPROOF of RFC 6962, section 2.1.2: the subtrees whose roots prove that the tree with the
// leaves from low to high extends the one of the first old leaves. whole says that the older tree's root is known.
func consistency(old, low, high int64, whole bool) []bounds {
	if old == 0 || old == high && whole {
		return nil
	}
	if old == high {
		return []bounds{{low, high}}
	}
	k := low + largestPower(high-low-1)
	if old <= k {
		return append(consistency(old, low, k, whole), bounds{k, high})
	}
	return append(consistency(old, k, high, false), bounds{low, k})
}

// largestPower is the largest power of two that is not above n, which is above 0.
func largestPower(n int64) int64 { return 1 << (bits.Len64(uint64(n)) - 1) }
