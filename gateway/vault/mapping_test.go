package vault_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

// long is the i-th id that is too long for its token.
func long(i int) string { return fmt.Sprintf("a-rather-long-id-of-an-unusual-server.%016d", i) }

func mappingFile(dir string) string { return filepath.Join(dir, "longids.log") }

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLongIDsOutliveTheVault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	v := open(t, "1", dir)
	s := sealer(t, v, "", "app", "main")
	tokens := make([]string, 50)
	for i := range tokens {
		tokens[i] = seal(t, s, "Patient", long(i))
	}
	content := read(t, mappingFile(dir))
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range tokens {
		if strings.Contains(content, long(i)) {
			t.Fatal("the file holds an id in clear")
		}
	}
	if info, err := os.Stat(mappingFile(dir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	v = open(t, "1", dir)
	s = sealer(t, v, "", "app", "main")
	for i, token := range tokens {
		opens(t, s, "Patient", token, long(i))
		if again := seal(t, s, "Patient", long(i)); again != token {
			t.Errorf("token of %q is %q, was %q", long(i), again, token)
		}
		refused(t, s, "Person", token)
		refused(t, sealer(t, v, "", "app2", "main"), "Patient", token)
	}
	if read(t, mappingFile(dir)) != content {
		t.Error("known ids were written again")
	}
	// Without the file the tokens mean nothing.
	refused(t, sealer(t, open(t, "1", ""), "", "app", "main"), "Patient", tokens[0])
	refused(t, sealer(t, open(t, "1", t.TempDir()), "", "app", "main"), "Patient", tokens[0])
}

// Wherever a crash cut the file, it opens, the complete lines hold, and what is lost is written again.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	v := open(t, "1", dir)
	tokens := make([]string, 3)
	for i := range tokens {
		tokens[i] = seal(t, sealer(t, v, "", "app", "main"), "Patient", long(i))
	}
	_ = v.Close()
	whole := read(t, mappingFile(dir))
	head := strings.Index(whole, "\n") + 1
	for _, tail := range []string{"", "\x00\x00\x00", strings.Repeat("\x00", 100_000), "v1"} {
		for cut := range len(whole) + 1 {
			if len(tail) > 1000 && cut%50 != 0 || cut < head && tail == "v1" {
				continue
			}
			write(t, mappingFile(dir), whole[:cut]+tail)
			lines := strings.Count(whole[:cut], "\n") - 1 // after the header
			v, err := vault.Open(vault.Options{Keyset: keyset("1"), Dir: dir, Now: clock})
			if err != nil {
				if cut < head && cut+len(tail) > head {
					continue // longer than a torn header
				}
				t.Fatalf("cut at %d with %q: %v", cut, tail, err)
			}
			if v.Damaged() != 0 {
				t.Fatalf("cut at %d: %d damaged", cut, v.Damaged())
			}
			s := sealer(t, v, "", "app", "main")
			for i, token := range tokens {
				if i < lines {
					opens(t, s, "Patient", token, long(i))
				} else {
					refused(t, s, "Patient", token)
				}
			}
			for i, token := range tokens {
				if again := seal(t, s, "Patient", long(i)); again != token {
					t.Fatalf("cut at %d: another token", cut)
				}
			}
			_ = v.Close()
			if got := read(t, mappingFile(dir)); got != whole {
				t.Fatalf("cut at %d with %d more: file is %q, want %q", cut, len(tail), got, whole)
			}
		}
	}
}

