package transforms

// The output, and when it leaves.

// held bounds what is held back.
func (f *filter) held() error {
	if f.hold >= 0 && len(f.out)-f.hold > f.opt.Lookahead {
		return f.fail(ErrLookahead)
	}
	return nil
}

// ready releases a window when enough is there for one, and nothing is held.
func (f *filter) ready() error {
	if f.hold >= 0 || len(f.out) < f.opt.Window {
		return nil
	}
	return f.release(false)
}

// release gives what is in out to the sink.
func (f *filter) release(last bool) error {
	f.tally.out += int64(len(f.out))
	f.sum()
	f.window = Window{Body: f.out, Subjects: f.subjects.pending, Last: last, Report: f.report}
	err := f.dst.Release(&f.window)
	f.window = Window{}
	if err != nil {
		return f.failBy(ErrSink, err)
	}
	f.out = f.out[:0]
	f.subjects.pending.clear()
	return nil
}

// commit counts a resource as released, with whom it names.
func (f *filter) commit(r *row) error {
	if r.subject && f.res.identified {
		if err := f.subject(r.kind, f.res.id); err != nil {
			return err
		}
	}
	f.tally.lacked(r, f.res.had)
	f.tally.commit(r)
	for i := range f.locals {
		if l := &f.locals[i]; l.cause != 0 {
			f.tally.drop(l.cause, l.kind)
		} else {
			f.tally.commit(l.row)
		}
	}
	f.locals = f.locals[:0]
	f.subjects.commit()
	f.linkUp(r)
	return nil
}

// drop counts a resource as dropped, and forgets what it would have removed and made tokens of.
func (f *filter) drop(r *row, c cause) {
	kind := f.kind
	if r != nil {
		f.tally.discard(r)
		for i := range f.locals {
			if l := &f.locals[i]; l.cause == 0 {
				f.tally.discard(l.row)
			}
		}
		f.locals = f.locals[:0]
		f.key = append(f.key[:0], r.kind...)
		kind = f.key
	}
	f.tally.drop(c, kind)
}
