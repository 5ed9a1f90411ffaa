package accesslog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// What a record looks like is part of the product: it outlives the program.
func TestLine(t *testing.T) {
	r := sample(3)
	r.Time = time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.FixedZone("", 3600))
	r.Sequence, r.Previous = 41, strings.Repeat("A", 43)+"="
	r.Totals.Unknown, r.Totals.Missing = map[string]int{"Appointment.text": 3}, map[string]int{"Appointment.status": 1}
	r.Totals.Dropped = map[string]map[string]int{"type": {"Observation": 2, "Condition": 1}, "label": {"Encounter": 4}}
	got, err := accesslog.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"v":1,"time":"2026-03-04T04:06:07.123456789Z","kind":"access","correlation":"c3","request_id":"r3",` +
		`"trace":"4bf92f3577b34da6a3ce929d0e0e4736","actor":{"subject":"agent-7","issuer":"https://id.example","client":"helpdesk","roles":["access-desk"]},` +
		`"source":"192.0.2.10","request":{"method":"GET","interaction":"search-type","type":"Appointment","parameters":[{"name":"patient","values":["q83vEjRWeJASNFZ4q83vEg"]}]},` +
		`"ehr":"main","ticket":{"id":"T-3","category":"scheduling"},"purpose":"HOPERAT","policy":{"revision":"2026-03-01","dataset":"scheduling","version":3,"code":"role-scheduling"},` +
		`"status":200,"subjects":["Patient/tA0000000000000000000000000000000000000000000"],"patients":["q83vEjRWeJASNFZ4q83vEg"],` +
		`"totals":{"bytes_in":18234,"bytes_out":2210,"released":{"Appointment":3},"dropped":{"label":{"Encounter":4},"type":{"Condition":1,"Observation":2}},` +
		`"removed":{"Appointment.comment":3,"Appointment.description":2},"unknown":{"Appointment.text":3},"missing":{"Appointment.status":1}},"seq":41,"prev":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if usual := len(got) - len(`,"missing":{"Appointment.status":1}`); usual > 1024 {
		t.Errorf("a usual record takes %d bytes", usual)
	}
	// zerolog's names and order are those of the struct's tags.
	r.Version, r.Time = 1, r.Time.UTC()
	byTags, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(byTags, got) {
		t.Errorf("the tags say\n%s", byTags)
	}
}

// randomRecord fills every field, or leaves it empty, with values that are hard on an encoder.
func randomRecord(rnd *rand.Rand) *accesslog.Record {
	r := new(accesslog.Record)
	fillRandom(rnd, reflect.ValueOf(r).Elem())
	r.Version = accesslog.Version
	r.Kind = accesslog.Kinds()[rnd.IntN(len(accesslog.Kinds()))]
	r.Time = time.Unix(rnd.Int64N(4e9), rnd.Int64N(1e9)).UTC()
	return r
}

var pieces = []string{"", "a", "Zürich", "\x00", "\n", "\"", "\\", "\x7f", "<&>", "\u2028", "😀", "\ufffd", "{\"seq\":1}", "\t", "/"}

func fillRandom(rnd *rand.Rand, v reflect.Value) {
	word := func() string {
		var s string
		for range rnd.IntN(4) {
			s += pieces[rnd.IntN(len(pieces))]
		}
		return s
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(word())
	case reflect.Int, reflect.Int64:
		v.SetInt(rnd.Int64N(1000) * int64(rnd.IntN(2)))
	case reflect.Bool:
		v.SetBool(rnd.IntN(2) == 0)
	case reflect.Pointer:
		if rnd.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fillRandom(rnd, v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fillRandom(rnd, v.Field(i))
		}
	case reflect.Slice:
		for range rnd.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			fillRandom(rnd, e)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Map:
		n := rnd.IntN(3)
		if n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
		}
		for i := range n {
			e := reflect.New(v.Type().Elem()).Elem()
			fillRandom(rnd, e)
			if e.Kind() == reflect.Map && e.Len() == 0 {
				e.Set(reflect.ValueOf(map[string]int{"x": 1}))
			}
			v.SetMapIndex(reflect.ValueOf(fmt.Sprint(i, word())), e)
		}
	default:
		panic(v.Kind())
	}
}

// Record → line → Record loses nothing, in a file as well.
func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := newSite(t)
	s.fs = &faultFS{}
	l := s.open(t)
	var want []*accesslog.Record
	schema := loadSchema(t)
	for i := range 500 {
		r := randomRecord(rnd)
		before, _ := json.Marshal(r)
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		if after, _ := json.Marshal(r); !bytes.Equal(before, after) {
			t.Fatal("Append changed the record")
		}
		r.Sequence = int64(i)
		want = append(want, r)
	}
	l.Close()
	s.mustVerify(t)
	got := s.records(t)
	for i := range want {
		want[i].Previous = got[i].Previous
		if !reflect.DeepEqual(got[i], want[i]) {
			a, _ := json.Marshal(got[i])
			b, _ := json.Marshal(want[i])
			t.Fatalf("got\n%s\nwant\n%s", a, b)
		}
	}
	for _, line := range bytes.Split(bytes.TrimSpace(s.get(t, "000001.jsonl")), []byte("\n")) {
		if err := schema.check(line); err != nil {
			t.Fatalf("%v:\n%s", err, line)
		}
	}
}

