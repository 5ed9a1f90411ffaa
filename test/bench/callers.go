package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
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

// phase has the callers call for so long, and play a fault meanwhile.
func (s *scene) phase(ctx context.Context, name string, play func(context.Context, *scene) error, d time.Duration) phase {
	p := phase{Phase: name, Answers: map[string]int{}}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	if play != nil {
		all.Go(func() {
			p.failed = play(ctx, s)
		})
	}
	for n := range callers {
		all.Go(func() {
			pick := rand.New(rand.NewPCG(uint64(n), uint64(time.Now().UnixNano())))
			_ = every(ctx, time.Second*callers/time.Duration(s.rate), func(int) error {
				what, served := s.call(pick)
				mu.Lock()
				defer mu.Unlock()
				p.Calls++
				p.Answers[what]++
				if served {
					p.Served++
				}
				return nil
			})
		})
	}
	all.Wait()
	return p
}

// recovery is a phase without a fault, which goes on until something is served: who was told to come again later does.
func (s *scene) recovery(ctx context.Context, name string, d time.Duration) phase {
	p := s.phase(ctx, name, nil, d)
	for begun := time.Now(); p.Served == 0 && time.Since(begun) < time.Minute && ctx.Err() == nil; {
		more := s.phase(ctx, name, nil, time.Second)
		p.Calls, p.Served = p.Calls+more.Calls, more.Served
		for what, n := range more.Answers {
			p.Answers[what] += n
		}
	}
	return p
}

var (
	tokenOf = regexp.MustCompile(`"Patient/(t[0-9A-Za-z]+)"`)
	booking = regexp.MustCompile(`"resourceType":"Appointment","id":"(t[0-9A-Za-z]+)"`)
)

// call makes one call of some kind.
func (s *scene) call(pick *rand.Rand) (what string, served bool) {
	s.mu.Lock()
	s.calls++
	id := fmt.Sprintf("soak-%d", s.calls)
	token := s.tokens[len(s.tokens)-1]
	if len(s.tokens) > 1 && pick.IntN(2) == 0 {
		token = s.tokens[len(s.tokens)-2]
	}
	got := &received{patients: map[string]bool{}}
	s.seen[id] = got
	s.mu.Unlock()

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
		body = `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Appointment?_count=2"}},{"request":{"method":"GET","url":"Encounter?_count=2"}}]}`
	case n < 95:
		method, kind, body = http.MethodPatch, "application/json-patch+json", `[{"op":"replace","path":"/status","value":"booked"}]`
		path = s.appointment(token, id+"-look")
	default:
		path, token = "/Appointment?_count=1", "not-a-token"
	}
	return s.send(pick, id, token, method, path, kind, body, got)
}

// appointment finds one to write to.
func (s *scene) appointment(token, id string) string {
	got := &received{patients: map[string]bool{}}
	s.mu.Lock()
	s.seen[id] = got
	s.mu.Unlock()
	resp, err := s.do(context.Background(), s.clients[0], id, token, http.MethodGet, "/Appointment?_count=1", "", "")
	if err != nil {
		return "/Appointment/t0"
	}
	body, _ := s.read(resp, got, nil)
	if found := booking.FindSubmatch(body); found != nil {
		return "/Appointment/" + string(found[1])
	}
	return "/Appointment/t0" // nobody's
}

func (s *scene) do(ctx context.Context, client *http.Client, id, token, method, path, kind, body string) (*http.Response, error) {
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.fhir+path, from)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Request-Id", id)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return client.Do(req)
}

func (s *scene) send(pick *rand.Rand, id, token, method, path, kind, body string, got *received) (what string, served bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := s.do(ctx, s.clients[pick.IntN(len(s.clients))], id, token, method, path, kind, body)
	if err != nil {
		return "no answer", false
	}
	var pause func()
	switch pick.IntN(50) {
	case 0: // slow
		pause = func() { time.Sleep(300 * time.Millisecond) }
	case 1: // goes away
		pause = cancel
	}
	_, err = s.read(resp, got, pause)
	switch {
	case err != nil:
		return fmt.Sprintf("%d, cut", resp.StatusCode), false
	case resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated:
		return fmt.Sprint(resp.StatusCode), true
	}
	return fmt.Sprint(resp.StatusCode), false
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
