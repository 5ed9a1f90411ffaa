package gateway

import (
	"io/fs"
	"os"

	"github.com/halfdoor/halfdoor/policies"
)

// Policies compiles a bundle's folder; the empty name is the default bundle.
func Policies(folder string) (*policies.Engine, error) {
	bundle := policies.Default()
	if folder != "" {
		bundle = fs.FS(os.DirFS(folder))
	}
	return policies.Load(policyOptions(bundle))
}
