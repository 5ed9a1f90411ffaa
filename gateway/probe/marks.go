package probe

// same are tokens that are what they stand for, and dates that are not moved: what is the
// minimum already goes through unchanged.
type same struct{}

// AppendToken implements transforms.Tokenizer.
func (same) AppendToken(dst []byte, _ string, value []byte) ([]byte, error) {
	return append(dst, value...), nil
}

// AppendHash implements transforms.Hasher.
func (same) AppendHash(dst []byte, _ string, value []byte) ([]byte, error) {
	return append(dst, value...), nil
}

// Shift implements transforms.Shifter.
func (same) Shift(string) (int, error) { return 0, nil }

// changed are tokens in which nothing is left of what they stand for: a canary that a dataset
// lets leave in a token only is hidden.
type changed struct{}

// AppendToken implements transforms.Tokenizer.
func (changed) AppendToken(dst []byte, _ string, _ []byte) ([]byte, error) {
	return append(dst, "token"...), nil
}

// AppendHash implements transforms.Hasher.
func (changed) AppendHash(dst []byte, _ string, _ []byte) ([]byte, error) {
	return append(dst, "hash"...), nil
}

// Shift implements transforms.Shifter.
func (changed) Shift(string) (int, error) { return 171, nil }
