package transforms

// What entries say beside their resources, and say in much the same words each time.

// full is the last fullUrl that left: the next one most often begins with the same words, and the
// resource behind it has its id.
type full struct {
	before []byte // its id, with the opening quote
	kind   string
	id     []byte
	token  []byte
}

// fullURL writes the fullUrl at r with its id in a token, where it is below the EHR's base.
func (f *filter) fullURL() (bool, error) {
	last := &f.full
	from := f.r + len(last.before)
	n := 0
	if from < len(f.buf) && len(last.before) > 0 && string(f.buf[f.r:from]) == string(last.before) {
		if n = idLength(f.buf[from:]); f.buf[from+n] != '"' {
			n = 0
		}
	}
	if n > 0 {
		f.r = from + n + 1
	} else {
		k, e, escaped, err := f.quoted()
		if err != nil {
			return false, err
		}
		text := f.buf[k:e]
		if escaped {
			f.scratch = unescape(f.scratch[:0], text)
			text = f.scratch
		}
		l, ok := f.opt.literal(text)
		if !ok || !l.absolute || len(l.version) > 0 {
			return false, nil
		}
		if escaped {
			if err := f.refers(l, false); err != nil {
				return false, err
			}
			return true, f.address(l)
		}
		n = len(l.id)
		from = e - n
		last.before = append(last.before[:0], f.buf[k-1:from]...)
		last.kind = f.typeName(l.kind)
	}
	last.id = append(last.id[:0], f.buf[from:from+n]...)
	if last.kind == "Patient" {
		if err := f.subject("Patient", last.id); err != nil {
			return false, err
		}
	}
	f.out = append(append(append(f.out, '"'), f.gateway...), '/')
	f.out = append(append(f.out, last.kind...), '/')
	at := len(f.out)
	if err := f.appendToken(last.kind, last.id); err != nil {
		return false, err
	}
	last.token = append(last.token[:0], f.out[at:]...)
	f.out = append(f.out, '"')
	return true, nil
}

// reset forgets it: what it was begins with one of the stream's bases, and its token is a client's.
func (u *full) reset() {
	u.before, u.kind, u.id, u.token = u.before[:0], "", u.id[:0], u.token[:0]
}

// repeated is the last value of a member of entries, and what left of it, for one that depends on nothing but its bytes.
type repeated struct {
	in, out []byte
	depth   int
}

// again filters the value at r by each, or as the last one was, if it is that.
func (p *repeated) again(f *filter, each func(*filter) (bool, error)) (bool, error) {
	if rest := f.buf[f.r:]; len(p.in) > 0 && len(rest) >= len(p.in) && string(rest[:len(p.in)]) == string(p.in) && f.depth == p.depth {
		f.r += len(p.in)
		f.out = append(f.out, p.out...)
		return len(p.out) > 0, nil
	}
	from, at, moves := f.r, len(f.out), f.moves
	leaves, err := each(f)
	if err == nil && moves == f.moves && f.r-from <= maxRepeated && leaves && len(f.out)-at <= maxRepeated {
		p.in, p.out, p.depth = append(p.in[:0], f.buf[from:f.r]...), append(p.out[:0], f.out[at:]...), f.depth
	}
	return leaves, err
}

const maxRepeated = 64
