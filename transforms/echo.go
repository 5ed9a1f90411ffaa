package transforms

import "encoding/binary"

// Values that come again (see habits). One is learned when it comes for the second time, which its trace
// tells, or nearly so; from the third time on it is an echo.

// past is what a member had before.
type past struct {
	echoes [maxEchoed]uint8 // counted from 1; 0 is none
	traces [maxEchoed]trace // of the last values that have none
	dull   uint8            // values since one came again; where they are many, few are looked at
}

// echo is a value of a member, and what became of it. In text are, one behind the other, the value, the
// member as it left behind a comma, its counts and a patient's id.
type echo struct {
	end     uint64 // the last 8 bytes of the value
	at      int32  // of the value in text
	in, out uint16 // how long the two are; with out at 0 the member did not leave
	counts  uint8
	patient uint8 // bytes of the id of the patient whom it names, or 0
	part    bool  // of a compartment, by that
	quiet   bool  // nothing in it was noted as unknown
	depth   uint8 // where it was
}

// trace tells, without the bytes, whether a value may be one that was there before.
type trace struct {
	mix uint32
	in  uint16
}

// mix is of a value b[v:end] of minEcho bytes and more.
func mix(b []byte, v, end int) uint32 {
	x := binary.LittleEndian.Uint64(b[end-8:])
	x ^= binary.LittleEndian.Uint64(b[(v+end)/2-4:]) * 0x9E3779B97F4A7C15
	x ^= binary.LittleEndian.Uint64(b[max(v, end-24):]) * 0xD6E8FEB86659FD93
	return uint32(x>>32) ^ uint32(x)
}

// echo returns that of the value at b[v], or nil.
func (f *filter) echo(s *past, b []byte, v int) *echo {
	h := &f.habits
	for i, at := range s.echoes {
		if at == 0 {
			return nil
		}
		e := &h.echoes[at-1]
		end := v + int(e.in)
		if end > len(b) || binary.LittleEndian.Uint64(b[end-8:]) != e.end ||
			string(b[v:end]) != string(h.text[e.at:int(e.at)+int(e.in)]) {
			continue
		}
		if f.res.sampled && !e.quiet || f.depth > int(e.depth) {
			return nil
		}
		if i > 0 {
			s.echoes[i-1], s.echoes[i] = at, s.echoes[i-1]
		}
		h.hits++
		s.dull = 0
		return e
	}
	return nil
}

// resound does what the value of an echo did.
func (f *filter) resound(s *habit, e *echo, written *int, removed *int32) error {
	rest := f.habits.text[int(e.at)+int(e.in):]
	out := rest[:e.out]
	rest = rest[e.out:]
	for range e.counts {
		i := int(rest[0]) | int(rest[1])<<8
		f.tally.removed[i] += int32(rest[2])
		f.tally.tokenized[i] += int32(rest[3])
		rest = rest[4:]
	}
	if k := s.kid; k != nil {
		f.res.had |= k.need
		f.res.tagged = f.res.tagged || k.role == metaRole
	}
	if e.patient > 0 {
		if err := f.refers(literal{kind: patientType, id: rest[:e.patient]}, e.part); err != nil {
			return err
		}
	}
	if len(out) == 0 {
		*removed++
		return nil
	}
	if *written == 0 {
		out = out[1:] // the comma
	}
	f.out = append(f.out, out...)
	*written++
	return f.held()
}

// patientType is never written to.
var patientType = []byte("Patient")

// seen reports whether the value at b[v] may be one of the last that the member had.
func (p *past) seen(b []byte, v int) bool {
	if p.dull >= maxDull && p.dull&7 != 0 {
		return false
	}
	for _, t := range p.traces {
		end := v + int(t.in)
		if t.in > 0 && end <= len(b) && mix(b, v, end) == t.mix {
			return true
		}
	}
	return false
}

// trace notes the value of a member, b[from:to], which had no echo and is not learned.
func (h *habits) trace(s *habit, b []byte, from, to int) {
	in := to - from
	if in < minEcho || in > maxEcho {
		return
	}
	if s.past == 0 {
		if len(h.pasts) == maxPasts {
			return
		}
		h.pasts = append(h.pasts, past{})
		s.past = int16(len(h.pasts))
	}
	p := &h.pasts[s.past-1]
	if p.dull++; p.dull == 0 {
		p.dull = maxDull
	}
	if p.dull >= maxDull && p.dull&7 > 1 {
		return
	}
	copy(p.traces[1:], p.traces[:])
	p.traces[0] = trace{mix(b, from, to), uint16(in)}
}

