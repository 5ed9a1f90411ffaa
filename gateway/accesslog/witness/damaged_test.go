package witness_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/witness"
)

// TestDamaged: a file that is not what the witnesses made keeps nothing from starting. It is set aside with a record of it,
// named to who verifies, and the witnesses are asked again.
func TestDamaged(t *testing.T) {
	other := newServer(t, "east.example/w") // the witness's name, and another key
	for _, c := range []struct {
		name   string
		damage func(s *site, good []byte) (file string, content []byte)
		kept   bool // it is no damage: there is nothing in the witnesses' names
	}{
		{"empty", func(_ *site, good []byte) (string, []byte) { return "witnessed.9", nil }, false},
		{"cut off", func(_ *site, good []byte) (string, []byte) { return "witnessed.9", good[:len(good)-20] }, false},
		{"zeroes", func(_ *site, good []byte) (string, []byte) { return "witnessed.9", make([]byte, len(good)) }, false},
		{"another root", func(_ *site, good []byte) (string, []byte) {
			lines := bytes.SplitN(good, []byte("\n"), 4)
			lines[2] = []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
			return "witnessed.9", bytes.Join(lines, []byte("\n"))
		}, false},
		{"a bit of a cosignature", func(s *site, good []byte) (string, []byte) {
			at := bytes.LastIndex(good, []byte(s.servers[1].name)) + len(s.servers[1].name) + 40
			return "witnessed.9", append(append(bytes.Clone(good[:at]), flip(good[at])), good[at+1:]...)
		}, false},
		{"another size in its name", func(_ *site, good []byte) (string, []byte) { return "witnessed.11", good }, false},
		{"another log's", func(s *site, good []byte) (string, []byte) {
			text := "other.example/audit\n20\n" + strings.SplitN(string(good), "\n", 4)[2] + "\n"
			return "witnessed.20", []byte(text + "\n" + s.servers[0].line(text))
		}, false},
		{"too long", func(_ *site, good []byte) (string, []byte) { return "witnessed.9", bytes.Repeat(good, 1000) }, false},
		{"no file", nil, false},
		{"forged by another key", func(s *site, good []byte) (string, []byte) {
			text := origin + "\n1000\n" + strings.SplitN(string(good), "\n", 4)[2] + "\n"
			return "witnessed.1000", []byte(text + "\n" + other.line(text))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, "east.example/w", "west.example/w")
			s.append(9)
			s.start()
			s.stop()
			file, content := "witnessed.9", []byte(nil)
			path := filepath.Join(s.dir, file)
			good, err := os.ReadFile(path)
			check(t, err)
			if c.damage == nil {
				check(t, os.Remove(path))
				check(t, os.Mkdir(path, 0o700))
			} else {
				file, content = c.damage(s, good)
				path = filepath.Join(s.dir, file)
				check(t, os.WriteFile(path, content, 0o600))
			}
			var damage *accesslog.Damage
			if _, err := s.verify(2); !c.kept && (!errors.As(err, &damage) || damage.File != file) {
				t.Errorf("verify: %v", err)
			}

			s.append(2)
			durable := s.log.Durable()
			s.start()
			st := s.all.Statuses()
			if slices.ContainsFunc(st, func(s witness.Status) bool { return s.Failing || s.Contradicts || s.Cosigned < durable }) {
				t.Errorf("the round behind it: %+v", st)
			}
			failures := st[0].Failures + st[1].Failures
			aside, err := os.ReadFile(path + ".damaged")
			if c.kept {
				if err == nil || failures != 0 {
					t.Errorf("set aside: %v, %d failures", err, failures)
				}
				return
			}
			if c.damage != nil && (err != nil || !bytes.Equal(aside, content)) {
				t.Errorf("what was set aside is not what was there: %v", err)
			}
			if failures == 0 {
				t.Error("nobody was told")
			}
			told := 0
			for r, err := range accesslog.Read(s.dir) {
				check(t, err)
				if r.Code == "witnessed-damaged" && strings.Contains(r.Detail, file+" is not what a witness has cosigned") && strings.Contains(r.Detail, "is set aside as "+file+".damaged") {
					told++
				}
			}
			if told != 1 {
				t.Errorf("%d records tell of it", told)
			}
			v, err := s.verify(2)
			if err != nil || len(v.Witnessed) != 2 || !slices.ContainsFunc(v.Notes, func(n string) bool { return strings.HasPrefix(n, file+".damaged was found damaged") }) {
				t.Errorf("%v, %+v", err, v)
			}
			// The next start has nothing to tell of it.
			s.stop()
			s.start()
			if st := s.all.Statuses(); st[0].Failures+st[1].Failures != 0 {
				t.Errorf("told again: %+v", st)
			}
		})
	}
}

// flip is another character of base64.
func flip(b byte) byte {
	if b == 'A' {
		return 'B'
	}
	return 'A'
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
