package fhir_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// codingHeaders are values of Accept-Encoding, one line of the header each where there is a "\n", and what is chosen of
// zstd and gzip: a coding, "plain", both, or a refusal.
var codingHeaders = []struct{ header, want string }{
	{"gzip", "gzip plain"},
	{"GZip ;Q=0.5", "gzip plain"},
	{"gzip\t;\tq=1.000", "gzip plain"},
	{"x-gzip", "gzip plain"},
	{"zstd", "zstd plain"},
	{"gzip, deflate, br, zstd", "zstd plain"},
	{"gzip, zstd;q=0.999", "gzip plain"},
	{"gzip;q=0.001", "gzip plain"},
	{"deflate, gzip;q=1.0, *;q=0.5", "gzip plain"},
	{"deflate\ngzip", "gzip plain"},
	{" ,, gzip , ", "gzip plain"},
	{"gzip, identity", "gzip plain"},
	{"gzip;q=0.5, identity;q=0.5", "gzip plain"},
	{"identity;q=0, gzip", "gzip"},
	{"*;q=0, gzip", "gzip"},
	{"*;q=0, identity;q=0.1, gzip;q=0.2", "gzip plain"},

	{"", "plain"},
	{"identity", "plain"},
	{"*", "plain"},
	{"*;q=0.5", "plain"},
	{"br", "plain"},
	{"compress, sdch;q=0", "plain"},
	{"gzip;q=0", "plain"},
	{"gzip;q=0.0, zstd;q=0.000", "plain"},
	{"gzip, gzip;q=0", "plain"},
	{"gzip;q=0, x-gzip", "plain"},
	{"gzip;q=0.5, identity;q=0.6", "plain"},
	{"*;q=0, identity", "plain"},

	{"identity;q=0, *", "zstd"},
	{"identity;q=0, *;q=0.1, zstd;q=0", "gzip"},
	{"identity;q=0, *, zstd;q=0, gzip;q=0", "not acceptable"},
	{"identity;q=0", "not acceptable"},
	{"identity;q=0, br", "not acceptable"},
	{"*;q=0", "not acceptable"},
	{"*;q=0, br", "not acceptable"},
	{"identity;q=1, identity;q=0", "not acceptable"},

	{"gzip;q=2", "malformed"},
	{"gzip;q=1.001", "malformed"},
	{"gzip;q=0.1234", "malformed"},
	{"gzip;q=.5", "malformed"},
	{"gzip;q=", "malformed"},
	{"gzip;q= 1", "malformed"},
	{"gzip;q =1", "malformed"},
	{"gzip;q=-0", "malformed"},
	{"gzip;q=1e0", "malformed"},
	{"gzip;q=NaN", "malformed"},
	{"gzip;q=00", "malformed"},
	{"gzip;q=0,5", "plain"}, // "5" is a token, of a coding that nobody knows
	{"gzip;", "malformed"},
	{"gzip;level=1", "malformed"},
	{"gzip;q=1;q=0", "malformed"},
	{";q=1", "malformed"},
	{"gzip deflate", "malformed"},
	{"gzip/1", "malformed"},
	{"gz\x00ip", "malformed"},
	{"gzïp", "malformed"},
	{`"gzip"`, "malformed"},
}

func accept(header string) string {
	c, err := fhir.AcceptCoding(strings.Split(header, "\n"), "zstd", "gzip")
	var e *fhir.Error
	switch {
	case errors.As(err, &e) && e.Kind == fhir.MalformedHeader && e.Param == "Accept-Encoding":
		return "malformed"
	case errors.As(err, &e) && e.Kind == fhir.NotAcceptable:
		return "not acceptable"
	case err != nil:
		return err.Error()
	case c.Plain:
		return strings.TrimSpace(c.Name + " plain")
	}
	return c.Name
}

func TestAcceptCoding(t *testing.T) {
	for _, c := range codingHeaders {
		if got := accept(c.header); got != c.want {
			t.Errorf("%q gives %q, want %q", c.header, got, c.want)
		}
	}
	if c, err := fhir.AcceptCoding(nil, "zstd", "gzip"); err != nil || c != (fhir.Coding{Plain: true}) {
		t.Errorf("without the header: %+v, %v", c, err)
	}
}

var (
	codingGrammar = regexp.MustCompile("^[ \t]*((?i)[!#$%&'*+.^_`|~0-9a-z-]+([ \t]*;[ \t]*q=(0(\\.[0-9]{0,3})?|1(\\.0{0,3})?))?)?[ \t]*$")
	saysGzip      = regexp.MustCompile(`(?i)\bgzip\b`)
	saysZstd      = regexp.MustCompile(`(?i)\bzstd\b`)
)

// FuzzAcceptCoding: a header is malformed where the grammar of RFC 9110 says so; no coding is chosen that the header does
// not name, and its case and the space around its elements mean nothing.
func FuzzAcceptCoding(f *testing.F) {
	for _, c := range codingHeaders {
		f.Add(c.header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, wellFormed := accept(header), true
		for _, one := range strings.FieldsFunc(header, func(c rune) bool { return c == ',' || c == '\n' }) {
			wellFormed = wellFormed && codingGrammar.MatchString(one)
		}
		if wellFormed == (got == "malformed") {
			t.Errorf("%q gives %q; of the grammar: %v", header, got, wellFormed)
		}
		named := saysGzip.MatchString(header) && strings.HasPrefix(got, "gzip") || saysZstd.MatchString(header) && strings.HasPrefix(got, "zstd")
		if strings.HasSuffix(got, " plain") && !named {
			t.Errorf("%q gives %q", header, got)
		}
		if spaced := accept(strings.ToUpper(strings.ReplaceAll(header, ",", " ,\t,"))); spaced != got && strings.ToLower(strings.ToUpper(header)) == strings.ToLower(header) {
			t.Errorf("%q gives %q, and %q in capitals with space", header, got, spaced)
		}
	})
}
