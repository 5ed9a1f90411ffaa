package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/vault"
)

// fault is what goes wrong for a while. play makes it so until ctx ends, and then puts it right.
type fault struct {
	name string
	play func(ctx context.Context, s *scene) error
}

var faults = []fault{
	{"ehr-dead", ehrFails(demo.FaultDead)},
	{"ehr-slow", ehrFails(demo.FaultStall, demo.FaultStallBody)},
	{"ehr-garbage", ehrFails(demo.FaultInvalidJSON, demo.FaultHTML, demo.FaultCut, demo.FaultWrong, demo.FaultInternal, demo.FaultXML)},
	{"issuer-down", issuerDown},
	{"disk-slow", diskSlow},
	{"reloads", reloads},
	{"key-rotation", rotation},
}

func faultNames() []string {
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// silence takes what servers say of connections that are broken on purpose.
var silence = stdlog.New(io.Discard, "", 0)

// ehrFails has the EHR fail in some ways, by turns.
func ehrFails(ways ...demo.Fault) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		defer s.ehr.Release()
		defer s.ehr.Set(demo.FaultNone, 0)
		return every(ctx, 300*time.Millisecond, func(n int) error {
			s.ehr.Set(ways[n%len(ways)], 0)
			return nil
		})
	}
}

// every does something now, and again after each period until ctx ends.
func every(ctx context.Context, period time.Duration, do func(n int) error) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for n := 0; ; n++ {
		if err := do(n); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// issuerDown has the issuer gone just when its keys were rotated: new tokens cannot be checked, old ones can.
func issuerDown(ctx context.Context, s *scene) error {
	s.down.Store(true)
	defer s.down.Store(false)
	if err := s.issuer.Rotate(); err != nil {
		return err
	}
	if err := s.mint(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// diskSlow has a neighbour write and sync on the log's disk as fast as it can.
func diskSlow(ctx context.Context, s *scene) error {
	f, err := os.Create(s.path("neighbour"))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	block := make([]byte, 4<<20)
	for n := int64(0); ctx.Err() == nil; n = (n + 1) % 16 {
		if _, err := f.WriteAt(block, n*int64(len(block))); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Sync(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// reloads asks for a reload again and again; every other configuration is one that must be refused.
func reloads(ctx context.Context, s *scene) error {
	good, err := os.ReadFile(s.cfg.Config)
	if err != nil {
		return err
	}
	err = every(ctx, 700*time.Millisecond, func(n int) error {
		text := string(good)
		if n%2 == 1 {
			text += "nonsense: 1\n"
		}
		if err := replace(s.cfg.Config, []byte(text)); err != nil {
			return err
		}
		return s.gateway.Process.Signal(syscall.SIGHUP)
	})
	return errors.Join(err, replace(s.cfg.Config, good), s.gateway.Process.Signal(syscall.SIGHUP))
}

const epochs = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0"

// rotation renews every key that is renewed in service: the issuer's, the vault's and the listener's certificate.
func rotation(ctx context.Context, s *scene) error {
	if err := errors.Join(s.issuer.Rotate(), s.mint(), s.renewVault()); err != nil {
		return err
	}
	if _, err := certs.Development(s.path("certs"), []string{"127.0.0.1"}, time.Now); err != nil {
		return err
	}
	if err := s.gateway.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// renewVault gives the keyset another primary key; the others go on opening.
func (s *scene) renewVault() error {
	file := s.path("keys/token-keyset.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fresh, err := vault.NewKeyset(rand.Reader, time.Now())
	if err != nil {
		return err
	}
	var old, added map[string]any
	if err := errors.Join(json.Unmarshal(text, &old), json.Unmarshal(fresh, &added)); err != nil {
		return err
	}
	keys, ok := old["keys"].([]any)
	more, also := added["keys"].([]any)
	if !ok || !also || len(keys) >= len(epochs) || len(more) != 1 {
		return fmt.Errorf("a keyset of another form, or with too many keys: %d", len(keys))
	}
	used := map[string]bool{}
	for _, k := range keys {
		key := k.(map[string]any)
		key["status"] = "enabled"
		used[fmt.Sprint(key["epoch"])] = true
	}
	for epoch := range strings.SplitSeq(epochs, "") {
		if !used[epoch] {
			more[0].(map[string]any)["epoch"] = epoch
			break
		}
	}
	old["keys"] = append(keys, more[0])
	out, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return replace(file, out)
}