// Every kind of record fits the published schema, and the schema knows no more than the struct.
func TestSchema(t *testing.T) {
	schema := loadSchema(t)
	for _, kind := range accesslog.Kinds() {
		for _, r := range []*accesslog.Record{sample(1), small(1)} {
			r.Kind, r.Previous = kind, strings.Repeat("A", 43)+"="
			line, err := accesslog.Encode(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.check(line); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
	good, err := accesslog.Encode(&accesslog.Record{Kind: "access", Previous: strings.Repeat("A", 43) + "="})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{`"access"`, `"gossip"`}, {`"v":1`, `"v":2`}, {`"seq":0`, `"seq":-1`}, {`"seq":0`, `"seq":"0"`},
		{`"prev":"A`, `"prev":"!`}, {`"kind"`, `"sort"`}, {`"seq"`, `"name":"x","seq"`}} {
		bad := bytes.Replace(good, []byte(c[0]), []byte(c[1]), 1)
		if bytes.Equal(bad, good) {
			t.Errorf("%q is not in the line", c[0])
		}
		if err := schema.check(bad); err == nil {
			t.Errorf("the schema takes %s", bad)
		}
		if _, err := accesslog.Decode(bad); !errors.Is(err, accesslog.ErrRecord) {
			t.Errorf("Decode takes %s: %v", bad, err)
		}
	}
	compareNames(t, "record", reflect.TypeFor[accesslog.Record](), schema)
}

// compareNames holds the schema's properties to the struct's fields.
func compareNames(t *testing.T, at string, typ reflect.Type, s schema) {
	properties, _ := s["properties"].(map[string]any)
	var fields []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
		p, ok := properties[name].(map[string]any)
		if !ok {
			t.Errorf("%s.%s is not in the schema", at, name)
			continue
		}
		sub := f.Type
		for sub.Kind() == reflect.Pointer || sub.Kind() == reflect.Slice {
			if items, ok := p["items"].(map[string]any); ok {
				p = items
			}
			sub = sub.Elem()
		}
		if sub.Kind() == reflect.Struct && sub != reflect.TypeFor[time.Time]() {
			compareNames(t, at+"."+name, sub, p)
		}
	}
	for name := range properties {
		if !slices.Contains(fields, name) {
			t.Errorf("%s.%s is in the schema only", at, name)
		}
	}
}

// schema checks as much of JSON Schema as record.schema.json uses, and fails on more.
type schema map[string]any

func loadSchema(t *testing.T) schema {
	t.Helper()
	var s schema
	if err := json.Unmarshal([]byte(accesslog.Schema()), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s schema) check(line []byte) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	return s.value("", v)
}

func (s schema) value(at string, v any) error {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if err := s.keyword(key, at, v); err != nil {
			return err
		}
	}
	return nil
}

func (s schema) keyword(key, at string, v any) error {
	bad := func() error { return fmt.Errorf("%s: %v does not fit %s %v", at, v, key, s[key]) }
	object, _ := v.(map[string]any)
	array, _ := v.([]any)
	text, isText := v.(string)
	// What the type does not admit is the keyword type's to refuse.
	atLeast := func(n int) error {
		if float64(n) < s[key].(float64) {
			return bad()
		}
		return nil
	}
	switch key {
	case "$schema", "$id", "title", "description", "format":
	case "type":
		_, isNumber := v.(json.Number)
		integer := isNumber && !strings.ContainsAny(string(v.(json.Number)), ".eE")
		if ok := map[string]bool{"object": object != nil, "array": array != nil, "string": isText, "integer": integer}[s[key].(string)]; !ok {
			return bad()
		}
	case "const":
		if fmt.Sprint(v) != fmt.Sprint(s[key]) {
			return bad()
		}
	case "enum":
		if !slices.Contains(s[key].([]any), v) {
			return bad()
		}
	case "pattern":
		if !regexp.MustCompile(s[key].(string)).MatchString(text) {
			return bad()
		}
	case "minLength":
		return atLeast(utf8.RuneCountInString(text))
	case "minItems":
		return atLeast(len(array))
	case "minProperties":
		return atLeast(len(object))
	case "minimum":
		if number, ok := v.(json.Number); ok {
			n, err := number.Int64()
			if err != nil {
				return err
			}
			return atLeast(int(n))
		}
	case "required":
		for _, name := range s[key].([]any) {
			if _, ok := object[name.(string)]; !ok {
				return bad()
			}
		}
	case "items":
		for i, e := range array {
			if err := schema(s[key].(map[string]any)).value(fmt.Sprint(at, "[", i, "]"), e); err != nil {
				return err
			}
		}
	case "properties":
		for name, sub := range s[key].(map[string]any) {
			if e, ok := object[name]; ok {
				if err := schema(sub.(map[string]any)).value(at+"."+name, e); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		for name, e := range object {
			if _, ok := known[name]; ok {
				continue
			}
			sub, ok := s[key].(map[string]any)
			if !ok {
				return fmt.Errorf("%s: %s is not in the schema", at, name)
			}
			if err := schema(sub).value(at+"."+name, e); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("the test does not know %s", key)
	}
	return nil
}
