package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// received is what came of a call.
type received struct {
	status   int             // 0: nothing came
	bytes    int             // of the body
	patients map[string]bool // named in it, whole; those that a record names are taken out
	recorded bool
}

const callers = 12

// outcome is what a client says of a call.
type outcome struct {
	what   string
	served bool
	took   time.Duration
}

// count adds a call to the phase that is under way.
func (s *scene) count(o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phased.Calls++
	s.phased.Answers[o.what]++
	if o.served {
		s.phased.Served++
		s.phased.took = append(s.phased.took, o.took)
	}
}

// phase has the callers call for so long, and play a fault meanwhile.
func (s *scene) phase(ctx context.Context, name string, f *fault, d time.Duration) *phase {
	p := &phase{Phase: name, Answers: map[string]int{}}
	s.mu.Lock()
	s.phased = p
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var all sync.WaitGroup
	if f != nil {
		all.Go(func() { p.failed = f.play(ctx, s) })
	}
	for n := range callers {
		all.Go(func() {
			pick := rand.New(rand.NewPCG(uint64(n), uint64(time.Now().UnixNano())))
			_ = every(ctx, time.Second*callers/time.Duration(s.rate), func(int) error {
				s.count(s.call(pick))
				return nil
			})
		})
	}
	all.Wait()
	slices.Sort(p.took)
	p.P50, p.P99 = p.quantile(0.5), p.quantile(0.99)
	if f != nil && p.failed == nil {
		p.failed = f.shows(p)
	}
	return p
}

// recovery is a phase without a fault, which goes on until something is served: who was told to come again later does.
func (s *scene) recovery(ctx context.Context, name string, d time.Duration) *phase {
	p := s.phase(ctx, name, nil, d)
	for begun := time.Now(); p.Served == 0 && time.Since(begun) < time.Minute && ctx.Err() == nil; {
		more := s.phase(ctx, name, nil, time.Second)
		more.Calls += p.Calls
		for what, n := range p.Answers {
			more.Answers[what] += n
		}
		p = more
	}
	return p
}

var (
	tokenOf = regexp.MustCompile(`"Patient/(t[0-9A-Za-z]+)"`)
	booking = regexp.MustCompile(`"resourceType":"Appointment","id":"(t[0-9A-Za-z]+)"`)
)

// call is one that is about to be made.
type call struct {
	id, token, method, path, kind string

	body   io.Reader
	got    *received
	client *http.Client
	pause  func() // after the beginning of the answer
	goes   bool   // in place of that, the client goes away
}

// next is a call's id, a token for it, and where what comes of it is noted.
func (s *scene) next(pick *rand.Rand) (id, token string, got *received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	id, got = fmt.Sprintf("soak-%d", s.calls), &received{patients: map[string]bool{}}
	s.seen[id] = got
	token = s.tokens[len(s.tokens)-1]
	if len(s.tokens) > 1 && pick.IntN(2) == 0 {
		token = s.tokens[len(s.tokens)-2]
	}
	return id, token, got
}

const twoSearches = `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Appointment?_count=2"}},{"request":{"method":"GET","url":"Encounter?_count=2"}}]}`

// call makes one call of some kind.
func (s *scene) call(pick *rand.Rand) outcome {
	id, token, got := s.next(pick)
	method, path, body, kind := http.MethodGet, "", "", ""
	switch n := pick.IntN(100); {
	case n < 40:
		path = fmt.Sprintf("/Appointment?_count=%d", 1+pick.IntN(20))
	case n < 60:
		path = fmt.Sprintf("/Encounter?_count=%d", 1+pick.IntN(50))
	case n < 65:
		path = "/Appointment?_count=1000" // several windows
	case n < 75:
		path = "/Slot?_count=10"
	case n < 80:
		path = "/Patient?_count=3" // refused: the desk's dataset hides what it reads, or it is a list
	case n < 88:
		method, path, kind = http.MethodPost, "", "application/fhir+json"
		body = twoSearches
	case n < 95:
		method, kind, body = http.MethodPatch, "application/json-patch+json", `[{"op":"replace","path":"/status","value":"booked"}]`
		path = s.appointment(token, id+"-look")
	default:
		path, token = "/Appointment?_count=1", "not-a-token"
	}
	c := call{id: id, token: token, method: method, path: path, kind: kind, got: got, client: s.clients[pick.IntN(len(s.clients))]}
	if body != "" {
		c.body = strings.NewReader(body)
	}
	switch pick.IntN(50) {
	case 0: // slow
		c.pause = func() { time.Sleep(300 * time.Millisecond) }
	case 1:
		c.goes = true
	}
	return s.send(c)
}

