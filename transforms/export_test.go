package transforms

// Subject is one of Subjects, as tests like to have it.
type Subject struct{ Type, ID string }

// Buffered returns o with an input buffer of so many bytes.
func Buffered(o Options, bytes int) Options {
	o.buffer = bytes
	return o
}
