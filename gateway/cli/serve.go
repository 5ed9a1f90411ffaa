package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
)

func serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Serve the gateway",
		Long: `Serve the gateway that FILE describes, until SIGINT or SIGTERM; calls under way
are then served to their end, within shutdown_timeout.

SIGHUP, and a change of the configuration or of a file that it names, reloads:
a whole new generation of configuration, policies, datasets and keys goes live,
or the old one goes on and the log says why.`,
		Example: "  halfdoor init --dir /etc/halfdoor --ehr https://ehr.example/fhir --issuer https://login.example\n  halfdoor check --config /etc/halfdoor/halfdoor.yaml --online\n  halfdoor serve --config /etc/halfdoor/halfdoor.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(file)
			if err != nil {
				return err
			}
			log := logger(cfg.Log, c.ErrOrStderr())
			memory, err := gateway.BoundMemory(gateway.MemoryOptions{Root: os.DirFS("/"), Getenv: os.LookupEnv})
			if err != nil {
				return hint(err, "give the container more memory, or set GOMEMLIMIT")
			}
			log.Info().Int64("memory_limit", memory.Limit).Int("gc_percent", memory.Garbage).Msg("memory")
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			return gateway.Run(c.Context(), gateway.RunOptions{
				Load:    func() (*configs.Config, error) { return configs.Load(file) },
				Logger:  log,
				Version: version(),
				Reload:  hup,
			})
		},
	}
	configFlag(c, &file)
	return c
}

func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "the configuration, a YAML `FILE` (configs/halfdoor.yaml explains every key)")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // the flag is there
}

func load(file string) (*configs.Config, error) {
	if file == "" {
		return nil, hint(usage{fmt.Errorf("--config FILE is needed")}, "\"halfdoor init --help\" tells how to make one to start from")
	}
	return configs.Load(file)
}

// logger is the operator's log.
func logger(c configs.Log, w io.Writer) zerolog.Logger {
	if c.Format == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339}
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		level = zerolog.InfoLevel // configs has refused any other
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}
