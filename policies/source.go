package policies

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// maxFile bounds one file of a bundle, in bytes.
const maxFile = 4 << 20

// source is a bundle as read: parsed, merged, not yet compiled.
type source struct {
	live   map[string]*ast.Module // by path, without tests
	tests  map[string]*ast.Module // *_test.rego
	data   map[string]any
	files  []dataFile
	stated string // the manifest's revision
	hash   []byte // over the files that decide; tests do not
}

// read walks the tree once. OPA's own bundle reader stops at the first problem and passes over files that it does not
// know; this one reads the same files, tells all problems, and tells of data that would not be read.
func read(tree fs.FS, found *problems) *source {
	s := &source{live: map[string]*ast.Module{}, tests: map[string]*ast.Module{}, data: map[string]any{}}
	sum := sha256.New()
	var manifest bundle.Manifest
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		// Editors, version control and Kubernetes volumes (..data) keep folders with a leading dot.
		if d.IsDir() {
			if name != "." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 && !strings.HasPrefix(base, ".") {
			if info, err := fs.Stat(tree, name); err == nil && info.IsDir() {
				found.add(name, 0, "is a link to a folder, which is not followed")
				return nil
			}
		}
		kind := kindOf(name)
		if kind == kindOther {
			return nil
		}
		if kind == kindUnread {
			found.add(name, 0, "would not be read: %s", unreadHint(base))
			return nil
		}
		content, err := readFile(tree, name)
		if err != nil {
			found.add(name, 0, "%s", plain(err))
			return nil
		}
		if kind != kindTest {
			var size [8]byte
			for _, part := range [][]byte{[]byte(name), content} {
				binary.BigEndian.PutUint64(size[:], uint64(len(part)))
				sum.Write(size[:])
				sum.Write(part)
			}
		}
		switch kind {
		case kindRego:
			parseModule(s.live, name, content, found)
			if m := s.live[name]; m != nil && m.Package.Path.Equal(logPackage) {
				delete(s.live, name)
			}
		case kindTest:
			parseModule(s.tests, name, content, found)
		case kindData:
			s.addData(name, content, found)
		case kindManifest:
			manifest = readManifest(name, content, found)
		}
		return nil
	})
	if err != nil {
		found.add("", 0, "read the bundle: %s", plain(err))
	}
	s.hash = sum.Sum(nil)
	s.stated = manifest.Revision
	s.checkRoots(manifest, found)
	return s
}

type kind uint8

const (
	kindOther  kind = iota // documentation, schemas, editors' leavings
	kindUnread             // what an author believes to be read, and is not
	kindRego
	kindTest
	kindData
	kindManifest
)

func kindOf(name string) kind {
	base := path.Base(name)
	switch {
	case base == ".manifest":
		return kindManifest
	case base == ".signatures.json", base == "policy.wasm", base == "plan.json", base == "patch.json":
		return kindUnread
	case strings.HasPrefix(base, "."):
		return kindOther
	case strings.HasSuffix(base, "_test.rego"):
		return kindTest
	case strings.HasSuffix(base, ".rego"):
		return kindRego
	case base == "data.yaml", base == "data.yml", base == "data.json":
		return kindData
	case strings.HasPrefix(name, "schemas/"):
		return kindOther
	}
	switch path.Ext(base) {
	case ".yaml", ".yml", ".json":
		return kindUnread
	}
	return kindOther
}

func unreadHint(base string) string {
	switch base {
	case ".signatures.json":
		return "the signature of a bundle in a folder is not checked"
	case "policy.wasm", "plan.json", "patch.json":
		return "a bundle is Rego and data"
	}
	return "data is in files named data.yaml or data.json, in a folder for each step of its path"
}

func readFile(tree fs.FS, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	return content, nil
}

// plain leaves out the path that a file system puts into its errors, as a problem has its own.
func plain(err error) string {
	var in *fs.PathError
	if errors.As(err, &in) {
		return in.Err.Error()
	}
	return err.Error()
}

func readManifest(name string, content []byte, found *problems) bundle.Manifest {
	var m bundle.Manifest
	d := json.NewDecoder(strings.NewReader(string(content)))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		found.add(name, 0, "%s", err)
		return bundle.Manifest{}
	}
	if m.RegoVersion != nil && *m.RegoVersion != 1 || len(m.FileRegoVersions) > 0 {
		found.add(name, 0, "rego_version must be 1")
	}
	if len(m.WasmResolvers) > 0 {
		found.add(name, 0, "wasm: a bundle is Rego and data")
	}
	return m
}

// checkRoots holds data and packages to the roots that a manifest claims, as OPA does.
func (s *source) checkRoots(m bundle.Manifest, found *problems) {
	if m.Roots == nil {
		return
	}
	inside := func(p string) bool { return bundle.RootPathsContain(*m.Roots, p) }
	for _, modules := range []map[string]*ast.Module{s.live, s.tests} {
		for name, module := range modules {
			if module == nil {
				continue // it did not parse, which is told already
			}
			if p, err := module.Package.Path.Ptr(); err != nil || !inside(p) {
				found.add(name, module.Package.Location.Row, "%v is outside of the manifest's roots", module.Package)
			}
		}
	}
	for _, f := range s.files {
		if outside := f.outside(inside); outside != "" {
			found.add(f.name, 0, "data.%s is outside of the manifest's roots", strings.ReplaceAll(outside, "/", "."))
		}
	}
}

func (s *source) revision() string {
	short := hex.EncodeToString(s.hash[:6])
	if s.stated == "" {
		return short
	}
	return s.stated + "+" + short
}

// store holds the data as Rego's own values, which spares a conversion at each read.
func (s *source) store() storage.Store {
	return inmem.NewFromObjectWithOpts(s.data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
}
