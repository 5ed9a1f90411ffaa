package transforms

import "encoding/binary"

// number returns the index behind the number at i. A number must fit into the window.
func (f *filter) number(i int) (int, error) {
	for {
		end, ok := numberEnd(f.buf, i)
		if end < f.w {
			if !ok {
				f.r = end
				return 0, f.fail(ErrSyntax)
			}
			return end, nil
		}
		f.r = i
		if err := f.more(); err != nil {
			return 0, f.need(err) // the root is an object: no number is at its end
		}
		i = f.r
	}
}

// numberEnd returns the index of the first byte that does not continue the number at b[i], and
// whether the number is complete there.
func numberEnd(b []byte, i int) (int, bool) {
	if b[i] == '-' {
		i++
	}
	switch {
	case b[i] == '0':
		i++
	case b[i]-'1' < 9:
		i = digits(b, i)
	default:
		return i, false
	}
	if b[i] == '.' {
		i++
		if b[i]-'0' >= 10 {
			return i, false
		}
		i = digits(b, i)
	}
	if b[i]|0x20 == 'e' {
		i++
		if b[i] == '+' || b[i] == '-' {
			i++
		}
		if b[i]-'0' >= 10 {
			return i, false
		}
		i = digits(b, i)
	}
	return i, true
}

func digits(b []byte, i int) int {
	for b[i]-'0' < 10 {
		i++
	}
	return i
}

// word returns the index behind the true, false or null at i.
func (f *filter) word(i int) (int, error) {
	const (
		wordTrue = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
		wordNull = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
		wordFals = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24
	)
	for {
		b := f.buf
		switch binary.LittleEndian.Uint32(b[i:]) {
		case wordTrue, wordNull:
			return i + 4, nil
		case wordFals:
			if b[i+4] == 'e' {
				return i + 5, nil
			}
		}
		f.r = i
		for _, c := range wordOf(b[i]) {
			if b[f.r] != byte(c) {
				break
			}
			f.r++
		}
		if f.r < f.w {
			return 0, f.fail(ErrSyntax)
		}
		d := f.r - i
		f.r = i
		if err := f.more(); err != nil {
			f.r += d
			return 0, f.need(err)
		}
		i = f.r
	}
}

func wordOf(first byte) string {
	switch first {
	case 't':
		return "true"
	case 'f':
		return "false"
	}
	return "null"
}
