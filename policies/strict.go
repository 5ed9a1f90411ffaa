package policies

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// checkYAML finds what OPA's reader passes over: a key given twice, and a second document. It returns the root, for
// line numbers.
func checkYAML(name string, content []byte, found *problems) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		found.add(name, 0, "is empty")
		return nil
	case err != nil:
		addYAML(name, err, found)
		return nil
	}
	before := len(*found)
	checkKeys(name, &doc, found)
	var value any
	if len(*found) > before {
		return nil
	}
	if err := doc.Decode(&value); err != nil {
		addYAML(name, err, found)
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		found.add(name, second.Line, "has a second document")
	} else if !errors.Is(err, io.EOF) {
		addYAML(name, err, found)
	}
	return doc.Content[0]
}

// checkKeys finds keys given twice, at any depth; yaml itself stops at the outermost.
func checkKeys(name string, node *yaml.Node, found *problems) {
	if node.Kind == yaml.MappingNode {
		seen := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if line, ok := seen[key.Value]; ok {
				found.add(name, key.Line, "key %q is given in line %d as well", key.Value, line)
			} else {
				seen[key.Value] = key.Line
			}
		}
	}
	for _, below := range node.Content {
		checkKeys(name, below, found)
	}
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func addYAML(name string, err error, found *problems) {
	texts := []string{err.Error()}
	var several *yaml.TypeError
	if errors.As(err, &several) {
		texts = several.Errors
	}
	for _, text := range texts {
		line := 0
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line, _ = strconv.Atoi(m[1])
			text = m[2]
		}
		found.add(name, line, "%s", text)
	}
}

// checkJSON finds malformed JSON and a key given twice, which encoding/json passes over.
func checkJSON(name string, content []byte, found *problems) {
	decoder := jsontext.NewDecoder(bytes.NewReader(content))
	_, err := decoder.ReadValue()
	if err == nil {
		if _, err = decoder.ReadToken(); errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = errors.New("has something after its value")
		}
	}
	line := 1 + bytes.Count(content[:min(int(decoder.InputOffset()), len(content))], []byte("\n"))
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		line = 1 + bytes.Count(content[:min(int(syntactic.ByteOffset), len(content))], []byte("\n"))
		err = syntactic.Err
	}
	found.add(name, line, "%s", err)
}
