package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// maxAnswer bounds what is read of a witness's answer.
const maxAnswer = 16 << 10

// round is one checkpoint that witnesses are shown, and the cosignatures that it has so far.
type round struct {
	w       *Witnesses
	signed  *accesslog.Signed
	message []byte // guarded by w.store
}

// conflict is the size that a witness names in place of the one that it was told (C2SP tlog-witness: 409).
type conflict struct{ size int64 }

func (c conflict) Error() string {
	return fmt.Sprintf("the witness has cosigned %d records", c.size)
}

// errInconsistent is of a witness that does not take the proof (422).
var errInconsistent = errors.New("the witness does not take the proof")

// ask shows a witness the checkpoint, and keeps its cosignature.
func (r *round) ask(ctx context.Context, p *peer) error {
	old := int64(0)
	if p.cosigned != nil {
		old = p.cosigned.Size
	}
	if old > r.signed.Size {
		return contradiction("its cosignature beside the log is of %d records, and the log signs %d", old, r.signed.Size)
	}
	lines, err := r.submit(ctx, p, old)
	var at conflict
	if errors.As(err, &at) {
		switch {
		case at.size > r.signed.Size:
			return contradiction("it has cosigned %d records, and the log signs %d", at.size, r.signed.Size)
		case at.size == old && old == r.signed.Size:
			return contradiction("of these %d records it has cosigned another tree", old)
		case at.size == old:
			return errors.New("the witness answers 409 with the size that it was told")
		}
		old = at.size
		lines, err = r.submit(ctx, p, old)
		if errors.As(err, &at) && at.size == old && old == r.signed.Size {
			return contradiction("of these %d records it has cosigned another tree", old)
		}
	}
	if errors.Is(err, errInconsistent) {
		return contradiction("the log does not extend the %d records that it has cosigned", old)
	}
	if err != nil {
		return err
	}
	return r.keep(p, lines)
}

// keep stores a cosignature with those that the checkpoint already has.
func (r *round) keep(p *peer, lines []byte) error {
	r.w.store.Lock()
	defer r.w.store.Unlock()
	message, cosigned, err := p.Key.Add(r.message, lines, r.w.o.Log.Origin())
	if err != nil {
		return fmt.Errorf("the witness answers without a cosignature of its key: %w", err)
	}
	if err := r.w.o.Log.KeepWitnessed(r.signed.Size, message); err != nil {
		return err
	}
	r.message = message
	p.took(cosigned)
	return nil
}

// submit is one add-checkpoint.
func (r *round) submit(ctx context.Context, p *peer, old int64) ([]byte, error) {
	e, err := r.w.prove(ctx, r.signed, old)
	if err != nil {
		return nil, err
	}
	// What it has cosigned is beside the log: where the log has changed since, no witness is needed to see it.
	if c := p.cosigned; c != nil && c.Size == old && e.Old != c.Root() {
		return nil, contradiction("the first %d records are not those that it has cosigned", old)
	}
	if old > 0 && old < r.signed.Size {
		if err := tlog.CheckTree(e.Proof, r.signed.Size, r.signed.Root(), old, e.Old); err != nil {
			return nil, fmt.Errorf("prove that the log has grown: %w", err)
		}
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, h := range e.Proof {
		fmt.Fprintln(&body, h)
	}
	body.WriteByte('\n')
	body.Write(r.signed.Message)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint(p.URL), &body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := p.Client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, errors.New("the witness did not answer in time")
		}
		return nil, errors.New("the witness cannot be reached") // the cause would quote its address
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(answer) > maxAnswer {
		return nil, errors.New("the witness's answer breaks off, or is too long")
	}
	return judge(resp, answer)
}

// judge reads an answer by its status (C2SP tlog-witness).
func judge(resp *http.Response, answer []byte) ([]byte, error) {
	switch resp.StatusCode {
	case http.StatusOK:
		return answer, nil
	case http.StatusConflict:
		text := strings.TrimSuffix(string(answer), "\n")
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil || size < 0 || strconv.FormatInt(size, 10) != text || resp.Header.Get("Content-Type") != "text/x.tlog.size" {
			return nil, errors.New("the witness answers 409 without a size")
		}
		return nil, conflict{size}
	case http.StatusUnprocessableEntity:
		return nil, errInconsistent
	case http.StatusForbidden:
		return nil, errors.New("the witness answers 403: it does not know the key that signs the log")
	case http.StatusNotFound:
		return nil, errors.New("the witness answers 404: it does not know the log's origin")
	}
	return nil, fmt.Errorf("the witness answers %d", resp.StatusCode)
}
