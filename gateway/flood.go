package gateway

import (
	"fmt"
	"sync"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

const (
	// floodPeriod is for how long refusals that anybody can have without end are counted together.
	floodPeriod = time.Minute
	// ownRefusals is how many of one source, account and code have records of their own in that time,
	ownRefusals = 100
	// allRefusals how many of all,
	allRefusals = 2000
	// floodSources by how many sources and codes the others are counted,
	floodSources = 4096
	// summedRefusals of one source, account and code are a record before the period ends; from then on, as many as were recorded.
	summedRefusals = 100
	// spentSources and by how many while the log lives on its reserve.
	spentSources = 64
)

// flood keeps what anybody can send without a token, or beyond the number of calls that their token is good for, from filling
// the log's disk. So many of these refusals have records of their own; the others are counted by source, account and code, and
// each count is one record when the period ends, or the gateway; a count that doubles is one before, so that a gateway that is
// killed takes less than half of what was counted, or less than summedRefusals. None is left out. When counting begins,
// a record says so, and until when: where no later record is there, the gateway was killed in between.
type flood struct {
	now    func() time.Time
	spent  func() bool // the log lives on its reserve: no refusal before authentication has a record of its own
	append func(*accesslog.Record) error

	mu     sync.Mutex
	begun  time.Time
	timer  *time.Timer // of the end of the period; nil while none is under way
	own    int
	counts map[floodKey]*floodCount
	summed bool
}

type floodKey struct{ source, issuer, subject, client, code string }

// endless says whether the refusals of a record's kind have no end but the sender's: before authentication, and where a call is
// beyond what its client may send, so that nothing was done for it.
func endless(r *accesslog.Record) bool {
	if a := &r.Actor; a.Subject == "" && a.Client == "" {
		return true
	}
	return r.Request.Among == 0 && (r.Code == "too-many-calls" || r.Code == "client-busy")
}

type floodCount struct {
	own, summed, status int
	told                int // of those that are summed, in records
}

// sum counts a refusal, and says whether that is all: it has no record of its own then.
func (f *flood) sum(r *accesslog.Record) (bool, error) {
	spent := f.spent()
	f.mu.Lock()
	if f.timer == nil {
		f.begun, f.own, f.summed = f.now(), 0, false
		f.counts = map[floodKey]*floodCount{}
		f.timer = time.AfterFunc(floodPeriod, func() { _ = f.end() }) // a log that fails here has poisoned itself, and readiness says so
	}
	key, room := floodKey{network(r.Source), r.Actor.Issuer, r.Actor.Subject, r.Actor.Client, r.Code}, floodSources
	if spent {
		room = spentSources
	}
	if f.counts[key] == nil && len(f.counts) >= room {
		key.source, key.subject = "", ""
	}
	c := f.counts[key]
	if c == nil {
		c = &floodCount{status: r.Status}
		f.counts[key] = c
	}
	if !spent && c.own < ownRefusals && f.own < allRefusals && key.source != "" {
		c.own++
		f.own++
		f.mu.Unlock()
		return false, nil
	}
	c.summed++
	first := !f.summed
	f.summed = true
	begun := f.begun
	var so *accesslog.Record
	if c.summed-c.told >= max(summedRefusals, c.told) {
		so = c.record(key, begun, f.now())
	}
	f.mu.Unlock()
	if so != nil {
		return true, f.append(so)
	}
	if !first {
		return true, nil
	}
	until := begun.Add(floodPeriod)
	return true, f.append(&accesslog.Record{Time: f.now(), Kind: accesslog.KindAdmin, Code: "refusals-summed",
		Detail: "refusals before authentication, and beyond a client's calls, are summed by source, account and code until " + until.UTC().Format(time.RFC3339) + "; a record of each sum follows"})
}

// end records the sums of the period.
func (f *flood) end() error {
	f.mu.Lock()
	if f.timer == nil {
		f.mu.Unlock()
		return nil
	}
	f.timer.Stop()
	f.timer = nil
	counts, begun := f.counts, f.begun
	f.counts = nil
	f.mu.Unlock()
	now := f.now()
	for key, c := range counts {
		if c.summed == c.told {
			continue
		}
		if err := f.append(c.record(key, begun, now)); err != nil {
			return err
		}
	}
	return nil
}

// record is of those that no record has told of yet.
func (c *floodCount) record(key floodKey, begun, now time.Time) *accesslog.Record {
	n, beside := c.summed-c.told, fmt.Sprintf("beside %d with records of their own", c.own)
	if c.told > 0 {
		beside += fmt.Sprintf(" and %d in earlier sums", c.told)
	}
	c.told = c.summed
	return &accesslog.Record{
		Time: now, Kind: accesslog.KindRefusal, Source: key.source,
		Actor: accesslog.Actor{Issuer: key.issuer, Subject: key.subject, Client: key.client}, Status: c.status, Code: key.code, Count: n,
		Detail: "summed from " + begun.UTC().Format(time.RFC3339) + " on, " + beside,
	}
}
