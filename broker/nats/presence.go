package nats

import (
	"context"
	"errors"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// A task may end while a control message is on its way to it. In a cluster the
// message then reaches a NATS server that no longer knows anybody who wants it,
// and which says nothing. So whoever waits for an answer asks whether anybody is
// there still: NATS itself answers when nobody is.

// doubtAfter is how long an answer may be missing until one asks. It comes within
// a millisecond or two, unless it never does.
const doubtAfter = 100 * time.Millisecond

// askTask sends a control message and waits for its answer, within tryTime.
// errNobody when no server has the task, perhaps no more.
func (b *Broker) askTask(ctx context.Context, subject string, h natsgo.Header, body []byte) error {
	w, err := b.post(ctx, subject, h, body, tryTime, nil)
	if err != nil {
		return err
	}
	n := w.number
	doubt := time.NewTimer(doubtAfter)
	defer doubt.Stop()
	for pause := 2 * doubtAfter; ; pause *= 2 { // a server that is slow is asked ever less
		select {
		case a := <-w.answer:
			b.calls.free(w)
			return a.err
		case <-doubt.C:
			_, err := b.ask(ctx, subject, natsgo.Header{hdrPresence: {"?"}}, nil, doubtAfter)
			if errors.Is(err, errNobody) {
				b.calls.answer(n, answer{err: err})
			}
			doubt.Reset(pause)
		}
	}
}
