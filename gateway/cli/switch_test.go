package cli_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
)

// TestSwitch asks a gateway that runs; its configuration is $CONFIG.
func TestSwitch(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/switch", RequireExplicitExec: true, RequireUniqueNames: true, Setup: serving})
}

// serving runs a gateway for a script.
func serving(env *testscript.Env) error {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	made, err := gateway.Initialise(filepath.Join(env.WorkDir, "site"), gateway.Start{
		PublicURL: "https://" + front.Addr().String(), Listen: front.Addr().String(), AdminListen: back.Addr().String(),
		EHR: "http://127.0.0.1:1/fhir", Issuer: "https://127.0.0.1:1", Audience: "x", LogOrigin: "test.halfdoor.example/audit",
	}, time.Now)
	if err != nil {
		return err
	}
	env.Setenv("CONFIG", made.Config)
	env.Setenv("LOG", made.LogDir)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- gateway.Run(ctx, gateway.RunOptions{
			Load:   func() (*configs.Config, error) { return configs.Load(made.Config) },
			Logger: zerolog.Nop(), Version: "test", Listener: front, Admin: back, Ready: func(gateway.Addresses) { close(ready) },
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		stop()
		return err
	}
	env.Defer(func() {
		stop()
		<-ended
	})
	return nil
}
