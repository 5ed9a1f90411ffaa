package configs_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/configs"
)

var update = flag.Bool("update", false, "write the messages seen into testdata, to be read before they are committed")

// Each testdata/NAME.bad.yaml is refused with exactly the text of NAME.bad.txt, in which $DIR is the folder.
func TestBad(t *testing.T) {
	names, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(names) < 25 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	dir := folder(t)
	t.Setenv("HALFDOOR_SPACED", "hunter2 hunter2")
	t.Setenv("HALFDOOR_SHORT", "hunter2")
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".bad.yaml"), func(t *testing.T) {
			c, err := configs.Parse(filepath.Base(name), read(t, name), dir)
			var problems *configs.Error
			if c != nil || !errors.As(err, &problems) {
				t.Fatalf("%v, %v", c, err)
			}
			got := strings.ReplaceAll(err.Error(), dir, "$DIR") + "\n"
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is in the message:\n%s", got)
			}
			want := strings.TrimSuffix(name, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(read(t, want)); got != want {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}
