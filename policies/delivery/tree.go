package delivery

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// contents are what a bundle holds, as OPA's reader understood it.
type contents struct {
	manifest bundle.Manifest
	data     map[string]any    // whole
	modules  map[string][]byte // Rego by path
}

// systemRoot is where OPA keeps what it knows of bundles. It is no policy's data.
const systemRoot = "system"

// tree lays the contents out as the files of a bundle: the manifest, each module, and all data in one data.json, its keys
// sorted. OPA keeps the data merged, so where it came from is not known any more; in return the same bundle is the same
// tree, by whatever way OPA read it. sum is a hash over all of it.
func (c *contents) tree() (_ fs.FS, sum [sha256.Size]byte, err error) {
	files := map[string][]byte{}
	if files[".manifest"], err = json.Marshal(c.manifest); err != nil {
		return nil, sum, err
	}
	data := maps.Clone(c.data)
	delete(data, systemRoot)
	if len(data) > 0 {
		if files["data.json"], err = json.Marshal(data); err != nil {
			return nil, sum, err
		}
	}
	for name, text := range c.modules {
		name = strings.TrimPrefix(name, "/")
		if !fs.ValidPath(name) || path.Ext(name) != ".rego" {
			return nil, sum, fmt.Errorf("a module cannot be named %q", name)
		}
		if files[name] != nil {
			return nil, sum, fmt.Errorf("two modules are named %q", name)
		}
		files[name] = text
	}
	// A zip in memory is a file system that the standard library has.
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(files[name])
		}
		if err != nil {
			return nil, sum, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, sum, err
	}
	tree, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	return tree, sha256.Sum256(archive.Bytes()), err
}

// serialKey is where a manifest's metadata states how new a bundle is: {"halfdoor": {"serial": 7}}.
var serialKey = [2]string{"halfdoor", "serial"}

// serial is the one that the manifest states; nil where it states none.
func (c *contents) serial() (*int64, error) {
	own, ok := c.manifest.Metadata[serialKey[0]].(map[string]any)
	if !ok {
		return nil, nil
	}
	stated, ok := own[serialKey[1]]
	if !ok {
		return nil, nil
	}
	var n int64
	doc, err := json.Marshal(stated)
	if err == nil {
		err = json.Unmarshal(doc, &n)
	}
	if err != nil || n < 0 {
		return nil, errors.New("the manifest's metadata.halfdoor.serial is no whole number")
	}
	return &n, nil
}
