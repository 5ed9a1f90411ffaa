package cli_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/cli"
)

// TestTable: a long table is written as it comes, each block with its columns under each other.
func TestTable(t *testing.T) {
	var b bytes.Buffer
	row, end := cli.NewTable(&b)
	for i := range 2500 {
		before := b.Len()
		if err := row(strconv.Itoa(i), "x"); err != nil {
			t.Fatal(err)
		}
		if wrote := b.Len() > before; wrote != (i%1000 == 999) {
			t.Fatalf("row %d: %d bytes, then %d", i, before, b.Len())
		}
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 2500 || lines[0] != "0    x" || lines[999] != "999  x" || lines[1000] != "1000  x" || lines[2499] != "2499  x" {
		t.Errorf("%d lines, %q %q", len(lines), lines[0], lines[1000])
	}
}