// appointment finds one to write to.
func (s *scene) appointment(token, id string) string {
	got := &received{patients: map[string]bool{}}
	s.mu.Lock()
	s.seen[id] = got
	s.mu.Unlock()
	resp, err := s.do(context.Background(), &call{id: id, token: token, method: http.MethodGet, path: "/Appointment?_count=1", client: s.clients[0]})
	if err != nil {
		return "/Appointment/t0"
	}
	body, _ := s.read(resp, got, nil)
	if found := booking.FindSubmatch(body); found != nil {
		return "/Appointment/" + string(found[1])
	}
	return "/Appointment/t0" // nobody's
}

func (s *scene) do(ctx context.Context, c *call) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, s.fhir+c.path, c.body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("X-Request-Id", c.id)
	if c.kind != "" {
		req.Header.Set("Content-Type", c.kind)
	}
	return c.client.Do(req)
}

func (s *scene) send(c call) outcome {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	begun := time.Now()
	resp, err := s.do(ctx, &c)
	if err != nil {
		return outcome{what: "no answer"}
	}
	if c.goes {
		c.pause = cancel
	}
	_, err = s.read(resp, c.got, c.pause)
	o := outcome{what: fmt.Sprint(resp.StatusCode), took: time.Since(begun)}
	switch {
	case err != nil:
		o.what += ", cut"
	case resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated:
		o.served = true
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		if resp.Header.Get("Retry-After") == "" {
			o.what += " without Retry-After"
		}
	}
	return o
}

// read takes the body as it comes and notes whom it names. pause is done after its beginning.
func (s *scene) read(resp *http.Response, got *received, pause func()) ([]byte, error) {
	defer resp.Body.Close()
	var body []byte
	var err error
	if pause != nil {
		body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		pause()
	}
	if err == nil {
		var rest []byte
		rest, err = io.ReadAll(resp.Body)
		body = append(body, rest...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	got.status, got.bytes = resp.StatusCode, len(body)
	for _, found := range tokenOf.FindAllSubmatch(body, -1) {
		got.patients[string(found[1])] = true
	}
	return body, err
}

// account holds what was received to the log: each answer has its record, with its status, and each patient in a body
// is named by a record of that call. Of refusals before authentication, in a flood, one record stands for as many as it
// counts.
func (s *scene) account(ctx context.Context, end *soakEnd) (found []string, err error) {
	if _, err := accesslog.Verify(ctx, s.verifier()); err != nil {
		found = append(found, "the log does not verify: "+err.Error())
	}
	for _, got := range s.seen {
		if got.bytes > 0 {
			end.Bodies++
		}
		end.Patients += len(got.patients)
	}
	end.Calls = len(s.seen)
	summed := map[int]int{} // refusals, by status
	for r, err := range accesslog.Read(s.cfg.LogDir) {
		if err != nil {
			return found, fmt.Errorf("read the log: %w", err)
		}
		end.Records++
		if r.Count > 0 && r.Kind == accesslog.KindRefusal {
			summed[r.Status] += r.Count
			continue
		}
		id, entry, of := strings.Cut(r.RequestID, "#")
		got := s.seen[id]
		if got == nil {
			continue
		}
		if !of && entry == "" && r.Status == got.status {
			got.recorded = true
		}
		for _, subject := range r.Subjects {
			if token, ok := strings.CutPrefix(subject, "Patient/"); ok {
				delete(got.patients, token)
			}
		}
	}
	unrecorded, unnamed := 0, 0
	for id, got := range s.seen {
		if got.status != 0 && !got.recorded {
			if got.status >= 400 && summed[got.status] > 0 {
				summed[got.status]--
				continue
			}
			if unrecorded++; unrecorded <= 3 {
				found = append(found, fmt.Sprintf("%s was answered %d with %d bytes, and no record says so", id, got.status, got.bytes))
			}
		}
		if unnamed += len(got.patients); len(got.patients) > 0 && unnamed <= 3 {
			found = append(found, fmt.Sprintf("%s named %d patients whom no record of it names", id, len(got.patients)))
		}
	}
	if unrecorded+unnamed > 0 {
		found = append(found, fmt.Sprintf("%d answers without a record, %d patients without a name in one", unrecorded, unnamed))
	}
	if end.Bodies == 0 || end.Patients == 0 {
		found = append(found, "nothing came that could have been missing in the log")
	}
	return found, errors.Join(ctx.Err())
}
