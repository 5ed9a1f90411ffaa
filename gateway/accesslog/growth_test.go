package accesslog_test

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// TestGrowth proves from every size to every later one, in one reading and anew, and holds each to tlog's.
func TestGrowth(t *testing.T) {
	s := newSite(t)
	l := s.open(t)
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		var all []tlog.Hash
		for _, i := range at {
			all = append(all, hashes[i])
		}
		return all, nil
	})
	running := accesslog.NewGrowth(s.dir)
	follower := accesslog.NewFollower(s.dir, 0)
	defer follower.Close()
	var sizes []int64
	roots := map[int64]tlog.Hash{}
	for n := int64(1); n <= 40; n++ {
		appendN(t, l, int(n), 1)
		_, line, err := follower.Next(l.Durable())
		if err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(n-1, line, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
		signed, err := l.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		roots[n] = signed.Root()
		sizes = append(sizes, n)
		for name, g := range map[string]*accesslog.Growth{"running": running, "anew": accesslog.NewGrowth(s.dir)} {
			all, err := g.Prove(t.Context(), signed, sizes...)
			if err != nil || len(all) != len(sizes) {
				t.Fatalf("%s to %d: %d proofs, %v", name, n, len(all), err)
			}
			for _, old := range sizes {
				e := all[old]
				if e.Err != nil || e.Old != roots[old] {
					t.Fatalf("%s %d to %d: another root, %v", name, old, n, e.Err)
				}
				if err := tlog.CheckTree(e.Proof, n, signed.Root(), old, roots[old]); err != nil {
					t.Fatalf("%s %d to %d: %v", name, old, n, err)
				}
				want, err := tlog.ProveTree(n, old, reader)
				if err != nil || len(want) != len(e.Proof) {
					t.Fatalf("%s %d to %d: %d hashes, want %d, %v", name, old, n, len(e.Proof), len(want), err)
				}
			}
		}
	}
	// From a size that nobody asked about before.
	signed, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	few := accesslog.NewGrowth(s.dir)
	for _, old := range []int64{40, 7, 23, 0} {
		all, err := few.Prove(t.Context(), signed, old)
		if err != nil || old > 0 && (all[old].Old != roots[old] || tlog.CheckTree(all[old].Proof, 40, signed.Root(), old, roots[old]) != nil) || old == 0 && len(all[0].Proof) != 0 {
			t.Errorf("from %d: %v, %v", old, all, err)
		}
	}
}
