package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// Read reads a bundle in a tarball, as OPA's tools make it. Where signing has keys, the bundle must be signed by one of
// them, and nothing of it is parsed before that is so.
func Read(r io.Reader, signing Signing) (fs.FS, error) {
	if err := signing.check(); err != nil {
		return nil, err
	}
	reader := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(r, "").WithSizeLimitBytes(maxFile)).WithSizeLimitBytes(maxFile)
	if len(signing.Keys) == 0 {
		reader = reader.WithSkipBundleVerification(true)
	} else {
		keys := map[string]*bundle.KeyConfig{}
		for _, k := range signing.Keys {
			keys[k.ID] = &bundle.KeyConfig{Key: k.PEM, Algorithm: k.Algorithm, Scope: signing.Scope}
		}
		reader = reader.WithBundleVerificationConfig(bundle.NewVerificationConfig(keys, "", signing.Scope, nil))
	}
	b, err := reader.Read()
	if err != nil {
		return nil, err
	}
	if b.Type() != bundle.SnapshotBundleType {
		return nil, errors.New("is a delta, not a whole bundle")
	}
	c := &contents{manifest: b.Manifest, data: b.Data, modules: map[string][]byte{}}
	for _, m := range b.Modules {
		c.modules[m.Path] = m.Raw
	}
	tree, _, err := c.tree()
	return tree, err
}

// SigningKey signs a bundle.
type SigningKey struct {
	ID        string
	Algorithm string // one of [Algorithms]
	PEM       string // the private key
	Scope     string // that the signature states; empty: none
}

// Build says what a bundle is to state of itself.
type Build struct {
	Revision string      // empty: that of the tree's own manifest
	Serial   *int64      // nil: none, or that of the tree's own manifest
	Key      *SigningKey // nil: the bundle is not signed
}

// Write makes a tarball of a folder's bundle, as OPA's tools do. It does not check what the rules say.
func Write(w io.Writer, tree fs.FS, o Build) error {
	loader, err := bundle.NewFSLoader(tree)
	if err != nil {
		return err
	}
	b, err := bundle.NewCustomReader(loader.WithFilter(hidden).WithFollowSymlinks(true)).WithSkipBundleVerification(true).Read()
	if err != nil {
		return err
	}
	if o.Revision != "" {
		b.Manifest.Revision = o.Revision
	}
	if o.Serial != nil {
		if b.Manifest.Metadata == nil {
			b.Manifest.Metadata = map[string]any{}
		}
		b.Manifest.Metadata[serialKey[0]] = object{serialKey[1]: json.Number(fmt.Sprint(*o.Serial))}
	}
	b.Manifest.Init()
	b.Signatures = bundle.SignaturesConfig{}
	if o.Key != nil {
		if err := o.Key.sign(&b); err != nil {
			return err
		}
	}
	return bundle.NewWriter(w).UseModulePath(true).DisableFormat(true).Write(b)
}

// hidden leaves out what the folder's own reader leaves out: folders with a leading dot.
func hidden(name string, info os.FileInfo, _ int) bool {
	base := path.Base(strings.ReplaceAll(name, "\\", "/"))
	return info.IsDir() && base != "." && strings.HasPrefix(base, ".")
}

// sign puts the signature into the bundle. OPA reads what else a signature states from a file.
func (k *SigningKey) sign(b *bundle.Bundle) (err error) {
	claims, err := os.CreateTemp("", "halfdoor-claims-*.json")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(claims.Name())) }()
	doc := object{"keyid": k.ID}
	if k.Scope != "" {
		doc["scope"] = k.Scope
	}
	err = json.NewEncoder(claims).Encode(doc)
	if err = errors.Join(err, claims.Close()); err != nil {
		return err
	}
	return b.GenerateSignature(bundle.NewSigningConfig(k.PEM, k.Algorithm, claims.Name()), k.ID, true)
}
