package cases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/transforms"
)

// Names are the cases, in the order in which they are shown.
var names = []string{
	"compact-20k", "compact-1.8m", "compact-10m", "indented-3.2m", "late-type", "sorted-keys", "keep-most",
	"tokens", "non-ascii", "hostile-escapes", "hostile-arrays", "hostile-keys", "ndjson",
}

// Names returns the cases, in the order in which they are shown.
func Names() []string { return slices.Clone(names) }

// Yardstick is the case by whose json.Valid the hostile ones are judged: what an attacker sends
// must not cost much more than what an EHR sends.
const Yardstick = "compact-1.8m"

// The bases of the EHR that the documents come from, and of the gateway.
const (
	EHR  = "https://fhir.example.org/r4"
	Base = "https://gateway.example.net/fhir"
)

// Case is one input.
type Case struct {
	Name    string
	Source  string // "Synthea", or "generated"
	Data    []byte
	Dataset *transforms.Dataset
	Plan    *transforms.Plan
	Hostile bool
	Lines   bool // the document is NDJSON

	vault  *vault.Vault  // nil: ids are their own tokens
	sealer *vault.Sealer // of the stream before
}

// Tokens returns what makes the tokens of one stream: a new Sealer of a real vault for the case
// tokens, and else one whose tokens are the ids, so that the vault's cost is not in the filter's. What it returned
// before is released, as the gateway does at the end of a call.
func (c *Case) Tokens() (transforms.Tokenizer, error) {
	if c.vault == nil {
		return plainTokens{}, nil
	}
	if c.sealer != nil {
		c.sealer.Release()
	}
	var err error
	c.sealer, err = c.vault.Sealer("", "benchmark", "ehr")
	return c.sealer, err
}

// Options returns those of one stream.
func (c *Case) Options() (transforms.Options, error) {
	tokens, err := c.Tokens()
	return transforms.Options{Tokens: tokens, EHR: bases, Base: Base}, err
}

var bases = []string{EHR}

type plainTokens struct{}

func (plainTokens) AppendToken(dst []byte, _ string, value []byte) ([]byte, error) {
	return append(dst, value...), nil
}

// Set makes cases. It remembers what several of them begin with, and is not safe for concurrent
// use.
type Set struct {
	dir     string // of the corpus; "" where there is none
	compact []byte // the document of Yardstick
	types   map[string]string
}

// Open looks for the corpus, from a folder that is depth levels below the project's root.
func Open(root string) *Set {
	dir := os.Getenv("HALFDOOR_CORPUS")
	if dir == "" {
		dir = filepath.Join(root, "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "synthea", "derived_searchset_3M_compact.json")); err != nil {
		dir = ""
	}
	return &Set{dir: dir}
}

// Source says where the documents that are not hostile come from: "Synthea" or "generated".
func (s *Set) Source() string {
	if s.dir == "" {
		return "generated"
	}
	return "Synthea"
}

// Case makes a case.
func (s *Set) Case(name string) (*Case, error) {
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("no case %q", name)
	}
	c := &Case{Name: name, Source: s.Source()}
	rows := minimum
	var err error
	switch name {
	case "hostile-escapes", "hostile-arrays", "hostile-keys":
		c.Source, c.Hostile = "generated", true
		c.Data = hostile(name)
	case "tokens":
		rows = tokenized
		if c.vault, err = newVault(); err != nil {
			return nil, err
		}
		c.Data, err = s.document(Yardstick)
	case "ndjson":
		c.Lines = true
		if c.Data, err = s.document("late-type"); err == nil {
			c.Data, err = lines(c.Data)
		}
	case "keep-most":
		rows = most()
		c.Data, err = s.document(Yardstick)
	default:
		c.Data, err = s.document(name)
	}
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", name, err)
	}
	c.Dataset = &transforms.Dataset{Name: name, Title: name, Version: 1, Resources: rows}
	c.Plan, err = transforms.Compile(c.Dataset, fhir.PatientCompartment())
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", name, err)
	}
	return c, nil
}

// document makes the document of a case that is not hostile.
func (s *Set) document(name string) ([]byte, error) {
	if s.compact == nil {
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	file := map[string]string{
		"compact-20k":   "searchset/derived_searchset_20K_compact.json",
		"indented-3.2m": "synthea/derived_searchset_3M_pretty.json",
		"late-type":     "synthea/derived_searchset_3M_latetype.json",
		"sorted-keys":   "synthea/derived_searchset_3M_sortedkeys.json",
	}[name]
	switch {
	case name == Yardstick:
		return s.compact, nil
	case name == "compact-10m":
		return repeat(s.compact, 10<<20)
	case name == "non-ascii":
		return reshape(s.compact, nonASCII)
	case s.dir != "":
		data, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(file)))
		return s.relative(data), err
	case name == "compact-20k":
		return repeat(s.compact, 20<<10)
	case name == "indented-3.2m":
		var b bytes.Buffer
		err := json.Indent(&b, s.compact, "", "  ")
		return b.Bytes(), err
	case name == "late-type":
		return reshape(s.compact, lateType)
	default:
		return reshape(s.compact, sortedKeys)
	}
}

func (s *Set) load() error {
	if s.dir == "" {
		s.compact = generate(1_850_000)
		return nil
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "synthea", "derived_searchset_3M_compact.json"))
	if err != nil {
		return err
	}
	if s.types, err = typesByID(data); err != nil {
		return err
	}
	s.compact = s.relative(data)
	return nil
}

// newVault opens a vault with a key of its own.
func newVault() (*vault.Vault, error) {
	keys, err := vault.NewKeyset(ones{}, epoch)
	if err != nil {
		return nil, err
	}
	return vault.Open(vault.Options{Keyset: keys})
}

// Filter filters the case's document, read by src, with options of one stream.
func (c *Case) Filter(dst transforms.Sink, src *Reader, o transforms.Options) (transforms.Report, error) {
	src.Reset(c.Data)
	if c.Lines {
		return c.Plan.FilterNDJSON(dst, src, o)
	}
	return c.Plan.Filter(dst, src, o)
}

// Reader reads a document in pieces such as a connection gives.
type Reader struct{ rest []byte }

// Reset begins a document.
func (r *Reader) Reset(doc []byte) { r.rest = doc }

func (r *Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 32<<10)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Discard is a Sink that keeps nothing.
type Discard struct{}

// Release does nothing.
func (Discard) Release(*transforms.Window) error { return nil }