// A line that does not read costs its own token only, is counted, and comes back with its id.
func TestDamagedLines(t *testing.T) {
	dir := t.TempDir()
	v := open(t, "1", dir)
	tokens := make([]string, 3)
	for i := range tokens {
		tokens[i] = seal(t, sealer(t, v, "", "app", "main"), "Patient", long(i))
	}
	_ = v.Close()
	whole := read(t, mappingFile(dir))
	lines := strings.SplitAfter(whole, "\n")
	for i := range len(lines[2]) - 1 {
		damaged := lines[2][:i] + "~" + lines[2][i+1:]
		write(t, mappingFile(dir), lines[0]+lines[1]+damaged+lines[3])
		v := open(t, "1", dir)
		if v.Damaged() != 1 {
			t.Fatalf("byte %d: %d damaged", i, v.Damaged())
		}
		s := sealer(t, v, "", "app", "main")
		opens(t, s, "Patient", tokens[0], long(0))
		refused(t, s, "Patient", tokens[1])
		opens(t, s, "Patient", tokens[2], long(2))
		if seal(t, s, "Patient", long(1)) != tokens[1] {
			t.Fatal("another token")
		}
		opens(t, s, "Patient", tokens[1], long(1))
		_ = v.Close()
	}
	// An entry under another's name does not open as it, and no token is made that would.
	forged := strings.Replace(lines[1], tokens[0], tokens[1], 1)
	forged = forged[:len(forged)-9] + crc(forged[:len(forged)-10]) + "\n"
	write(t, mappingFile(dir), lines[0]+forged)
	v = open(t, "1", dir)
	if v.Damaged() != 0 {
		t.Fatal("the forged line should read")
	}
	s := sealer(t, v, "", "app", "main")
	refused(t, s, "Patient", tokens[1])
	if _, err := s.AppendToken(nil, "Patient", []byte(long(1))); !errors.Is(err, vault.ErrMapping) {
		t.Errorf("seal over a forged line: %v", err)
	}
	_ = v.Close()

	for _, content := range []string{"something else\n", "halfdoor long ids 2\n", strings.Repeat("x", 1000)} {
		write(t, mappingFile(dir), content)
		if _, err := vault.Open(vault.Options{Keyset: keyset("1"), Dir: dir, Now: clock}); err == nil {
			t.Errorf("opened %q", content)
		}
		if read(t, mappingFile(dir)) != content {
			t.Errorf("a strange file was changed")
		}
	}
}

func TestTheFileIsLocked(t *testing.T) {
	dir := t.TempDir()
	v := open(t, "1", dir)
	if _, err := vault.Open(vault.Options{Keyset: keyset("1"), Dir: dir, Now: clock}); err != vault.ErrLocked {
		t.Errorf("a second vault: %v", err)
	}
	_ = v.Close()
	open(t, "1", dir)
}

// A reload shares the file; it closes with the last vault that uses it.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	v := open(t, "1", dir)
	old := seal(t, sealer(t, v, "", "app", "main"), "Patient", long(0))
	if _, err := v.Reload(vault.Options{Keyset: []byte("{}"), Dir: dir, Now: clock}); err == nil {
		t.Fatal("a bad keyset was taken")
	}
	w, err := v.Reload(vault.Options{Keyset: keyset("12"), Dir: dir, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	s := sealer(t, w, "", "app", "main")
	opens(t, s, "Patient", old, long(0))
	for range 2 { // closing twice counts once
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	token := seal(t, s, "Patient", long(1))
	opens(t, s, "Patient", token, long(1))
	opens(t, sealer(t, v, "", "app", "main"), "Patient", old, long(0)) // a request that is still under way
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AppendToken(nil, "Patient", []byte(long(2))); !errors.Is(err, vault.ErrClosed) {
		t.Errorf("seal after close: %v", err)
	}
	refused(t, s, "Patient", token)
	opens(t, s, "Patient", seal(t, s, "Patient", "1"), "1")
	if _, err := w.Reload(vault.Options{Keyset: keyset("1"), Dir: dir, Now: clock}); !errors.Is(err, vault.ErrClosed) {
		t.Errorf("reload after close: %v", err)
	}
	x := open(t, "1", dir)
	other, err := x.Reload(vault.Options{Keyset: keyset("1"), Dir: t.TempDir(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, sealer(t, other, "", "app", "main"), "Patient", old)
	_ = other.Close()
}

// Whatever the file holds, opening it makes no panic, and a new long id round-trips.
func FuzzMappingFile(f *testing.F) {
	dir := f.TempDir()
	v := open(f, "1", dir)
	token := seal(f, sealer(f, v, "", "app", "main"), "Patient", long(0))
	_ = v.Close()
	whole := read(f, mappingFile(dir))
	opens(f, sealer(f, open(f, "1", dir), "", "app", "main"), "Patient", token, long(0)) // the seed loads
	f.Add(whole)
	f.Add(whole + whole)
	f.Add(whole[:30] + "\n" + whole)
	f.Add("")
	f.Add("\n")
	f.Fuzz(func(t *testing.T, content string) {
		dir := t.TempDir()
		write(t, mappingFile(dir), content)
		v, err := vault.Open(vault.Options{Keyset: keyset("1"), Dir: dir, Now: clock})
		if err != nil {
			if strings.HasPrefix(content, "halfdoor long ids 1\n") {
				t.Fatal(err)
			}
			return
		}
		s := sealer(t, v, "", "app", "main")
		opens(t, s, "Patient", seal(t, s, "Patient", long(7)), long(7))
		_ = v.Close()
	})
}
