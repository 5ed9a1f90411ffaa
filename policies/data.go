package policies

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
	"go.yaml.in/yaml/v3"
)

// dataFile is one file of data: where it stands in the tree, and what it holds.
type dataFile struct {
	name  string
	at    []string // path of the folder
	value map[string]any
	node  *yaml.Node // nil for JSON
}

// addData reads a file of data and lays it into the tree at its folder's path.
func (s *source) addData(name string, content []byte, found *problems) {
	f := dataFile{name: name}
	if dir := path.Dir(name); dir != "." {
		f.at = strings.Split(dir, "/")
	}
	before := len(*found)
	if path.Ext(name) == ".json" {
		checkJSON(name, content, found)
	} else {
		f.node = checkYAML(name, content, found)
	}
	if len(*found) > before {
		return
	}
	// The value is taken from OPA's own reader, so that its tools and this program cannot see two things in a file.
	var value any
	if err := util.Unmarshal(content, &value); err != nil {
		found.add(name, 0, "%s", err)
		return
	}
	object, ok := value.(map[string]any)
	if !ok {
		found.add(name, 0, "must hold a mapping")
		return
	}
	f.value = object
	for i := len(f.at) - 1; i >= 0; i-- {
		object = map[string]any{f.at[i]: object}
	}
	s.merge(s.data, object, nil, f, found)
	s.files = append(s.files, f)
}

// merge joins mappings of several files; a value has one file. A dataset has one file as well: half of one in another
// place could widen it unseen.
func (s *source) merge(into, from map[string]any, at []string, f dataFile, found *problems) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		here := append(at, key)
		old, has := into[key]
		if !has {
			into[key] = detach(from[key])
			continue
		}
		oldObject, ok1 := old.(map[string]any)
		newObject, ok2 := from[key].(map[string]any)
		inDataset := len(here) == len(datasetsPath)+1 && slices.Equal(here[:len(datasetsPath)], datasetsPath)
		if ok1 && ok2 && !inDataset {
			s.merge(oldObject, newObject, here, f, found)
			continue
		}
		other, line := s.locate(here, here)
		found.add(f.name, f.line(here), "data.%s is defined in %s as well", strings.Join(here, "."), place(other, line))
	}
}

// detach copies mappings, so that merging a later file into them leaves this file's own value as it was.
func detach(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	object = maps.Clone(object)
	for key, v := range object {
		object[key] = detach(v)
	}
	return object
}

// locate tells which file defines a path, and the line of what comes nearest to a place at or below it.
func (s *source) locate(at, below []string) (file string, line int) {
	for _, f := range s.files {
		if f.has(at) {
			return f.name, f.line(below)
		}
	}
	return "", 0
}

// has tells whether the file holds a value at the path, above it or below it.
func (f dataFile) has(at []string) bool {
	if common := min(len(at), len(f.at)); !slices.Equal(f.at[:common], at[:common]) {
		return false
	}
	if len(at) <= len(f.at) {
		return true
	}
	value := any(f.value)
	for _, key := range at[len(f.at):] {
		object, ok := value.(map[string]any)
		if !ok {
			return true
		}
		if value, ok = object[key]; !ok {
			return false
		}
	}
	return true
}

// line is the line of the value at the path, or of what comes nearest above it; 0 if nobody knows.
func (f dataFile) line(at []string) int {
	if f.node == nil || len(at) < len(f.at) {
		return 0
	}
	node, line := f.node, 0
	for _, key := range at[len(f.at):] {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		if node.Kind != yaml.MappingNode {
			break
		}
		i := 0
		for i < len(node.Content) && node.Content[i].Value != key {
			i += 2
		}
		if i >= len(node.Content) {
			break
		}
		node, line = node.Content[i+1], node.Content[i].Line
	}
	return line
}

// outside is the first path of the file that is not below the roots, or empty. A folder above a root holds only
// what leads to it.
func (f dataFile) outside(inside func(string) bool) string {
	var walk func(at string, object map[string]any) string
	walk = func(at string, object map[string]any) string {
		for _, key := range slices.Sorted(maps.Keys(object)) {
			here := strings.TrimPrefix(at+"/"+key, "/")
			if inside(here) {
				continue
			}
			below, ok := object[key].(map[string]any)
			if !ok || len(below) == 0 {
				return here
			}
			if out := walk(here, below); out != "" {
				return out
			}
		}
		return ""
	}
	at := strings.Join(f.at, "/")
	if inside(at) {
		return ""
	}
	return walk(at, f.value)
}

func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
