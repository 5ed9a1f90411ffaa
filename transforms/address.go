package transforms

// Address appends where the client finds what url names, of an EHR's Location, Content-Location or
// the like: the gateway's base for the EHR's, and the id in a token, as references leave. It
// returns false, and dst as it was, where url names no resource of the EHR, or a token cannot be
// made. Whom the address discloses is the caller's to record.
func (o *Options) Address(dst []byte, url string) ([]byte, bool) {
	l, ok := o.literal([]byte(url))
	if !ok || o.Tokens == nil {
		return dst, false
	}
	out := dst
	if l.absolute {
		out = append(append(out, o.Base...), '/')
	}
	out = append(append(out, l.kind...), '/')
	out, err := o.Tokens.AppendToken(out, string(l.kind), l.id)
	if err != nil {
		return dst, false
	}
	return append(out, l.version...), true
}
