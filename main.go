// Halfdoor is a reverse-proxy gateway between helpdesk tools and EHR FHIR servers.
package main

import (
	"os"

	"github.com/halfdoor/halfdoor/gateway/cli"
)

func main() { os.Exit(cli.Main()) }
