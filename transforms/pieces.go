package transforms

// What is looked ahead at and does not fit into the window is held in pieces of the window's size. Where
// they are few, they are used again, so that resources with a late type do not each need new ones. Where
// they are many, each is let go once it has been read again, since what leaves takes their place.

type piece struct {
	data []byte
	read int // how much of it is in the window again
	next *piece
}

const maxFree = 7

// pieces are in the order of the input.
type pieces struct {
	first, last *piece
	n           int
}

// piece returns one that has a copy of data.
func (s *source) piece(data []byte) *piece {
	if s.free.first == nil {
		return &piece{data: append(make([]byte, 0, max(len(data), len(s.buf)-pad)), data...)}
	}
	one := s.free.take()
	one.data, one.read = append(one.data[:0], data...), 0
	return one
}

// letGo keeps a piece to be used again, or leaves it to the collector.
func (s *source) letGo(one *piece) {
	if s.free.n < maxFree && !s.far {
		s.free.add(one)
	}
}

func (s *source) empty(list *pieces) {
	for list.first != nil {
		s.letGo(list.take())
	}
}

func (l *pieces) add(one *piece) { l.join(&pieces{one, one, 1}) }

// join appends what another list has.
func (l *pieces) join(more *pieces) {
	switch {
	case more.first == nil:
	case l.first == nil:
		*l = *more
	default:
		l.last.next, l.last = more.first, more.last
		l.n += more.n
	}
}

// take takes the first one out.
func (l *pieces) take() *piece {
	one := l.first
	if l.first, one.next = one.next, nil; l.first == nil {
		l.last = nil
	}
	l.n--
	return one
}
