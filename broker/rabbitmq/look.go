package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/internal/token"
)

// looks are the searches for outcomes in the streams. Those that are asked for
// while one is under way share the next, so a thousand clients that wait look
// through a stream twice and not a thousand times.
type looks struct {
	streams [outcomeStreams]struct {
		mu      sync.Mutex
		running bool
		waiting []*look
	}
}

// look is what one caller is after.
type look struct {
	id    string
	from  int64 // position in the stream; 0 is the beginning
	found chan found
}

type found struct {
	outcome *occamy.Outcome // nil: none
	next    int64           // from where to look the next time
	err     error
}

// look returns the last outcome of id from a position on, among all that was
// confirmed before the call.
func (ls *looks) look(ctx context.Context, b *Broker, id string, from int64) (found, error) {
	if err := ctx.Err(); err != nil {
		return found{}, ended(ctx)
	}
	l := &look{id: id, from: from, found: make(chan found, 1)}
	n := streamOf(id)
	s := &ls.streams[n]
	s.mu.Lock()
	if !s.running {
		life, end, err := b.begin(context.Background())
		if err != nil {
			s.mu.Unlock()
			return found{}, err
		}
		s.running = true
		go func() {
			defer end()
			ls.run(life, b, n)
		}()
	}
	s.waiting = append(s.waiting, l)
	s.mu.Unlock()
	select {
	case f := <-l.found:
		return f, f.err
	case <-ctx.Done():
		return found{}, b.in.inVain(ctx)
	}
}

// run looks until nobody waits.
func (ls *looks) run(ctx context.Context, b *Broker, n int) {
	s := &ls.streams[n]
	for {
		s.mu.Lock()
		batch := s.waiting
		s.waiting = nil
		if len(batch) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		scan := newScan(batch)
		next, err := scan.through(ctx, b, n)
		for _, l := range batch {
			if err != nil {
				l.found <- found{err: err}
				continue
			}
			o, bad := decodeFound(scan.last[l.id])
			if bad != nil {
				b.cfg.OnError(fmt.Errorf("rabbitmq: outcome of %q: %w", l.id, bad))
			}
			l.found <- found{outcome: o, next: max(next, l.from)}
		}
	}
}

func decodeFound(body []byte) (*occamy.Outcome, error) {
	if body == nil {
		return nil, nil
	}
	o, err := broker.DecodeOutcome(body)
	if err != nil {
		return nil, err // of whoever wrote it; there is none that could be told
	}
	return &o, nil
}

// scan is one way through a stream.
type scan struct {
	from int64
	last map[string][]byte // the last outcome of each ID that is looked for; nil: none
	ids  []any             // their filter values, and the mark's; nil when there are too many
}

// maxFilter is up to how many IDs the broker is asked to leave out others, which
// it does from 3.13 on.
const maxFilter = 16

func newScan(batch []*look) *scan {
	s := &scan{from: batch[0].from, last: make(map[string][]byte, len(batch))}
	for _, l := range batch {
		s.from = min(s.from, l.from)
		s.last[l.id] = nil
	}
	if len(s.last) > maxFilter {
		return s
	}
	for id := range s.last {
		s.ids = append(s.ids, token.Of(id))
	}
	s.ids = append(s.ids, markFilter)
	return s
}

const (
	markFilter = "=mark" // no token
	scanAhead  = 512     // messages that may be on their way
	scanSilent = 10 * time.Second
)

var errSilent = errors.New("rabbitmq: the stream says nothing")

// through reads up to a mark that it puts, and returns the position behind it.
func (s *scan) through(ctx context.Context, b *Broker, n int) (next int64, err error) {
	return retry(ctx, b, func() (int64, error) {
		for id := range s.last {
			s.last[id] = nil // of a try before
		}
		if err := b.ensureStream(ctx, n); err != nil {
			return 0, err
		}
		ch, err := b.channel(ctx)
		if err != nil {
			return 0, err
		}
		defer b.links.Go(func() { _ = ch.Close() })
		letters, err := abandon(ctx, func() (<-chan amqp.Delivery, error) { return s.open(ch, b.names.outcomeStream(n)) }, func(<-chan amqp.Delivery) {})
		if notFound(err) {
			b.setup.reset() // it was removed just now
			return 0, errCut
		}
		if err != nil {
			return 0, err
		}
		mark := b.messageID()
		err = b.publishBy(ctx, b.streams[n], "", b.names.outcomeStream(n), true, amqp.Publishing{
			Type: typeMark, MessageId: mark, DeliveryMode: amqp.Persistent, Headers: amqp.Table{filterValue: markFilter},
		})
		if errors.Is(err, errNoRoute) {
			return 0, errCut // so was this
		}
		if err != nil {
			return 0, err
		}
		return s.read(ctx, letters, mark)
	})
}

func (s *scan) open(ch *amqp.Channel, stream string) (<-chan amqp.Delivery, error) {
	if err := ch.Qos(scanAhead, 0, false); err != nil {
		return nil, err
	}
	args := amqp.Table{"x-stream-offset": s.from}
	if s.from == 0 {
		args["x-stream-offset"] = "first"
	}
	if s.ids != nil {
		args["x-stream-filter"] = s.ids
	}
	return ch.Consume(stream, "", false, false, false, false, args)
}

func (s *scan) read(ctx context.Context, letters <-chan amqp.Delivery, mark string) (next int64, err error) {
	silent := time.NewTimer(scanSilent)
	defer silent.Stop()
	for n := 1; ; n++ {
		select {
		case d, ok := <-letters:
			if !ok {
				return 0, errCut
			}
			if d.Type == typeMark && d.MessageId == mark {
				at, _ := d.Headers["x-stream-offset"].(int64) // as RabbitMQ says; without it the next look begins anew
				return at + 1, nil
			}
			s.note(&d)
			if n%(scanAhead/4) == 0 {
				if err := d.Ack(true); err != nil {
					return 0, err
				}
				silent.Reset(scanSilent)
			}
		case <-silent.C:
			return 0, errSilent
		case <-ctx.Done():
			return 0, ended(ctx)
		}
	}
}

func (s *scan) note(d *amqp.Delivery) {
	id := text(d.Headers, hdrID)
	if _, wanted := s.last[id]; !wanted {
		return
	}
	switch d.Type {
	case typeOutcome:
		s.last[id] = d.Body
	case typeRemoved:
		s.last[id] = nil
	}
}
