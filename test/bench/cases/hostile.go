package cases

import (
	"fmt"
	"strings"
)

// hostile makes a Bundle that an attacker might have an EHR answer with: valid, of one kind of
// difficulty throughout, half of it in an element that leaves and half in one that does not.
func hostile(name string) []byte {
	const size = 1_850_000
	out := []byte(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := 0; len(out) < size; i++ {
		if i > 0 {
			out = append(out, ',')
		}
		var kept, removed string
		switch name {
		case "hostile-escapes":
			kept, removed = escapes(i), escapes(i+1)
		case "hostile-arrays":
			kept, removed = arrays(i), arrays(i+1)
		case "hostile-keys":
			kept, removed = keys(i), keys(i+1)
		}
		out = fmt.Appendf(out, `{"resource":{"resourceType":"Observation","id":"%d","status":"final","valueQuantity":%s,"note":%s}}`,
			i, kept, removed)
	}
	return append(out, "]}"...)
}

// escapes are strings in which a scan by words ends at every other byte, and escapes of every
// length.
func escapes(i int) string {
	units := []string{`\"x`, `\\`, `\n\t`, `\u0041`, `\ud83d\ude00`, `a\u00e9b\/`, `\u003c\u003e`}
	var b strings.Builder
	for j := range 8 {
		if j > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"n\u006fte%d":"%s"`, j, strings.Repeat(units[(i+j)%len(units)], 100))
	}
	return "{" + b.String() + "}"
}

// arrays are empty, of single digits, and deep.
func arrays(i int) string {
	switch i % 4 {
	case 0:
		return "[" + strings.Repeat("[],", 1000) + "0]"
	case 1:
		return "[" + strings.Repeat("1,", 1500) + "0]"
	case 2:
		deep := strings.Repeat("[", 100) + "0" + strings.Repeat("]", 100)
		return "[" + strings.Repeat(deep+",", 15) + "0]"
	default:
		return "[" + strings.Repeat(`{"a":[{}]},`, 300) + "0]"
	}
}

// keys are objects of as many names as may be, of just more than are kept in a list, and of few.
func keys(i int) string {
	n, objects := 2048, 1
	switch i % 3 {
	case 1:
		n, objects = 33, 60
	case 2:
		n, objects = 7, 300
	}
	var object strings.Builder
	for j := range n {
		if j > 0 {
			object.WriteByte(',')
		}
		fmt.Fprintf(&object, `"k%x":0`, j)
	}
	all := strings.Repeat("{"+object.String()+"},", objects)
	return "[" + strings.TrimSuffix(all, ",") + "]"
}
