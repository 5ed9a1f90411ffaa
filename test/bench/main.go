// Command bench measures Halfdoor beside other ways to do the same work.
//
//	go run ./test/bench filter             the filter of transforms, beside JSON libraries
//	go run ./test/bench filter --quick     the same within 40 seconds, less exactly
//	go run ./test/bench filter --json      a line of JSON per measurement
//	go run ./test/bench accesslog          the access log, beside SQLite and a sync for each record
//	go run ./test/bench gateway            the whole gateway, beside proxies that do nothing
//	go run ./test/bench soak --for 10m     a gateway under load while everything around it fails
//
// README.md says how to read what it prints.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{
		Use:           "bench",
		Short:         "Measure Halfdoor beside other ways to do the same work",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(filterCommand(), logCommand(), gatewayCommand(), engineCommand(), soakCommand(), soakedCommand())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root.ExecuteContext(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}
