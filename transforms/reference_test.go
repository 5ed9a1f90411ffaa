package transforms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/transforms"
)

// This file is the oracle: what the filter promises, done the slow and obvious way. It reads the whole
// document into maps and slices, looks each element's path up in the dataset's own rows, and builds what may
// leave. It shares nothing with the filter: no Plan, no scanner, no order of members.

const (
	maxDepth = 128
	maxKeys  = 2048

	tagSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	tagCode   = "SUBSETTED"
)

// errMalformed stands for every kind of input that is not strict JSON: which of them is met first depends on
// the order of reading, which is not the oracle's matter.
var errMalformed = errors.New("not strict JSON")

// malformed are the kinds that errMalformed stands for: of the text, and of what may be met in it before its fault.
var malformed = []error{
	transforms.ErrSyntax, transforms.ErrUTF8, transforms.ErrDuplicate, transforms.ErrDepth,
	transforms.ErrKeys, transforms.ErrTruncated, transforms.ErrTrailing,
	transforms.ErrNoType, transforms.ErrNoRow, transforms.ErrUnexpectedRoot, transforms.ErrLabel, transforms.ErrCompartment,
}

// parse reads one strict JSON document. Numbers stay text.
func parse(doc []byte) (any, error) {
	if !json.Valid(doc) || !utf8.Valid(doc) || loneSurrogate(doc) {
		return nil, errMalformed
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errMalformed
	}
	return v, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, errMalformed
	}
	open, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth++; depth > maxDepth {
		return nil, errMalformed
	}
	if open == '[' {
		array := []any{}
		for dec.More() {
			v, err := parseValue(dec, depth)
			if err != nil {
				return nil, err
			}
			array = append(array, v)
		}
		dec.Token()
		return array, nil
	}
	object := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errMalformed
		}
		name := key.(string)
		if _, repeated := object[name]; repeated || len(object) == maxKeys {
			return nil, errMalformed
		}
		if object[name], err = parseValue(dec, depth); err != nil {
			return nil, err
		}
	}
	dec.Token()
	return object, nil
}

