package transforms

// Report sums up a stream. It holds names of types and of elements that the plan knows, and
// numbers.
type Report struct {
	BytesIn, BytesOut int64

	// Released counts resources by type.
	Released map[string]int

	// Dropped counts resources by cause ("type": it has no row; "label"; "compartment") and
	// type. A type that cannot be one is "?".
	Dropped map[string]map[string]int

	// Removed counts, by the path of an element that the plan knows ("Patient", "Patient.name"),
	// the members that were removed from it.
	Removed map[string]int

	// Tokenized counts the tokens made, by the path of the row.
	Tokenized map[string]int
}
