package transforms_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// TestLines is a table of lines, to the letter.
func TestLines(t *testing.T) {
	f := load(t, "shapes", shapes)
	const (
		active = `{"resourceType":"Patient","active":true}`
		claim  = `{"resourceType":"Claim","id":"secret"}`
	)
	out := patient(`"active":true`) + "\n"
	for _, c := range []shape{
		{"nothing", "", "", nil, nil},
		{"empty lines", "\n\r\n \t\n\n", "", nil, nil},
		{"one without a newline", active, out, nil, nil},
		{"one", active + "\n", out, nil, nil},
		{"carriage returns", active + "\r\n" + active + "\r\n", out + out, nil, nil},
		{"empty lines between", "\n" + active + "\n\n\r\n" + active, out + out, nil, nil},
		{"white space around", " " + active + "\t \n", out, nil, nil},
		{"one dropped", active + "\n" + claim + "\n" + active, out + out, nil, nil},
		{"all dropped", claim + "\n" + claim, "", nil, nil},
		{"type last", `{"active":true,"resourceType":"Patient"}` + "\n" + `{"id":"secret","resourceType":"Claim"}`, `{"active":true,"resourceType":"Patient",` + tag + "}\n", nil, nil},
		{"compartment", `{"resourceType":"Patient","id":"secret"}` + "\n" + `{"resourceType":"Patient","id":"p1","active":true}`, out, func(o *transforms.Options) { o.Patient = "p1" }, nil},
		{"label", `{"resourceType":"Patient","active":true,"meta":{"security":[{"system":"s","code":"R"}]}}` + "\n" + active, out, restricted, nil},
		{"a Bundle", `{"resourceType":"Bundle","type":"x","entry":[{"resource":` + active + `},{"resource":` + claim + `}]}`, `{"resourceType":"Bundle","type":"x","entry":[{"resource":` + strings.TrimSpace(out) + `}]}` + "\n", nil, nil},
		{"type asked for", active + "\n" + active, out + out, func(o *transforms.Options) { o.Root = "Patient" }, nil},
		{"another type asked for", active + "\n" + claim, "", func(o *transforms.Options) { o.Root = "Patient" }, transforms.ErrUnexpectedRoot},
		{"newline escaped", `{"resourceType":"Patient","name":"\n","active":true}`, out, nil, nil},

		{"two on a line", active + active, "", nil, transforms.ErrTrailing},
		{"two on a line, with a carriage return", active + "\r" + active, "", nil, transforms.ErrTrailing},
		{"one on two lines", strings.Replace(active, ",", ",\n", 1), "", nil, transforms.ErrTruncated},
		{"newline in a text", `{"resourceType":"Patient","x":"` + "\n" + `"}`, "", nil, transforms.ErrTruncated},
		{"newline after a number", `{"x":1` + "\n" + `,"resourceType":"Patient"}`, "", nil, transforms.ErrTruncated},
		{"text behind", active + " x", "", nil, transforms.ErrTrailing},
		{"a number", active + "\n7\n", "", nil, transforms.ErrSyntax},
		{"an array", "[" + active + "]", "", nil, transforms.ErrSyntax},
		{"byte order mark", "\ufeff" + active, "", nil, transforms.ErrSyntax},
		{"zero byte", active + "\n\x00\n" + active, "", nil, transforms.ErrSyntax},
		{"no type", active + "\n{}", "", nil, transforms.ErrNoType},
		{"cut", active + "\n" + active[:20], "", nil, transforms.ErrTruncated},
		{"duplicate on the second line", active + "\n" + `{"resourceType":"Claim","x":1,"x":2}`, "", nil, transforms.ErrDuplicate},
	} {
		o := options()
		if c.ask != nil {
			c.ask(&o)
		}
		want := reference.FilterNDJSON(f.ds, compartment, o, []byte(c.in))
		for _, size := range []int{0, 1} {
			o.Window = size
			for _, src := range readers([]byte(c.in), 0) {
				got := stream(t, f.plan.FilterNDJSON, src, o)
				if !errors.Is(got.err, c.err) {
					t.Errorf("%s, %s: error %v, want %v", c.name, src.name, got.err, c.err)
				}
				if c.err == nil && string(got.body) != c.want {
					t.Errorf("%s, %s:\n got %s\nwant %s", c.name, src.name, got.body, c.want)
				}
				if bytes.Contains(got.body, []byte("secret")) {
					t.Errorf("%s, %s: a trace is left in %s", c.name, src.name, got.body)
				}
				whole(t, c.name, got)
				agree(t, c.name+", "+src.name, []byte(c.in), want, got, o)
			}
		}
	}
}

