package gateway

import (
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/auth"
)

// Quota counts the distinct patients that each actor is told of within an hour. Take counts
// patients, by the access log's keyed hashes, towards an actor's limit: all of them, or none
// where they would exceed it; wait is then how long it takes until they could be counted, and
// otherwise zero. An error refuses the call: what cannot be counted is not told.
type Quota interface {
	Take(actor string, patients []string, limit int) (wait time.Duration, err error)
}

// quotas are the limits of one client; 0 is no limit.
type quotas struct {
	patients int // per subject and hour
	calls    int // per minute
	together int // under way at once
}

// quotasOf are those of a configuration: everybody's, and those of clients that have their own.
func quotasOf(cfg *configs.Config) (common quotas, own map[clientKey]quotas) {
	common, own = quotas{cfg.Limits.PatientsPerHour, cfg.Limits.CallsPerMinute, cfg.Limits.ClientConcurrency}, map[clientKey]quotas{}
	for _, c := range cfg.Clients {
		q := common
		if c.PatientsPerHour != nil {
			q.patients = *c.PatientsPerHour
		}
		if c.CallsPerMinute != nil {
			q.calls = *c.CallsPerMinute
		}
		if c.Concurrency != nil {
			q.together = *c.Concurrency
		}
		own[clientKey{c.Issuer, c.ID}] = q
	}
	return common, own
}

func (g *generation) quotas(k clientKey) quotas {
	if own, ok := g.ownQuotas[k]; ok {
		return own
	}
	return g.commonQuotas
}

// knock counts a call from a source, before anything is known of it.
func (c *call) knock() error {
	if c.gen.sourceCalls == 0 {
		return nil
	}
	return tooMany("too-many-calls", c.g.rate.Take("source "+network(c.rec.Source), c.gen.sourceCalls))
}

// network is the address, or of IPv6 the /64 in which one machine may choose any.
func network(source string) string {
	addr, err := netip.ParseAddr(source)
	if err != nil || addr.Is4() {
		return source
	}
	prefix, _ := addr.Prefix(64) // has as many bits
	return prefix.String()
}

// often counts a call of a known caller.
func (c *call) often(caller *auth.Caller) error {
	calls := c.gen.quotas(clientKey{caller.Issuer, caller.ClientID}).calls
	if calls == 0 {
		return nil
	}
	return tooMany("too-many-calls", c.g.rate.Take("client "+TokenClient(caller.Issuer, caller.ClientID), calls))
}

// tell counts the patients of what is about to leave towards the actor's quota, an emergency
// notwithstanding.
func (c *call) tell(patients []string) error {
	a := &c.rec.Actor
	limit := c.gen.quotas(clientKey{a.Issuer, a.Client}).patients
	if limit == 0 || len(patients) == 0 {
		return nil
	}
	wait, err := c.g.quota.Take(TokenClient(a.Issuer, a.Client)+" "+a.Subject, patients, limit)
	if err != nil {
		return errors.Join(refusal("quota-unavailable"), err)
	}
	return tooMany("patient-quota", wait)
}

// tooMany refuses until wait is over; nothing where there is none.
func tooMany(code string, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	r := refusal(code)
	r.retryAfter = strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	return r
}
