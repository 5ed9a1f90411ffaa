package policies

import (
	"embed"
	"io/fs"
)

// all: takes files with a leading dot along, of which the manifest is one.
//
//go:embed all:bundle
var embedded embed.FS

// Default is the bundle inside the program: three helpdesk desks, to start from.
func Default() fs.FS {
	sub, err := fs.Sub(embedded, "bundle")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}

// schemaFile describes the input. The embedded one holds for every bundle, since it is this program that makes the
// input; a bundle has a copy for OPA's tools.
const schemaFile = "schemas/input.json"
