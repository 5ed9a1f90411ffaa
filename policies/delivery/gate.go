package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/storage"
)

// ErrAgain is an error of [Options].Activate that says nothing of the tree: the same one may go live the next time.
var ErrAgain = errors.New("to be tried again")

// gate is OPA's store with a guard at its commit. The bundle plugin activates a bundle in one transaction and takes an
// error of its commit as its own failure: that is the one place where a bundle can be refused after OPA has verified and
// read it, and before OPA says that it is active and keeps it. (Its listeners and the compiler's triggers come after.)
type gate struct {
	storage.Store
	activate func(context.Context, fs.FS) error

	mu      sync.Mutex
	live    [sha256.Size]byte // of the tree that is
	serial  *int64            // that it states
	refused [sha256.Size]byte // of the last tree that was
	why     error
}

// Commit shows the gate what the store will hold, and commits that or nothing.
func (g *gate) Commit(ctx context.Context, txn storage.Transaction) error {
	if err := g.judge(ctx, txn); err != nil {
		g.Abort(ctx, txn)
		return err
	}
	return g.Store.Commit(ctx, txn)
}

func (g *gate) judge(ctx context.Context, txn storage.Transaction) error {
	c, err := g.contents(ctx, txn)
	if err != nil || c == nil {
		return err
	}
	tree, sum, err := c.tree()
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case sum == g.live:
		return nil
	case sum == g.refused && g.why != nil:
		return g.why // the server is asked again and again; the answer is worked out once
	}
	serial, err := c.serial()
	if err == nil && g.serial != nil && (serial == nil || *serial < *g.serial) {
		err = fmt.Errorf("the bundle is older than the one that serves, whose serial is %d", *g.serial)
	}
	if err == nil {
		err = g.activate(ctx, tree)
	}
	switch {
	case err == nil:
		g.live, g.serial, g.why = sum, serial, nil
	case ctx.Err() == nil && !errors.Is(err, ErrAgain):
		g.refused, g.why = sum, err
	}
	return err
}

// contents are what OPA read of the bundle; nil where the store has none.
func (g *gate) contents(ctx context.Context, txn storage.Transaction) (*contents, error) {
	stated, err := g.Read(ctx, txn, bundle.ManifestStoragePath(bundleName))
	if storage.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := &contents{modules: map[string][]byte{}}
	doc, err := json.Marshal(stated)
	if err == nil {
		err = json.Unmarshal(doc, &c.manifest)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	root, err := g.Read(ctx, txn, storage.RootPath)
	if err != nil {
		return nil, err
	}
	data, ok := root.(map[string]any)
	if !ok {
		return nil, errors.New("the data is no mapping")
	}
	c.data = data
	ids, err := g.ListPolicies(ctx, txn)
	if err != nil {
		return nil, err
	}
	for _, id := range ids { // their paths, behind the bundle's name
		if c.modules[strings.TrimPrefix(id, bundleName+"/")], err = g.GetPolicy(ctx, txn, id); err != nil {
			return nil, err
		}
	}
	return c, nil
}