// loneSurrogate says whether a string of the valid document has a \u escape that is half a character.
func loneSurrogate(doc []byte) bool {
	unit := func(i int) rune { // of the escape at i, or -1
		if i+6 > len(doc) || doc[i] != '\\' || doc[i+1] != 'u' {
			return -1
		}
		u, err := strconv.ParseUint(string(doc[i+2:i+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(u)
	}
	for i := 0; i < len(doc); i++ {
		if doc[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u < 0:
			i++
		case !utf16.IsSurrogate(u):
			i += 5
		case utf16.DecodeRune(u, unit(i+6)) == utf8.RuneError:
			return true
		default:
			i += 11
		}
	}
	return false
}

// oracle prunes one document.
type oracle struct {
	ds          *transforms.Dataset
	compartment transforms.Compartment
	o           transforms.Options

	subjects  map[transforms.Subject]bool
	released  map[string]int
	dropped   map[string]map[string]int
	tokenized map[string]int
	removed   map[string]int
	unknown   map[string]int
	missing   map[string]int

	sampled bool // what no row names is counted of the resource at hand

	named      []transforms.Subject // in the order of subjects
	nested     int                  // Bundles open below the root
	parametric int                  // Parameters open

	holds  bool            // the resource at hand lets contained ones leave
	locals map[string]bool // of the resource at hand: whether the contained one of this id leaves
	inside bool            // in a contained one
	leads  []string        // to which it refers, by references that leave

	left, referred map[string]bool // resources that left, and to which these refer

	may []error // kinds that the filter may answer with, or not

	kind string // of the resource at hand

	errs []error // kinds that the filter may answer with; which one comes first is its own matter
}

// verdict is what the oracle makes of a document.
type verdict struct {
	value     any // what leaves, if errs is empty
	subjects  map[transforms.Subject]bool
	released  map[string]int
	dropped   map[string]map[string]int
	tokenized map[string]int
	removed   map[string]int
	unknown   map[string]int
	missing   map[string]int
	may, errs []error
}

func consult(ds *transforms.Dataset, c transforms.Compartment, o transforms.Options, doc []byte) verdict {
	root, err := parse(doc)
	if err != nil {
		return verdict{errs: malformed}
	}
	r := newOracle(ds, c, o)
	value := r.root(root)
	if len(r.errs) > 0 {
		return verdict{errs: r.errs}
	}
	return r.verdict(value)
}

func (r *oracle) verdict(value any) verdict {
	return verdict{value, r.subjects, r.released, r.dropped, r.tokenized, r.removed, r.unknown, r.missing, r.may, nil}
}

func newOracle(ds *transforms.Dataset, c transforms.Compartment, o transforms.Options) *oracle {
	return &oracle{
		ds: ds, compartment: c, o: o,
		subjects: map[transforms.Subject]bool{}, released: map[string]int{}, dropped: map[string]map[string]int{},
		tokenized: map[string]int{}, removed: map[string]int{}, unknown: map[string]int{}, missing: map[string]int{},
		left: map[string]bool{}, referred: map[string]bool{},
	}
}

// name adds a subject; forget takes those back that were added since there were mark of them.
func (r *oracle) name(kind, id string) {
	s := transforms.Subject{Type: kind, ID: id}
	if !r.subjects[s] {
		r.subjects[s] = true
		r.named = append(r.named, s)
	}
}

func (r *oracle) forget(mark int) {
	for _, s := range r.named[mark:] {
		delete(r.subjects, s)
	}
	r.named = r.named[:mark]
}

func (r *oracle) fail(kind error) { r.errs = append(r.errs, kind) }

// consultLines is the verdict on newline-delimited JSON.
func consultLines(ds *transforms.Dataset, c transforms.Compartment, o transforms.Options, doc []byte) verdict {
	r := newOracle(ds, c, o)
	lines := []any{}
	for line := range bytes.SplitSeq(doc, []byte("\n")) {
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		v, err := parse(line)
		resource, ok := v.(map[string]any)
		if err != nil || !ok {
			return verdict{errs: malformed}
		}
		if r.o.Root != "" && resource["resourceType"] != r.o.Root {
			r.fail(transforms.ErrUnexpectedRoot)
		}
		if v := r.part(resource); v != nil {
			lines = append(lines, v)
		}
	}
	if len(r.errs) > 0 {
		return verdict{errs: r.errs}
	}
	return r.verdict(lines)
}

// parseLines reads lines of which each is a strict JSON document, and none is empty.
func parseLines(doc []byte) (any, error) {
	lines := []any{}
	for line := range bytes.Lines(doc) {
		v, err := parse(line)
		if err != nil || line[len(line)-1] != '\n' {
			return nil, errMalformed
		}
		lines = append(lines, v)
	}
	return lines, nil
}

func (r *oracle) root(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		r.fail(transforms.ErrSyntax)
		return nil
	}
	kind, ok := object["resourceType"].(string)
	if !ok {
		r.fail(transforms.ErrNoType)
		r.fail(transforms.ErrUnexpectedRoot) // of a Bundle's type, while it is taken for one
		return nil
	}
	if r.o.Root != "" && kind != r.o.Root {
		r.fail(transforms.ErrUnexpectedRoot)
		r.fail(transforms.ErrNoType) // of an entry, while it is still taken for the Bundle that was asked for
	}
	if r.o.RootID != "" && object["id"] != r.o.RootID {
		r.fail(transforms.ErrUnexpectedRoot)
	}
	if kind == "Bundle" {
		return r.bundle(object, true)
	}
	switch r.refusal(kind, object) {
	case "type":
		r.fail(transforms.ErrNoRow)
		return nil
	case "label":
		r.fail(transforms.ErrLabel)
		return nil
	case "compartment":
		r.fail(transforms.ErrCompartment)
		return nil
	}
	if r.o.Searched != nil && kind != "OperationOutcome" && kind != "Parameters" && !slices.Contains(r.o.Searched, kind) {
		r.fail(transforms.ErrNoRow) // nothing comes before it
		return nil
	}
	return r.resource(kind, object)
}

// refusal is the cause for which a resource does not leave, "" if it leaves.
func (r *oracle) refusal(kind string, resource map[string]any) string {
	switch {
	case kind == "Bundle" && r.nested == 3, kind == "Parameters" && r.parametric > 0,
		kind != "Bundle" && kind != "OperationOutcome" && !(r.asked(kind) && (r.hasRow(kind) || kind == "Parameters")):
		return "type"
	case r.labelled(resource):
		return "label"
	case r.o.Patient != "" && !r.within(kind, resource):
		return "compartment"
	}
	return ""
}

// asked says whether the stream's types have the type.
func (r *oracle) asked(kind string) bool { return r.o.Types == nil || slices.Contains(r.o.Types, kind) }

// hasRow says whether the dataset has a row for resources of the type: that of Parameters is built in.
func (r *oracle) hasRow(kind string) bool {
	_, row := r.ds.Resources[kind]
	return row && kind != "Parameters"
}

func (r *oracle) labelled(resource map[string]any) bool {
	meta, _ := resource["meta"].(map[string]any)
	for _, coding := range list(meta["security"]) {
		c, _ := coding.(map[string]any)
		for _, l := range r.o.DenyLabels {
			if c["system"] == l.System && c["code"] == l.Code {
				return true
			}
		}
	}
	return false
}

func (r *oracle) within(kind string, resource map[string]any) bool {
	if kind == "Patient" {
		return resource["id"] == r.o.Patient
	}
	paths, held := r.compartment[kind]
	return !held || kind == "OperationOutcome" || slices.Contains(r.patients(paths, resource), r.o.Patient)
}

// patients are the ids of the patients that a resource's compartment elements name.
func (r *oracle) patients(paths []string, resource map[string]any) (ids []string) {
	for _, path := range paths {
		at := []any{resource}
		for _, name := range strings.Split(path, ".") {
			var below []any
			for _, v := range at {
				if object, ok := v.(map[string]any); ok {
					below = append(below, list(object[name])...)
				}
			}
			at = below
		}
		for _, v := range at {
			object, _ := v.(map[string]any)
			s, _ := object["reference"].(string)
			if ref, ok := r.reference(s); ok && ref.kind == "Patient" {
				ids = append(ids, ref.id)
			}
		}
	}
	return ids
}

// list is the elements of an array, or the one value that stands alone.
func list(v any) []any {
	if array, ok := v.([]any); ok {
		return array
	}
	return []any{v}
}

// resource prunes a resource that leaves.
func (r *oracle) resource(kind string, resource map[string]any) any {
	r.released[kind]++
	defer func(outer map[string]bool) { r.locals = outer }(r.locals)
	r.locals = nil
	r.sampled = r.hasRow(kind) && r.released[kind] <= 8
	for _, name := range r.ds.Require[kind] {
		if resource[name] == nil {
			r.missing[kind+"."+name]++
		}
	}
	switch kind {
	case "OperationOutcome":
		return r.outcome(resource)
	case "Bundle":
		r.nested++
		defer func() { r.nested-- }()
		return r.bundle(resource, false)
	case "Parameters":
		r.parametric++
		defer func() { r.parametric-- }()
		return r.parameters(resource)
	}
	r.kind, r.holds = kind, r.ds.Resources[kind]["contained"].Method == transforms.Keep
	r.locals = r.local(resource)
	if id, ok := resource["id"].(string); ok {
		r.name(kind, id)
	}
	for _, id := range r.patients(r.compartment[kind], resource) {
		r.name("Patient", id)
	}
	out := r.body(r.ds.Resources[kind], resource)
	meta, _ := out["meta"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
	}
	tags, _ := meta["tag"].([]any)
	if !slices.ContainsFunc(tags, func(v any) bool {
		tag, _ := v.(map[string]any)
		return tag["system"] == tagSystem && tag["code"] == tagCode
	}) {
		tags = append(slices.Clip(tags), map[string]any{"system": tagSystem, "code": tagCode})
	}
	meta["tag"] = tags
	out["meta"] = meta
	return r.tidied(out, kind, resource)
}

// local says of each id of a contained resource whether what has it leaves.
func (r *oracle) local(resource map[string]any) map[string]bool {
	ids := map[string]bool{}
	contained, _ := resource["contained"].([]any)
	for _, v := range contained {
		v, ok := v.(map[string]any)
		if !r.holds || !ok {
			continue
		}
		if id, ok := v["id"].(string); ok && localID.MatchString(id) {
			leaves, there := ids[id]
			ids[id] = r.uncontained(v) == "" && (leaves || !there)
		}
	}
	return ids
}

var localID = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

// uncontained is the cause for which a contained resource does not leave.
func (r *oracle) uncontained(resource map[string]any) string {
	kind, _ := resource["resourceType"].(string)
	if !r.hasRow(kind) {
		return "type"
	}
	if r.labelled(resource) {
		return "label"
	}
	return ""
}

func (r *oracle) localID(v any) any {
	if s, ok := v.(string); ok && localID.MatchString(s) {
		return s
	}
	return nil
}

// contained is what leaves of the contained resources.
func (r *oracle) contained(v any) any {
	if !r.holds || r.inside {
		return nil
	}
	array, _ := v.([]any)
	return each(array, func(v any) any {
		resource, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		kind, _ := resource["resourceType"].(string)
		if cause := r.uncontained(resource); cause != "" {
			r.drop(cause, kind)
			return nil
		}
		r.released[kind]++
		bare := maps.Clone(resource)
		delete(bare, "meta") // which has no business there, but for its labels
		for _, id := range r.patients(r.compartment[kind], bare) {
			r.name("Patient", id)
		}
		outer := r.kind
		r.kind, r.inside = kind, true
		defer func() { r.kind, r.inside = outer, false }()
		return r.body(r.ds.Resources[kind], resource)
	})
}

// parameters is the built-in row of Parameters, with what the dataset adds.
func (r *oracle) parameters(resource map[string]any) any {
	r.kind = "Parameters"
	defer func() { r.kind = "" }()
	out := map[string]any{"resourceType": "Parameters"}
	for name, v := range resource {
		if name == "parameter" {
			if v = r.parameter("parameter", v); v != nil {
				out[name] = v
				continue
			}
		}
		if name != "resourceType" {
			r.removed["Parameters"]++
		}
	}
	return r.tidied(out, "Parameters", resource)
}

func (r *oracle) parameter(at string, v any) any {
	return objects(v, func(parameter map[string]any) any {
		out := map[string]any{}
		for name, v := range parameter {
			var kept any
			switch name {
			case "name":
				if isText(v) {
					kept = v
				}
			case "resource":
				if resource, ok := v.(map[string]any); ok {
					kept = r.part(resource)
					r.kind, r.sampled = "Parameters", false
				}
			case "part":
				kept = r.parameter("parameter.part", v)
			default:
				base, sibling := strings.CutPrefix(name, "_")
				var sub []line
				for _, l := range lines(r.ds.Resources["Parameters"]) {
					if l.rest = l.rest[1:]; l.rest[0].name == base {
						sub = append(sub, l)
					}
				}
				if len(sub) > 0 {
					kept = r.member(sub, nil, below("parameter", base), v, sibling)
				}
			}
			if kept != nil {
				out[name] = kept
			} else {
				r.removed[r.element(at)]++
			}
		}
		if _, named := out["name"]; len(out) == 0 || named && len(out) == 1 {
			return nil
		}
		return out
	})
}

// outcome is the built-in row of an OperationOutcome.
func (r *oracle) outcome(resource map[string]any) any {
	r.kind, r.holds, r.locals, r.sampled = "OperationOutcome", false, nil, false
	out := map[string]any{"resourceType": "OperationOutcome"}
	for name, v := range resource {
		if name == "issue" {
			if v := objects(v, r.issue); v != nil {
				out[name] = v
				continue
			}
		}
		if name != "resourceType" {
			r.removed["OperationOutcome"]++
		}
	}
	return out
}

var aCode = regexp.MustCompile(`^[a-z-]{1,64}$`)

// issue is what leaves of an issue: its severity and its code.
func (r *oracle) issue(issue map[string]any) any {
	out := map[string]any{}
	for name, v := range issue {
		if s, ok := v.(string); ok && (name == "severity" || name == "code") && aCode.MatchString(s) {
			out[name] = s
		} else {
			r.removed["OperationOutcome.issue"]++
		}
	}
	return unlessEmpty(out)
}

// body prunes a resource by its rows.
func (r *oracle) body(rules map[string]transforms.Rule, resource map[string]any) map[string]any {
	p := settle(slices.DeleteFunc(lines(rules), func(l line) bool { return l.rest[0].name == "contained" }), nil, "")
	var out map[string]any
	if p.star != nil {
		out, _ = r.keepObject(context{resource: true}, p, "", resource).(map[string]any)
	} else {
		out, _ = r.object(p, "", resource).(map[string]any)
	}
	if out == nil {
		out = map[string]any{}
	}
	out["resourceType"] = resource["resourceType"]
	return out
}

// lines are rows with their paths taken apart.
func lines(rules map[string]transforms.Rule) (all []line) {
	for path, rule := range rules {
		l := line{rule: rule, rest: steps(path)}
		for _, s := range l.rest {
			l.weight += len(s.conditions)
		}
		all = append(all, l)
	}
	return all
}

// line is a row: the steps that are left of its path from where it is looked at.
type line struct {
	rule   transforms.Rule
	rest   []pathStep
	weight int // conditions in its whole path
}

type pathStep struct {
	name       string
	conditions map[string]string
}

var (
	aStep      = regexp.MustCompile(`^([A-Za-z0-9]+|\*)(\[(?:[^\]']|'(?:[^'\\]|\\.)*')*\])?(?:\.|$)`)
	aCondition = regexp.MustCompile(`([A-Za-z0-9]+)=(?:'((?:[^'\\]|\\.)*)'|([^,\]]*))`)
	anEscape   = regexp.MustCompile(`\\(.)`)
)

// steps takes a path apart that is known to be one.
func steps(path string) (all []pathStep) {
	for path != "" {
		m := aStep.FindStringSubmatch(path)
		s := pathStep{name: m[1]}
		for _, c := range aCondition.FindAllStringSubmatch(m[2], -1) {
			if s.conditions == nil {
				s.conditions = map[string]string{}
			}
			s.conditions[c[1]] = anEscape.ReplaceAllString(c[2], "$1") + c[3]
		}
		all = append(all, s)
		path = path[len(m[0]):]
	}
	return all
}

// going are the lines that go on with a name.
func going(lines []line, name string) (sub []line) {
	for _, l := range lines {
		if l.rest[0].name == name {
			sub = append(sub, l)
		}
	}
	return sub
}

func conditioned(sub []line) bool {
	return slices.ContainsFunc(sub, func(l line) bool { return l.rest[0].conditions != nil })
}

// met are the lines, one step further, whose conditions the value meets.
func met(sub []line, v any) (lines []line) {
	object, _ := v.(map[string]any)
	for _, l := range sub {
		all := true
		for member, want := range l.rest[0].conditions {
			s, ok := object[member].(string)
			all = all && ok && s == want
		}
		if all {
			l.rest = l.rest[1:]
			lines = append(lines, l)
		}
	}
	return lines
}

// place is an element as the rows that are for it see it.
type place struct {
	own  *line   // the row of the element itself that counts
	star *string // the path of the element that a * keeps, here or above; not where there is an own row
	rows []line  // below
}

func settle(lines []line, star *string, at string) place {
	p := place{star: star}
	for i, l := range lines {
		if len(l.rest) == 0 && (p.own == nil || p.own.weight < l.weight) {
			p.own = &lines[i]
		}
	}
	if p.own != nil {
		p.star = nil
	}
	for _, l := range lines {
		switch {
		case len(l.rest) == 0:
		case p.own != nil:
			last := l.rest[len(l.rest)-1].name
			if p.own.rule.Method == transforms.Keep && l.rule.Method == transforms.Keep &&
				slices.Contains([]string{"extension", "modifierExtension", "display", "text"}, last) {
				p.rows = append(p.rows, l)
			}
		case l.rest[0].name == "*":
			if p.star == nil {
				p.star = &at
			}
		default:
			p.rows = append(p.rows, l)
		}
	}
	return p
}

func (r *oracle) element(path string) string { return strings.TrimSuffix(r.kind+"."+path, ".") }

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}

func below(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// object prunes an object that rows below it govern; nil if nothing stays.
func (r *oracle) object(p place, path string, object map[string]any) any {
	anything := func(l line) bool { return l.rule.Method != transforms.Remove }
	counts := path == "" || path == "meta" && r.kind != "OperationOutcome" || slices.ContainsFunc(p.rows, anything)
	out := map[string]any{}
	for name, v := range object {
		if path == "" && name == "resourceType" {
			continue // a resource's own, set by the caller
		}
		base, sibling := strings.CutPrefix(name, "_")
		at, sub := below(path, base), going(p.rows, base)
		if len(sub) == 0 && (path == "" || len(p.rows) > 0) {
			r.unnamed(path, name)
		}
		var kept any
		switch {
		case name == "_":
		case path == "" && r.inside && at == "meta": // has no business there
		case path == "" && r.inside && name == "id":
			kept = r.localID(v)
		case path == "" && name == "contained":
			kept = r.contained(v)
		case name == "id" && path == "" && !isText(v): // no id, and nothing to name the resource by
		case len(sub) > 0, at == "meta" && !sibling && r.kind != "OperationOutcome":
			kept = r.member(sub, nil, at, v, sibling)
		}
		if kept != nil {
			out[name] = kept
		} else if counts {
			r.removed[r.element(path)]++
		}
	}
	return unlessEmpty(out)
}

var anElement = regexp.MustCompile(`^[a-z_][A-Za-z0-9]{0,63}$`)

// unnamed counts a member that no row names.
func (r *oracle) unnamed(path, name string) {
	base := strings.TrimPrefix(name, "_")
	if !r.sampled || r.inside || path == "" && (base == "id" || base == "meta" || base == "resourceType" || base == "contained" && r.holds) {
		return
	}
	if !anElement.MatchString(name) {
		name = "?"
	}
	r.unknown[r.element(path)+"."+name]++
}

// member prunes the value of a member that rows name.
func (r *oracle) member(sub []line, star *string, at string, v any, sibling bool) any {
	if !conditioned(sub) {
		return r.value(settle(met(sub, nil), star, at), star, at, v, sibling)
	}
	one := func(v any) any {
		if _, lists := v.([]any); lists {
			return nil
		}
		return r.value(settle(met(sub, v), star, at), star, at, v, false)
	}
	array, ok := v.([]any)
	switch {
	case sibling:
		return nil
	case ok:
		return each(array, one)
	}
	return one(v)
}

// value prunes a value; star is that above it.
func (r *oracle) value(p place, star *string, at string, v any, sibling bool) any {
	switch {
	case p.own == nil && p.star != nil && star != nil:
		return r.keep(context{root: *p.star}, p, at, v, sibling)
	case p.own == nil && sibling:
		return nil
	case p.own == nil:
		return objects(v, func(object map[string]any) any {
			if p.star != nil {
				return r.keepObject(context{root: *p.star}, p, at, object)
			}
			return r.object(p, at, object)
		})
	case p.own.rule.Method == transforms.Keep:
		if s, ok := v.(string); ok && at[strings.LastIndexByte(at, '.')+1:] == "reference" && !sibling {
			if ref, ok := r.reference(s); ok {
				return r.rewrite(at, ref)
			}
			return nil
		}
		return r.keep(context{root: at, allowed: widen(nil, at), odd: sibling}, p, at, v, sibling)
	case sibling, p.own.rule.Method == transforms.Remove:
		return nil
	}
	return r.leaf(at, p.own.rule, v)
}

// objects prunes an object, or each of a list.
func objects(v any, f func(map[string]any) any) any {
	one := func(v any) any {
		if object, ok := v.(map[string]any); ok {
			return f(object)
		}
		return nil
	}
	if array, ok := v.([]any); ok {
		return each(array, one)
	}
	return one(v)
}

// each is the array of what f makes of the elements, without what it made nothing of.
func each(array []any, f func(any) any) any {
	var out []any
	for _, v := range array {
		if v = f(v); v != nil {
			out = append(out, v)
		}
	}
	if out == nil {
		return nil
	}
	return out
}

func unlessEmpty(object map[string]any) any {
	if len(object) == 0 {
		return nil
	}
	return object
}

var year = regexp.MustCompile(`^([0-9]{4})(-|$)`)

// leaf applies a method other than Keep.
func (r *oracle) leaf(path string, rule transforms.Rule, v any) any {
	method := rule.Method
	kind := r.element(path)
	if path == "id" {
		kind = r.kind
	}
	one := func(v any) any {
		if method == transforms.Fixed {
			switch v.(type) {
			case string, json.Number, bool:
				fixed, err := parse([]byte(`{"x":` + rule.Value + `}`))
				if err != nil {
					r.fail(err)
					return nil
				}
				return fixed.(map[string]any)["x"]
			}
			return nil
		}
		switch s, text := v.(string); {
		case method == transforms.Reference:
			return r.whole(path, v)
		case !text:
			return nil
		case method == transforms.Token:
			r.tokenized[r.element(path)]++
			return r.token(kind, s)
		case method == transforms.Hash:
			hash, err := r.o.Hash.AppendHash(nil, kind, []byte(s))
			if err != nil {
				r.fail(transforms.ErrToken)
			}
			return string(hash)
		case method == transforms.Mask:
			return "***"
		case method == transforms.Year:
			if m := year.FindStringSubmatch(s); m != nil {
				return m[1]
			}
		case method == transforms.Month:
			if m := aDate.FindStringSubmatch(s); m != nil && isDay(m[1]) {
				return s[:min(len(s), 7)]
			}
		case method == transforms.Shift:
			if m := aDate.FindStringSubmatch(s); m != nil && isDay(m[1]) && (m[2] == "" || aTime.MatchString(m[2])) {
				return unmoved(s)
			}
		}
		return nil
	}
	if array, ok := v.([]any); ok {
		return each(array, one)
	}
	return one(v)
}

var (
	aDate = regexp.MustCompile(`(?s)^(\d{4}|\d{4}-\d\d|\d{4}-\d\d-\d\d)(T.*)?$`)
	aTime = regexp.MustCompile(`^T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))$`)
)

// isDay says whether a text is a day of the calendar, or a month or year of it.
func isDay(s string) bool {
	_, err := time.Parse("2006-01-02"[:len(s)], s)
	return err == nil && s[:4] != "0000"
}

// unmoved is a date that is to be shifted, once it is known by how much.
type unmoved string

// shifted is a date moved by days; a month by its 15th, a year by its 1st of July.
func shifted(s string, days int) (string, bool) {
	day, rest := s, ""
	if len(s) > 10 {
		day, rest = s[:10], s[10:]
	}
	t, _ := time.Parse("2006-01-02", day+"2006-07-15"[len(day):][:10-len(day)])
	if len(day) == 4 {
		t = t.AddDate(0, 0, -14)
	}
	if t = t.AddDate(0, 0, days); t.Year() < 1 || t.Year() > 9999 {
		return "", false
	}
	return t.Format("2006-01-02")[:len(day)] + rest, true
}

// tidied is a pruned resource with its dates shifted and its lists aligned.
func (r *oracle) tidied(out map[string]any, kind string, resource map[string]any) any {
	var patient string
	known := false
	if kind == "Patient" {
		patient, known = resource["id"].(string)
	} else if ids := slices.Compact(slices.Sorted(slices.Values(r.patients(r.compartment[kind], resource)))); len(ids) == 1 {
		patient, known = ids[0], true
	}
	days := 0
	if known {
		days, _ = r.o.Shift.Shift(patient)
	}
	v, _ := r.tidy(out, func(s string) (string, bool) {
		if s, ok := shifted(s, days); ok && known {
			return s, true
		}
		r.removed[kind]++
		return "", false
	}, false)
	return v
}

// tidy says also whether anything is left of the value.
func (r *oracle) tidy(v any, shift func(string) (string, bool), inner bool) (any, bool) {
	switch v := v.(type) {
	case unmoved:
		return shift(string(v))
	case []any:
		var out []any
		some := false
		for _, v := range v {
			if v == nil {
				if !inner {
					out = append(out, nil)
				}
				continue
			}
			if v, ok := r.tidy(v, shift, true); ok {
				out, some = append(out, v), true
			}
		}
		return out, some
	case map[string]any:
		arrays := map[string][]any{}
		for name, value := range v {
			kept, ok := r.tidy(value, shift, false)
			if !ok {
				delete(v, name)
				continue
			}
			v[name] = kept
			if array, ok := kept.([]any); ok {
				arrays[name] = array
			}
		}
		at := func(array []any, i int) any {
			if i < len(array) {
				return array[i]
			}
			return nil
		}
		for name, array := range arrays {
			var other []any
			switch {
			case strings.HasPrefix(name, "__"): // is nothing's sibling
			case strings.HasPrefix(name, "_"):
				other = arrays[name[1:]]
			default:
				other = arrays["_"+name]
			}
			var out []any
			for i := range max(len(array), len(other)) {
				if at(array, i) != nil || at(other, i) != nil {
					out = append(out, at(array, i))
				}
			}
			v[name] = out
		}
		return v, len(v) > 0
	}
	return v, true
}

// whole is what method reference leaves of a Reference.
func (r *oracle) whole(path string, v any) any {
	object, _ := v.(map[string]any)
	s, ok := object["reference"].(string)
	if !ok {
		return nil
	}
	ref, ok := r.reference(s)
	if !ok {
		return nil
	}
	out := map[string]any{"reference": r.rewrite(path, ref)}
	if kind, ok := object["type"].(string); ok {
		out["type"] = kind
	}
	return out
}

// special are the names that keeping leaves out unless a row names them. A text is left out only where it is a
// narrative.
var special = []string{"extension", "modifierExtension", "contained", "div", "display", "text"}

// widen adds what a row lets pass within its element: its own name, if that is special, and a narrative's div.
func widen(allowed []string, path string) []string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	allowed = append(slices.Clip(allowed), name)
	if name == "text" {
		allowed = append(allowed, "div")
	}
	return allowed
}

// context is where below a kept row a value is.
type context struct {
	root     string   // path of the row
	allowed  []string // special names that leave
	resource bool     // it is the resource itself
	odd      bool     // below an underscore or in a list of lists, where rows and compartments mean nothing
}

// keep prunes a value of a kept place.
func (r *oracle) keep(c context, p place, path string, v any, sibling bool) any {
	return r.keepBy(c, func(any) place { return p }, path, v, sibling)
}

func (r *oracle) keepBy(c context, at func(any) place, path string, v any, sibling bool) any {
	switch v := v.(type) {
	case map[string]any:
		return r.keepObject(c, at(v), path, v)
	case []any:
		var out []any
		some := false
		for _, v := range v {
			c := c
			_, list := v.([]any)
			c.odd = c.odd || list
			kept := r.keepBy(c, at, path, v, false)
			_, object := v.(map[string]any)
			if kept != nil || v == nil || object && sibling {
				out = append(out, kept)
				some = some || kept != nil
			}
		}
		if !some {
			return nil
		}
		return out
	}
	return v
}

func (r *oracle) keepObject(c context, p place, path string, object map[string]any) any {
	out := map[string]any{}
	for name, v := range object {
		base, sibling := strings.CutPrefix(name, "_")
		at, sub := below(path, base), going(p.rows, base)
		in := c
		in.odd, in.resource = c.odd || sibling, false
		if c.resource {
			switch {
			case base == "resourceType", name == "_meta" && len(sub) == 0, name == "id" && !isText(v):
				continue
			case r.inside && base == "meta":
				continue
			case name == "contained", r.inside && name == "id":
				kept := r.contained(v)
				if name == "id" {
					kept = r.localID(v)
				}
				if kept != nil {
					out[name] = kept
				}
				continue
			case base == "id" && len(sub) == 0:
				sub = []line{{rule: transforms.Rule{Method: transforms.Keep}, rest: []pathStep{{name: "id"}}}}
			}
		}
		own := slices.ContainsFunc(sub, func(l line) bool { return len(l.rest) == 1 })
		leftOut := slices.Contains(special, base)
		if p.star != nil && (own || conditioned(sub) || leftOut && len(sub) > 0) {
			star := p.star
			if leftOut { // a * does not reach what it leaves out: the rows alone count
				star = nil
			}
			var kept any
			if !c.odd {
				kept = r.member(sub, star, at, v, sibling)
			} else if here := settle(met(sub, nil), star, at); !conditioned(sub) && here.own != nil &&
				here.own.rule.Method == transforms.Keep && base != "reference" {
				kept = r.keep(context{root: at, allowed: widen(nil, at), odd: true}, here, at, v, sibling)
			}
			if kept != nil {
				out[name] = kept
			}
			continue
		}
		if slices.Contains(special, base) && !slices.Contains(c.allowed, base) && conditioned(sub) && !sibling {
			one := func(v any) any {
				if object, ok := v.(map[string]any); ok {
					if here := settle(met(sub, v), nil, at); here.own != nil {
						in := in
						in.allowed = widen(c.allowed, at)
						return r.keepObject(in, here, at, object)
					}
				}
				return nil
			}
			var kept any
			if array, ok := v.([]any); ok {
				kept = each(array, one)
			} else {
				kept = one(v)
			}
			if kept != nil {
				out[name] = kept
			}
			continue
		}
		if own && !conditioned(sub) {
			in.allowed = widen(c.allowed, at)
		}
		if slices.Contains(special, base) && !slices.Contains(in.allowed, base) {
			if _, narrative := object["text"].(map[string]any); base != "text" || narrative {
				continue
			}
		}
		if _, list := object["reference"].([]any); list && base == "reference" {
			continue
		}
		if s, ok := object["reference"].(string); ok && base == "reference" {
			ref, ok := r.reference(s)
			if !ok {
				continue
			}
			if name == "reference" {
				out[name] = r.rewrite(c.root, ref)
				continue
			}
		}
		if kept := r.keepBy(in, func(v any) place { return settle(met(sub, v), p.star, at) }, at, v, sibling); kept != nil {
			out[name] = kept
		}
	}
	return unlessEmpty(out)
}

// reference is the parts of a literal reference to a resource of the EHR.
type reference struct {
	base, kind, id, version string // base: the gateway's own, "" where the reference is relative
	local                   string // "#x", to a contained resource that leaves
}

var literal = regexp.MustCompile(`^([A-Z][A-Za-z]*)/([A-Za-z0-9.-]{1,64})(/_history/[A-Za-z0-9.-]{1,64})?$`)

func (r *oracle) reference(s string) (reference, bool) {
	if id, ok := strings.CutPrefix(s, "#"); ok {
		return reference{local: s}, r.locals[id]
	}
	base := ""
	for _, ehr := range r.o.EHR {
		if rest, ok := strings.CutPrefix(s, ehr+"/"); ok && literal.MatchString(rest) {
			base, s = r.o.Base+"/", rest
			break
		}
	}
	m := literal.FindStringSubmatch(s)
	if m == nil {
		return reference{}, false
	}
	return reference{base: base, kind: m[1], id: m[2], version: m[3]}, true
}

// rewrite is a reference as it leaves, counted at the row that lets it.
func (r *oracle) rewrite(path string, ref reference) string {
	if ref.local != "" {
		return ref.local
	}
	r.tokenized[r.element(path)]++
	r.leads = append(r.leads, ref.kind+"/"+ref.id)
	return r.address(ref)
}

func (r *oracle) address(ref reference) string {
	if ref.kind == "Patient" {
		r.name("Patient", ref.id)
	}
	return ref.base + ref.kind + "/" + r.token(ref.kind, ref.id) + ref.version
}

func (r *oracle) token(kind, value string) string {
	token, err := r.o.Tokens.AppendToken(nil, kind, []byte(value))
	if err != nil {
		r.fail(transforms.ErrToken)
	}
	return string(token)
}

// bundle is the built-in row of a Bundle.
func (r *oracle) bundle(bundle map[string]any, root bool) any {
	out := map[string]any{"resourceType": "Bundle"}
	kind, typed := bundle["type"].(string)
	if typed {
		out["type"] = kind
	}
	if root && r.o.BundleType != "" {
		if kind != r.o.BundleType {
			r.fail(transforms.ErrUnexpectedRoot)
		}
		typed, kind = true, r.o.BundleType
	}
	if n, ok := bundle["total"].(json.Number); ok && r.o.Total {
		out["total"] = n
	}
	if links, ok := bundle["link"].([]any); ok {
		if kept := each(links, r.link); kept != nil {
			out["link"] = kept
		}
	}
	if entries, ok := bundle["entry"].([]any); ok {
		if kept := each(entries, func(v any) any {
			mark := len(r.named)
			entry, answer := r.entry(v)
			_, responded := object(v)["response"].(map[string]any)
			_, requested := object(v)["request"]
			positional, shape := strings.HasSuffix(kind, "-response"), responded && !requested
			if !typed {
				positional = shape && root // a nested one is looked into first
			}
			switch {
			case entry != nil:
				return entry
			case root && r.o.BundleType == "" && positional != shape:
				r.may = append(r.may, transforms.ErrUnexpectedRoot) // where type comes last
			}
			if positional && answer != nil {
				return map[string]any{"response": answer}
			}
			r.forget(mark)
			if positional {
				return refused
			}
			return nil
		}); kept != nil {
			out["entry"] = kept
		}
	}
	return out
}

func object(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}

// refused is what takes the place of an answer that may not leave.
var refused = map[string]any{"response": map[string]any{
	"status": "403 Forbidden",
	"outcome": map[string]any{"resourceType": "OperationOutcome", "issue": []any{map[string]any{
		"severity": "error", "code": "forbidden", "details": map[string]any{"text": "The gateway does not release this answer."},
	}}},
}}

func (r *oracle) link(v any) any {
	link, _ := v.(map[string]any)
	relation, ok := link["relation"].(string)
	url, ok2 := link["url"].(string)
	if !ok || !ok2 || r.o.Link == nil {
		return nil
	}
	if url, ok = r.o.Link(relation, url); !ok {
		return nil
	}
	return map[string]any{"relation": relation, "url": url}
}

// entry is what leaves of an entry with its resource, if it does; and what may leave of its response alone, if there
// is no resource.
func (r *oracle) entry(v any) (entry, answer any) {
	members := object(v)
	out := map[string]any{}
	if s, ok := members["fullUrl"].(string); ok {
		if ref, ok := r.reference(s); ok && ref.base != "" && ref.version == "" {
			out["fullUrl"] = r.address(ref)
		}
	}
	search := map[string]any{}
	if s, ok := object(members["search"])["mode"].(string); ok && aCode.MatchString(s) {
		search["mode"] = s
	}
	if n, ok := object(members["search"])["score"].(json.Number); ok {
		search["score"] = n
	}
	var grades []any
	extensions, _ := object(members["search"])["extension"].([]any)
	for _, v := range extensions {
		url, code := object(v)["url"], object(v)["valueCode"]
		known := code == "certain" || code == "probable" || code == "possible" || code == "certainly-not"
		if url == "http://hl7.org/fhir/StructureDefinition/match-grade" && known {
			grades = append(grades, map[string]any{"url": url, "valueCode": code})
		}
	}
	if grades != nil {
		search["extension"] = grades
	}
	if len(search) > 0 {
		out["search"] = search
	}
	if request := r.request(object(members["request"])); request != nil {
		out["request"] = request
	}
	if response := r.response(object(members["response"])); response != nil {
		out["response"] = response
	}
	resource, ok := members["resource"].(map[string]any)
	if !ok {
		return nil, out["response"]
	}
	if out["resource"] = r.part(resource); out["resource"] == nil {
		return nil, nil
	}
	return out, nil
}

// part is what leaves of a resource inside another one; nil if it does not.
func (r *oracle) part(resource map[string]any) any {
	kind, ok := resource["resourceType"].(string)
	if !ok {
		r.fail(transforms.ErrNoType)
		return nil
	}
	if cause := r.refusal(kind, resource); cause != "" {
		r.drop(cause, kind)
		return nil
	}
	if kind == "Bundle" || kind == "OperationOutcome" || kind == "Parameters" {
		return r.resource(kind, resource)
	}
	released, tokenized, removed, dropped := maps.Clone(r.released), maps.Clone(r.tokenized), maps.Clone(r.removed), map[string]map[string]int{}
	for cause, kinds := range r.dropped {
		dropped[cause] = maps.Clone(kinds)
	}
	unknown, missing, mark := maps.Clone(r.unknown), maps.Clone(r.missing), len(r.named)
	r.leads = nil
	out := r.resource(kind, resource)
	if r.stray(kind, resource) {
		r.released, r.tokenized, r.removed, r.dropped = released, tokenized, removed, dropped
		r.unknown, r.missing = unknown, missing
		r.forget(mark)
		r.drop("stray", kind)
		return nil
	}
	if id, ok := resource["id"].(string); ok {
		r.left[kind+"/"+id] = true
	}
	for _, to := range r.leads {
		r.referred[to] = true
	}
	return out
}

// stray says whether the resource at hand was included, and nothing that left leads to it.
func (r *oracle) stray(kind string, resource map[string]any) bool {
	id, ok := resource["id"].(string)
	return r.o.Searched != nil && !slices.Contains(r.o.Searched, kind) && !(ok && r.referred[kind+"/"+id]) &&
		!slices.ContainsFunc(r.leads, func(to string) bool { return r.left[to] })
}

func (r *oracle) drop(cause, kind string) {
	if !plausible.MatchString(kind) {
		kind = "?"
	}
	if r.dropped[cause] == nil {
		r.dropped[cause] = map[string]int{}
	}
	r.dropped[cause][kind]++
}

func (r *oracle) request(request map[string]any) any {
	url, ok := request["url"].(string)
	if !ok {
		return nil
	}
	if !r.asked(url) || !r.hasRow(url) {
		if url, ok = r.located(url); !ok {
			return nil
		}
	}
	out := map[string]any{"url": url}
	if verb, _ := request["method"].(string); slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, verb) {
		out["method"] = verb
	}
	return out
}

