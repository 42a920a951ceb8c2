package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

const (
	streamEvery  = 100 * time.Millisecond // between updates
	largeEvery   = 250 * time.Millisecond // after one of largeUpdate bytes: the page draws no more often then
	largeUpdate  = 8 << 10
	streamAlive  = 10 * time.Second // between signs of life
	streamGiveUp = 15 * time.Second // on a reader that takes nothing
)

// stream sends updates until the reader goes. What a slow reader has not taken
// is not kept for it: it gets the difference to the last that it took.
func (p *page) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "too many pages are open", "close some; this one tries again by itself")
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if p.Done != nil {
		go func() {
			select {
			case <-p.Done:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of proxies
	s := &sender{w: w, c: http.NewResponseController(w)}
	for version := uint64(0); ; {
		update, next := p.Fleet.Since(version)
		if err := s.update(update); err != nil {
			return
		}
		every := streamEvery
		if version > 0 && len(s.buf) >= largeUpdate {
			every = largeEvery
		}
		pause := time.NewTimer(every)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		version = next
		if err := p.newer(ctx, s, version); err != nil {
			return
		}
	}
}

// newer waits for something newer than v, with a sign of life now and then.
func (p *page) newer(ctx context.Context, s *sender, v uint64) error {
	for {
		wait, cancel := context.WithTimeout(ctx, streamAlive)
		err := p.Fleet.Wait(wait, v)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := s.send([]byte(": alive\n\n")); err != nil {
			return err
		}
	}
}

type sender struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	buf []byte
}

func (s *sender) update(u any) error {
	body, err := json.Marshal(u) // one line: JSON escapes those of texts
	if err != nil {
		return err
	}
	s.buf = append(append(append(s.buf[:0], "event: fleet\ndata: "...), body...), "\n\n"...)
	return s.send(s.buf)
}

// send returns an error when the reader has taken nothing for too long.
func (s *sender) send(b []byte) error {
	err := s.c.SetWriteDeadline(time.Now().Add(streamGiveUp))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.c.Flush()
}
