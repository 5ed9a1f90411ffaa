package policies

import (
	"embed"
	"io/fs"
)

//go:embed absent
var absent embed.FS

// Absent is what stands in for a bundle that has not come yet: its rule refuses every call.
func Absent() fs.FS {
	sub, err := fs.Sub(absent, "absent")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}