// located is the address of a resource whose type may leave.
func (r *oracle) located(url string) (string, bool) {
	ref, ok := r.reference(url)
	if !ok || !r.asked(ref.kind) || !r.hasRow(ref.kind) {
		return "", false
	}
	return r.address(ref), true
}

var status = regexp.MustCompile(`^([0-9]{3})( |$)`)

func (r *oracle) response(response map[string]any) any {
	out := map[string]any{}
	if s, ok := response["status"].(string); ok {
		if m := status.FindStringSubmatch(s); m != nil {
			out["status"] = m[1]
		}
	}
	if s, ok := response["location"].(string); ok {
		if s, ok = r.located(s); ok {
			out["location"] = s
		}
	}
	if outcome, ok := response["outcome"].(map[string]any); ok {
		switch kind, ok := outcome["resourceType"].(string); {
		case !ok:
			r.fail(transforms.ErrNoType)
		case kind == "OperationOutcome" && !r.labelled(outcome):
			removed, tokenized := maps.Clone(r.removed), maps.Clone(r.tokenized)
			out["outcome"] = r.outcome(outcome)
			r.removed, r.tokenized = removed, tokenized // it is no resource of its own
		}
	}
	return unlessEmpty(out)
}

var plausible = regexp.MustCompile(`^[A-Za-z]{1,64}$`)

// sorted lists subjects for a message.
func sorted(set map[transforms.Subject]bool) []transforms.Subject {
	return slices.SortedFunc(maps.Keys(set), func(a, b transforms.Subject) int {
		return strings.Compare(a.Type+"/"+a.ID, b.Type+"/"+b.ID)
	})
}
