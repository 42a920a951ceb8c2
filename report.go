package occamy

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
)

// report is what the task of a request tells its sender.
type report struct {
	mu       sync.Mutex
	result   []byte        // guarded by mu
	progress []byte        // not sent yet; nil for none; guarded by mu
	newest   []byte        // reported, sent or not; guarded by mu
	fraction float64       // what newest says once read; guarded by mu
	read     bool          // fraction is that of newest; guarded by mu
	sending  chan struct{} // closed when the sender ends; nil when there is none; guarded by mu
}

func (j *job) reports() (*report, bool) {
	if j.status != Protected || j.settled.Load() {
		return nil, false
	}
	if r := j.report.Load(); r != nil {
		return r, true
	}
	j.report.CompareAndSwap(nil, &report{})
	return j.report.Load(), true
}

func (j *job) setResult(b []byte) error {
	r, ok := j.reports()
	if !ok {
		return ErrNoRequest
	}
	if b == nil {
		b = []byte{}
	}
	r.mu.Lock()
	r.result = b
	r.mu.Unlock()
	return nil
}

func (r *report) takeResult() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}

// fractionWithin is how far into a progress its fraction is looked for.
const fractionWithin = 1 << 10

// readFraction returns the number "fraction" of a JSON object that begins with
// less than fractionWithin bytes of other fields, from 0 to 1; else 0.
func readFraction(progress []byte) float64 {
	d := json.NewDecoder(bytes.NewReader(progress[:min(len(progress), fractionWithin)]))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return 0
		}
		if key == "fraction" {
			var f float64
			if d.Decode(&f) != nil {
				return 0
			}
			return min(max(f, 0), 1)
		}
		var skip json.RawMessage
		if d.Decode(&skip) != nil {
			return 0
		}
	}
	return 0
}

// doneFraction is how much of the request is done, as its task last reported.
func (j *job) doneFraction() float64 {
	r := j.report.Load()
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read {
		r.fraction, r.read = readFraction(r.newest), true
	}
	return r.fraction
}

func (j *job) reportProgress(b []byte) error {
	r, ok := j.reports()
	if !ok {
		return ErrNoRequest
	}
	if b == nil {
		b = []byte{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest, r.read = b, false
	if !j.keepsProgress() {
		return nil
	}
	r.progress = b
	if r.sending == nil && j.ctx.Err() == nil {
		r.sending = make(chan struct{})
		go j.sendProgress(r)
	}
	return nil
}

// sendProgress sends the newest progress until there is none or the task has
// been stopped; what is left then flushProgress sends.
func (j *job) sendProgress(r *report) {
	p := j.message.(ProgressKeeper)
	for {
		r.mu.Lock()
		b := r.progress
		if b == nil || j.ctx.Err() != nil {
			close(r.sending)
			r.sending = nil
			r.mu.Unlock()
			return
		}
		r.progress = nil
		r.mu.Unlock()
		if err := guard(func() error { return p.PublishProgress(&j.ctx, b) }); err != nil {
			j.progressFailed(r, b, err)
		}
	}
}

// progressFailed keeps progress that the broker has not got, for another try
// when the message is settled, unless there is a newer one.
func (j *job) progressFailed(r *report, b []byte, err error) {
	if j.ctx.Err() == nil {
		j.server.recordError(j.errorOf(j.status, err))
		return
	}
	r.mu.Lock()
	if r.progress == nil {
		r.progress = b
	}
	r.mu.Unlock()
}

// flushProgress sends the last progress before the message is settled.
func (j *job) flushProgress(ctx context.Context) error {
	r := j.report.Load()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	sending := r.sending
	r.mu.Unlock()
	if sending != nil {
		select {
		case <-sending:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	b := r.progress
	r.progress = nil
	r.mu.Unlock()
	if b == nil {
		return nil
	}
	if err := j.message.(ProgressKeeper).PublishProgress(ctx, b); err != nil {
		j.server.recordError(j.errorOf(Protected, err))
	}
	return nil
}

func (j *job) lastProgress(ctx context.Context) ([]byte, error) {
	switch {
	case j.status != Protected:
		return nil, ErrNoRequest
	case !j.keepsProgress():
		return nil, nil
	}
	return j.message.(ProgressKeeper).LastProgress(ctx)
}

// keepsProgress: the broker keeps it by the request's ID.
func (j *job) keepsProgress() bool {
	_, ok := j.message.(ProgressKeeper)
	return ok && j.details.ID != ""
}
