package vault_test

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

func crc(text string) string {
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

const crashDir = "HALFDOOR_TEST_CRASH_DIR"

// TestMain makes this binary, where it is told so, a process that tokenises until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		tokenise(dir)
	}
	os.Exit(m.Run())
}

// tokenise prints each long id's token once it has it.
func tokenise(dir string) {
	v, err := vault.Open(vault.Options{Keyset: keyset("1"), Dir: dir, Now: clock})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			s, _ := v.Sealer("", "app", "main")
			for i := 0; ; i++ {
				id := long(1_000_000*g + i)
				token, err := s.AppendToken(nil, "Patient", []byte(id))
				if err != nil {
					panic(err)
				}
				out.Lock()
				fmt.Printf("%s %s\n", token, id)
				out.Unlock()
			}
		})
	}
	wait.Wait()
}

// A process that is killed has given out no token that does not open afterwards.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		cmd.Stderr = os.Stderr
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		given := map[string]string{}
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			if token, id, ok := strings.Cut(lines.Text(), " "); ok {
				given[token] = id
			}
			if len(given) == 200 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if len(given) < 200 {
			t.Fatalf("only %d tokens: %v", len(given), given)
		}
		v := open(t, "1", dir)
		s := sealer(t, v, "", "app", "main")
		for token, id := range given {
			if strings.HasPrefix(token, "v1") && len(token) == 24 && len(id) == len(long(0)) {
				opens(t, s, "Patient", token, id)
			}
		}
		if v.Damaged() != 0 {
			t.Errorf("%d damaged lines", v.Damaged())
		}
		_ = v.Close()
	}
}
