//go:build !halfdoor_insecure_skip

// The command has no build for benchmarks, which can leave out what it promises (gateway/skip.go).

// Halfdoor is a reverse-proxy gateway between helpdesk tools and EHR FHIR servers.
package main

import (
	"os"

	"github.com/halfdoor/halfdoor/gateway/cli"
)

func main() { os.Exit(cli.Main()) }
