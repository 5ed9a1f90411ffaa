package accesslog_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

var zeroHash = strings.Repeat("A", 43) + "="

// goodLines are seeds that must load.
func goodLines(t testing.TB) [][]byte {
	var lines [][]byte
	for _, r := range []*accesslog.Record{sample(1), small(2), {Kind: "refusal", Code: "token-expired", Status: 401}} {
		r.Previous = zeroHash
		line, err := accesslog.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := accesslog.Decode(line); err != nil {
			t.Fatalf("seed does not load: %v", err)
		}
		lines = append(lines, line)
	}
	return lines
}

func FuzzDecode(f *testing.F) {
	for _, line := range goodLines(f) {
		f.Add(line)
		f.Add(line[:len(line)-1])
		f.Add(append(line, '}'))
		f.Add(bytes.Replace(line, []byte(`"seq":0`), []byte(`"seq":0,"seq":1`), 1))
	}
	f.Add([]byte(`{"v":1,"time":"2026-01-01T00:00:00+14:00","kind":"admin","subjects":[],"totals":{},"seq":7,"prev":"` + zeroHash + `"}`))
	f.Add([]byte("null"))
	for i := range uint64(64) {
		r := randomRecord(rand.New(rand.NewPCG(i, 7)))
		r.Previous = zeroHash
		line, err := accesslog.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
		f.Add(bytes.Replace(line, []byte(`-0`), []byte(`-3`), 2)) // no such day, perhaps
		f.Add(bytes.Replace(line, []byte(`:`), []byte(`: `), 1))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := accesslog.Decode(line)
		plain, plainErr := accesslog.DecodeAny(line)
		if !reflect.DeepEqual(r, plain) || (err == nil) != (plainErr == nil) {
			t.Fatalf("the quick reader has %+v, %v; the plain one %+v, %v", r, err, plain, plainErr)
		}
		if new(accesslog.Cursor).Whole(line) && !json.Valid(line) {
			t.Fatal("a canonical line is not JSON")
		}
		if err != nil {
			if len(line) > 40 && strings.Contains(err.Error(), string(line)) {
				t.Fatal("the error quotes the line")
			}
			return
		}
		once, err := accesslog.Encode(r)
		if err != nil {
			return // a time beyond RFC 3339 once it is UTC
		}
		again, err := accesslog.Decode(once)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, once)
		}
		twice, err := accesslog.Encode(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}

func FuzzLines(f *testing.F) {
	whole := append(bytes.Join(goodLines(f), []byte("\n")), "\n\x00\x00"...)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte("a\x00\n\nb\n"))
	f.Fuzz(func(t *testing.T, b []byte) { checkLines(t, b) })
}

func FuzzNotes(f *testing.F) {
	signer, verifier, err := accesslog.GenerateKey("fuzz")
	if err != nil {
		f.Fatal(err)
	}
	const empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	checkpoint := "fuzz\n0\n" + empty + "\n"
	state := "fuzz/frontier\n0\n" + empty + "\nopen\n1 0\n" + zeroHash + "\n"
	if c, _, err := accesslog.ParseNotes(checkpoint, signer, verifier); err != nil || c == "" {
		f.Fatalf("the checkpoint does not load: %v", err)
	}
	if _, s, err := accesslog.ParseNotes(state, signer, verifier); err != nil || s == "" {
		f.Fatalf("the frontier does not load: %v", err)
	}
	for _, seed := range []string{checkpoint, state, checkpoint + "extension\n", "fuzz\n0\n" + strings.Repeat("A", 42) + "B=\n", "fuzz\n01\n" + empty + "\n", "\n", "fuzz/frontier\n1\n" + zeroHash + "\nclosed\n1 99\n" + zeroHash + "\n" + zeroHash + "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		asCheckpoint, asState, err := accesslog.ParseNotes(text, signer, verifier)
		if err != nil {
			return // not a text that can be signed
		}
		if asCheckpoint != "" && asState != "" {
			t.Fatal("a note is both a checkpoint and a frontier")
		}
		if asState != "" && !strings.HasPrefix(asState, text) {
			t.Fatalf("a frontier has two spellings:\n%s\n%s", text, asState)
		}
		if head, _, _ := strings.Cut(asCheckpoint, "\n\n"); asCheckpoint != "" && !strings.HasPrefix(text, head+"\n") {
			t.Fatalf("a checkpoint has two spellings:\n%s\n%s", text, asCheckpoint)
		}
	})
}

// What the log writes of a desk's calls is read quickly; a line that differs in anything is read as well.
func TestCanonical(t *testing.T) {
	c := new(accesslog.Cursor)
	for _, line := range goodLines(t) {
		if !c.Whole(line) {
			t.Errorf("%s is not read quickly", line)
		}
		if n := testing.AllocsPerRun(10, func() { c.Whole(line) }); n > 0 {
			t.Errorf("%v allocations to look at a line", n)
		}
		for i := range line {
			for _, b := range []byte(`"\\{}[],:0x ` + "\x00\xff") {
				changed := bytes.Clone(line)
				changed[i] = b
				r, err := accesslog.Decode(changed)
				plain, plainErr := accesslog.DecodeAny(changed)
				if !reflect.DeepEqual(r, plain) || (err == nil) != (plainErr == nil) {
					t.Fatalf("%s:\nquick %v, plain %v", changed, err, plainErr)
				}
			}
		}
	}
}

// fillAll gives every field a plain value.
func fillAll(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("value")
	case reflect.Int, reflect.Int64:
		v.SetInt(17)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(firstDay))
			return
		}
		for i := range v.NumField() {
			fillAll(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillAll(v.Index(0))
		fillAll(v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		e := reflect.New(v.Type().Elem()).Elem()
		fillAll(e)
		v.SetMapIndex(reflect.ValueOf("name"), e)
	default:
		panic(v.Kind())
	}
}

// A field that the quick reader does not know would make every line with it slow.
func TestCanonicalKnowsEveryField(t *testing.T) {
	r := new(accesslog.Record)
	fillAll(reflect.ValueOf(r).Elem())
	r.Kind, r.Previous, r.Version = accesslog.KindAccess, zeroHash, accesslog.Version
	line, err := accesslog.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if !new(accesslog.Cursor).Whole(line) {
		t.Errorf("not read quickly: %s", line)
	}
	got, err := accesslog.Decode(line)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n%+v\n%+v", err, got, r)
	}
}
