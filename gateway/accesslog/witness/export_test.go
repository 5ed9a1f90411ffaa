package witness

import "time"

// SetAskTime bounds an answer for the rest of a test.
func (w *Witnesses) SetAskTime(d time.Duration) { w.askTime = d }
