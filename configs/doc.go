// Package configs reads Halfdoor's configuration: one YAML file, one struct ([Config]) whose comments are the reference.
//
// What it guarantees:
//
//   - A configuration is whole or refused. [Load] and [Parse] report every problem at once, each with its file, line
//     and key path, in one [*Error]; there is no partial result.
//   - An unknown key is a problem that names the nearest known key. So are a key given twice, a key without a value, a
//     second document, an anchor, an alias, a merge key and an explicit tag.
//   - Defaults are safe, and set in one file (defaults.go) before the document is read, so that a value that the
//     document states is never replaced, not even by zero.
//   - Secrets are references, never values: "env:NAME" or "file:PATH". [Secret] prints as "[redacted]" in every form
//     that fmt, encoding/json, YAML, log/slog and zerolog know. No error holds a secret or what was written in its place.
//   - A relative path is relative to the folder of the configuration file, not to where the process was started.
//
// What it refuses: "${NAME}" and other interpolation is not a feature. Only a secret may come from the environment, by
// "env:NAME", so that a file says by itself what the gateway does.
//
// The YAML is YAML 1.2 as go.yaml.in/yaml/v3 reads it, less the parts named above.
package configs