// lesson is what there was before the value at hand, which is learned.
type lesson struct {
	moves            int // of the window
	notes            int
	from, at         int // where the value is in buf, and the member in out
	marked, untidy   bool
	removed          int32 // of the resource
	counts           [maxCounted][2]int32
	low, high        int32
	patients         int // named by the value
	patient          []byte
	part             bool
	spoilt, learning bool
}

// heed reports whether the value at r is to be learned, and begins with that. What leaves of its member
// will be behind at.
func (f *filter) heed(s *habit, r *row, c byte, at int) bool {
	h, l := &f.habits, &f.habits.lesson
	if c != '"' && c != '{' && c != '[' || s.under || f.opt.places || r.contains || f.res.denied {
		return false
	}
	if !h.pasts[s.past-1].seen(f.buf, f.r) {
		return false
	}
	if h.idle > 0 {
		h.idle--
		return false
	}
	l.low, l.high = 0, 0
	if k := s.kid; k != nil {
		if k.role != plain && k.role != typeRole && k.role != metaRole {
			return false
		}
		l.low, l.high = k.low, k.high
		if l.high-l.low > maxCounted {
			return false
		}
	}
	for i := l.low; i < l.high; i++ {
		l.counts[i-l.low] = [2]int32{f.tally.removed[i], f.tally.tokenized[i]}
	}
	l.removed = f.tally.removed[r.root.index]
	l.moves, l.notes, l.from, l.at = f.moves, f.tally.drift.notes, f.r, at
	l.marked, l.untidy, f.marked, f.untidy = f.marked, f.untidy, false, false
	l.patients, l.spoilt, l.learning = 0, false, true
	return true
}

// learn remembers what became of the value of a member, which is behind r now.
func (f *filter) learn(s *habit, r *row, leaves bool) {
	h, l := &f.habits, &f.habits.lesson
	l.learning = false
	changed := f.marked || f.untidy
	f.marked, f.untidy = f.marked || l.marked, f.untidy || l.untidy
	in := f.r - l.from
	if changed || l.spoilt || l.patients > 1 || l.moves != f.moves || f.res.denied || in < minEcho || in > maxEcho {
		return
	}
	var out []byte
	if leaves {
		out = f.out[l.at:]
	}
	if len(out) >= maxEcho {
		return
	}
	if h.full(in + 1 + len(out) + 4*(maxCounted+1) + 64) {
		h.forget()
		return
	}
	e := echo{
		at: int32(len(h.text)), in: uint16(in), depth: uint8(f.depth),
		end: binary.LittleEndian.Uint64(f.buf[f.r-8:]), quiet: l.notes == f.tally.drift.notes && f.res.sampled,
	}
	text := append(h.text, f.buf[l.from:f.r]...)
	if leaves {
		text = append(append(text, ','), out...)
		e.out = uint16(1 + len(out))
	}
	count := func(i int32, removed, tokenized int32) bool {
		if removed|tokenized == 0 {
			return true
		}
		text = append(text, byte(i), byte(i>>8), byte(removed), byte(tokenized))
		e.counts++
		return i < 1<<16 && removed < 1<<8 && tokenized < 1<<8
	}
	if root := r.root.index; !count(root, f.tally.removed[root]-l.removed, 0) {
		return
	}
	for i := l.low; i < l.high; i++ {
		was := &l.counts[i-l.low]
		if !count(i, f.tally.removed[i]-was[0], f.tally.tokenized[i]-was[1]) {
			return
		}
	}
	if l.patients > 0 {
		e.patient, e.part = uint8(len(l.patient)), l.part
		text = append(text, l.patient...)
	}
	h.text = text
	h.echoes = append(h.echoes, e)
	p := &h.pasts[s.past-1]
	copy(p.echoes[1:], p.echoes[:])
	p.echoes[0] = uint8(len(h.echoes))
}

// full reports whether there is no room for one more echo.
func (h *habits) full(bytes int) bool {
	return len(h.echoes) == maxEchoes || len(h.text)+bytes > cap(h.text)
}

// forget forgets the echoes. Where they seldom came again, it is a while until others are learned.
func (h *habits) forget() {
	if h.idled = min(max(2*h.idled, 32), 1<<12); h.hits > 2*len(h.echoes) {
		h.idled = 0
	}
	h.idle, h.hits = h.idled, 0
	h.echoes, h.text = h.echoes[:0], h.text[:0]
	for i := range h.pasts {
		h.pasts[i].echoes = [maxEchoed]uint8{}
	}
}
