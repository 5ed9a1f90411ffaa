package test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build makes the command once for a test.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "halfdoor")
	if out, err := exec.Command("go", "build", "-o", bin, module).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// running is a "halfdoor demo" of a test.
type running struct {
	cmd   *exec.Cmd
	env   map[string]string // what it wrote
	ended chan struct{}
}

// startDemo runs the demo until the test ends, if it is not killed before.
func startDemo(t *testing.T, bin string, args ...string) *running {
	t.Helper()
	file := filepath.Join(t.TempDir(), "demo.env")
	d := &running{env: map[string]string{}, ended: make(chan struct{})}
	d.cmd = exec.Command(bin, append([]string{"demo", "--listen", "127.0.0.1:0", "--env", file}, args...)...)
	var out bytes.Buffer
	d.cmd.Stdout, d.cmd.Stderr = &out, &out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait() // how it ended is told by what it did
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Signal(os.Interrupt) // it may be gone
		select {
		case <-d.ended:
		case <-time.After(20 * time.Second):
			t.Error("the demo did not end")
			_ = d.cmd.Process.Kill()
			<-d.ended
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for {
		if text, err := os.ReadFile(file); err == nil {
			for line := range strings.Lines(string(text)) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				d.env[key] = value
			}
			return d
		}
		select {
		case <-d.ended:
			t.Fatalf("the demo ended\n%s", out.String())
		case <-late:
			t.Fatal("the demo was not ready in time")
		case <-tick.C:
		}
	}
}

// environ is the test's own environment with what the demo wrote.
func (d *running) environ() []string {
	all := os.Environ()
	for key, value := range d.env {
		all = append(all, key+"="+value)
	}
	return all
}

// kill ends the demo as a power cut would.
func (d *running) kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-d.ended
}

// client trusts the demo's CA.
func (d *running) client(t *testing.T) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(d.env["HALFDOOR_CA_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 20 * time.Second}
}
