package accesslog

import "time"

const (
	// renewPeriod is how often a new checkpoint is put under its name at most.
	renewPeriod = 100 * time.Millisecond
	// syncPeriod is how long a checkpoint may stay unsynced.
	syncPeriod = time.Second
)

// A renewal puts the newest checkpoint under its name, in one step, so that whoever copies the file has a whole
// one. It works beside the appends, which have the tip; what fails in it poisons the log all the same. It is
// the writer's but for the goroutine that does the work.
type renewal struct {
	period  time.Duration // of syncs
	message []byte        // the newest checkpoint
	named   bool          // message is under its name, or on the way there
	durable bool          // and synced
	running bool
	done    chan error  // holds what the goroutine came to
	timer   *time.Timer // for what is not due yet
	last    time.Time   // the last one began
	synced  time.Time   // the last one that syncs began
}

func newRenewal(period time.Duration) renewal {
	if period == 0 {
		period = syncPeriod
	}
	t := time.NewTimer(time.Hour)
	t.Stop()
	return renewal{period: period, named: true, durable: true, done: make(chan error, 1), timer: t}
}

// replaced takes a newer checkpoint. Where the disk is so slow that the last second's is not durable yet, it
// waits: nobody is acknowledged meanwhile.
func (r *renewal) replaced(message []byte, l *Log) error {
	r.message, r.named, r.durable = message, false, false
	if r.running && time.Since(r.synced) >= 2*r.period {
		return l.settle()
	}
	return nil
}

// renew begins what is due, or sets the timer to when it will be.
func (l *Log) renew() {
	r := &l.renewal
	if r.running || r.durable {
		return
	}
	now := time.Now()
	durable := now.Sub(r.synced) >= r.period
	if !durable {
		wait := r.period - now.Sub(r.synced)
		if !r.named {
			wait = min(wait, renewPeriod-now.Sub(r.last))
		}
		if wait > 0 {
			r.timer.Reset(wait)
			return
		}
	}
	r.running, r.named, r.durable, r.last = true, true, durable, now
	if durable {
		r.synced = now
	}
	message := r.message
	go func() { r.done <- l.nameCheckpoint(message, durable) }()
}

// renewed takes what the goroutine came to.
func (l *Log) renewed(err error) error {
	l.renewal.running = false
	return err
}

// settle waits for a renewal that is under way.
func (l *Log) settle() error {
	if !l.renewal.running {
		return nil
	}
	return l.renewed(<-l.renewal.done)
}
