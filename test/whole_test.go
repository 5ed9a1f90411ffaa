package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// skipTag is the build tag by which test/bench can have a gateway leave steps out.
const skipTag = "halfdoor_insecure_skip"

// skips is found in the names of functions that a program has, and of types: of what leaves steps out.
var skips = regexp.MustCompile(`halfdoor/gateway\.(NewSkipping|\(\*?skips\)|InsecureSkip)\b`)

// TestTheCommandIsWhole: the command has nothing in it that leaves steps out, and does not build with what does. The
// benchmark that is built with it shows that it would be found.
func TestTheCommandIsWhole(t *testing.T) {
	text, err := os.ReadFile(build(t))
	if err != nil {
		t.Fatal(err)
	}
	if found := skips.Find(text); found != nil {
		t.Errorf("the command has %s", found)
	}
	out := filepath.Join(t.TempDir(), "skipper")
	if said, err := exec.Command("go", "build", "-tags", skipTag, "-o", out, module+"/test/bench").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	if text, err = os.ReadFile(out); err != nil || !skips.Match(text) {
		t.Errorf("the benchmark has nothing that is looked for in the command: %v", err)
	}
	said, err := exec.Command("go", "build", "-tags", skipTag, "-o", out, module).CombinedOutput()
	if err == nil || !bytes.Contains(said, []byte("build constraints exclude all Go files")) {
		t.Errorf("the command with the tag: %v\n%s", err, said)
	}
}

// TestOnlyTheBenchmarkSkips: what leaves steps out is in two files, which no build has without the tag.
func TestOnlyTheBenchmarkSkips(t *testing.T) {
	files := func(args ...string) string {
		out, err := exec.Command("go", append(append([]string{"list"}, args...), "-f", `{{$p := .ImportPath}}{{range .GoFiles}}{{$p}}/{{.}} {{end}}`, module+"/...")...).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		return string(out)
	}
	whole := files()
	var more []string
	for file := range strings.FieldsSeq(files("-tags", skipTag)) {
		if !strings.Contains(whole, file+" ") {
			more = append(more, strings.TrimPrefix(file, module+"/"))
		}
	}
	if got := strings.Join(more, " "); got != "gateway/skip.go test/bench/engine_skip.go" {
		t.Errorf("with the tag there are also %s", got)
	}
}
