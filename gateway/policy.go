package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

// Policies compiles a bundle in a folder or tarball; the empty name is the default bundle. Its tests are not run, and a
// tarball's signature is not asked for.
func Policies(name string) (*policies.Engine, error) {
	tree, err := Bundle(name)
	if err != nil {
		return nil, err
	}
	return compiled(tree)
}

// Bundle opens a bundle in a folder or tarball; the empty name is the default bundle. A tarball's signature is not asked for.
func Bundle(name string) (fs.FS, error) { return bundleOf(&configs.Policy{Bundle: name}) }

// policiesOf is what a configuration's own bundle comes to; everything is checked.
func policiesOf(c *configs.Policy) (*policies.Engine, error) {
	tree, err := bundleOf(c)
	if err != nil {
		return nil, err
	}
	if c.Bundle == "" {
		return compiled(tree) // the program's own tests have run its tests
	}
	return CheckBundle(context.Background(), tree)
}

// bundleOf opens the bundle that a configuration names, inside the program, in a folder or in a tarball.
func bundleOf(c *configs.Policy) (fs.FS, error) {
	switch {
	case c.Bundle == "":
		return policies.Default(), nil
	case !c.Tarball():
		return os.DirFS(c.Bundle), nil
	}
	signing, err := signingOf(c.Signing)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(c.Bundle)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tree, err := delivery.Read(f, signing)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Bundle, err)
	}
	return tree, nil
}

// signingOf reads the keys that a bundle is signed for.
func signingOf(c *configs.Signing) (delivery.Signing, error) {
	if c == nil {
		return delivery.Signing{}, nil
	}
	s := delivery.Signing{Scope: c.Scope}
	for _, k := range c.Keys {
		text, err := os.ReadFile(k.File)
		if err != nil {
			return s, err
		}
		s.Keys = append(s.Keys, delivery.Key{ID: k.ID, Algorithm: k.Algorithm, PEM: string(text)})
	}
	return s, nil
}

func compiled(tree fs.FS) (*policies.Engine, error) {
	return policies.Load(policyOptions(tree))
}

// testsTime is how long a bundle's own tests may take.
const testsTime = 2 * time.Minute

// CheckBundle checks a bundle as a gateway does before it goes live: it is compiled, and its own tests have passed, where it
// has any.
func CheckBundle(ctx context.Context, tree fs.FS) (*policies.Engine, error) {
	engine, err := compiled(tree)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, testsTime)
	defer cancel()
	results, err := policies.Test(limited, tree)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range results.Failures() {
		errs = append(errs, fmt.Errorf("the bundle's own test %s fails", name))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return engine, nil
}
