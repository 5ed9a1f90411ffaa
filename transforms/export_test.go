package transforms

// Buffered returns o with an input buffer of so many bytes.
func Buffered(o Options, bytes int) Options {
	o.buffer = bytes
	return o
}
