package accesslog

import _ "embed"

//go:embed record.schema.json
var schema string

// Schema returns the JSON Schema (draft 2020-12) of a line.
func Schema() string { return schema }