// whole fails where a window ends within a line.
func whole(t *testing.T, name string, got result) {
	t.Helper()
	for _, w := range got.windows {
		if body := got.body[w.start:w.end]; len(body) > 0 && body[len(body)-1] != '\n' {
			t.Errorf("%s: a window ends within a line: %.200q", name, body)
		}
	}
}

// TestLinesGenerated compares lines made at random with the oracle, also where they break off.
func TestLinesGenerated(t *testing.T) {
	for seed := range uint64(30) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 8))}
		ds, plan := g.dataset(t)
		for range 30 {
			var doc []byte
			for range g.IntN(6) {
				line := g.document()
				if !g.one(20) {
					line = bytes.ReplaceAll(line, []byte("\n"), []byte(" "))
				}
				doc = append(append(doc, line...), pick(g, "\n", "\n", "\r\n", "\n\n", " \n")...)
			}
			if g.one(3) {
				doc = doc[:g.IntN(len(doc)+1)]
			}
			o := options()
			g.ask(&o)
			want := reference.FilterNDJSON(ds, parts, o, doc)
			got := stream(t, plan.FilterNDJSON, chunks{bytes.NewReader(doc), 1 + g.IntN(2000)}, transforms.Buffered(o, 512<<g.IntN(4)))
			agree(t, "generated", doc, want, got, o)
			whole(t, "generated", got)
			if t.Failed() {
				t.Fatalf("seed %d: %s\n%v\n got %s\nwant %v", seed, doc, ds.Resources, got.body, want.Value)
			}
		}
	}
}

// TestLinesTruncated cuts lines at every byte: what is left is taken for what it is.
func TestLinesTruncated(t *testing.T) {
	f := load(t, "shapes", shapes)
	doc := []byte(`{"resourceType":"Patient","active":true,"x":[1,"é",null]}` + "\r\n" + `{"id":"e","resourceType":"Encounter","subject":{"reference":"Patient/p1"}}` + "\n\n" +
		`{"resourceType":"Claim","x":-1.5e3}` + "\n" + `{"resourceType":"Patient"}`)
	o := options()
	for n := range doc {
		want := reference.FilterNDJSON(f.ds, compartment, o, doc[:n])
		for _, src := range []io.Reader{bytes.NewReader(doc[:n]), iotest.OneByteReader(bytes.NewReader(doc[:n]))} {
			agree(t, string(doc[:n]), doc[:n], want, stream(t, f.plan.FilterNDJSON, src, o), o)
		}
	}
}

// TestLinesOfCorpus has bulk exports as they come.
func TestLinesOfCorpus(t *testing.T) {
	dir := corpus(t)
	if dir == "" {
		return
	}
	files := read(t, filepath.Join(dir, "ndjson", "*.ndjson"))
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		for _, f := range fixtures(t) {
			o := options()
			o.Window = 5000
			want := reference.FilterNDJSON(f.ds, compartment, o, file.data)
			got := stream(t, f.plan.FilterNDJSON, chunks{bytes.NewReader(file.data), 10000}, o)
			agree(t, f.name+", "+file.name, file.data, want, got, o)
			whole(t, file.name, got)
		}
	}
}

// FuzzLines compares the filter with the oracle on any bytes, at once and byte by byte.
func FuzzLines(f *testing.F) {
	fix := load(f, "shapes", shapes)
	for _, s := range []string{
		"", "\n", `{"resourceType":"Patient","active":true}` + "\r\n" + `{"resourceType":"Claim"}` + "\n\n" + `{"id":"e","resourceType":"Encounter"}`,
		`{"resourceType":"Patient"}{"resourceType":"Patient"}`, `{"resourceType":` + "\n" + `"Patient"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		o := options()
		o.Window = 1
		want := reference.FilterNDJSON(fix.ds, compartment, o, doc)
		agree(t, "at once", doc, want, stream(t, fix.plan.FilterNDJSON, bytes.NewReader(doc), o), o)
		agree(t, "byte by byte", doc, want, stream(t, fix.plan.FilterNDJSON, iotest.OneByteReader(bytes.NewReader(doc)), o), o)
	})
}
