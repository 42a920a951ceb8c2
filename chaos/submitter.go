package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/chaos/record"
	"github.com/occamy-go/occamy/client"
)

// submitter is the client: it submits requests and waits for their outcomes,
// and writes down what it is told.
type submitter struct {
	broker  broker.Broker
	client  *client.Client
	log     *record.Log // of the orchestrator
	told    *record.Log // of the client
	places  chan struct{}
	waiting sync.WaitGroup
	open    atomic.Int64 // sent, and without an outcome
}

// mostOpen bounds what waits for an outcome at any time.
const mostOpen = 400

func newSubmitter(b broker.Broker, log, told *record.Log) *submitter {
	return &submitter{broker: b, client: client.New(b), log: log, told: told, places: make(chan struct{}, mostOpen)}
}

// request is what is asked for, and under which ID.
type request struct {
	id    string
	input record.Input
}

// newRequest makes a request of 1 to 200 ms: most are short, one in ten mostly
// computes, and every seventh takes assistants. One that lasts takes 150 ms or more.
func newRequest(n int, lasts bool) request {
	in := record.Input{Seed: fmt.Sprintf("%d-%016x", n, rand.Uint64()), Chunks: 1, Rounds: 2000}
	switch {
	case n%7 == 0:
		in.Chunks, in.Wait, in.Rounds, in.Helped = 8, 20, 250, true
	case n%10 == 1:
		in.Wait, in.Rounds = 1, 50_000
	default:
		u := rand.Float64()
		in.Wait = 1 + int(190*u*u)
	}
	if lasts {
		in.Wait = max(in.Wait, 150/in.Chunks)
	}
	return request{id: fmt.Sprintf("r%06d", n), input: in}
}

// wanted is the result of a request, as whoever submits it knows it.
func wanted(in record.Input) string {
	h := sha256.New()
	for i := range in.Chunks {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(in.Seed), uint32(i)))
		for range in.Rounds {
			sum = sha256.Sum256(sum[:])
		}
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// send submits a request, in the background, until the broker confirms it, and
// waits for its outcome. It blocks while too many are open.
func (s *submitter) send(ctx context.Context, r request) error {
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	body, err := json.Marshal(r.input)
	if err != nil {
		return err
	}
	s.open.Add(1)
	s.waiting.Go(func() {
		defer func() { <-s.places }()
		defer s.open.Add(-1)
		s.log.Write(record.Event{What: record.Sent, ID: r.id, Input: &r.input, Result: wanted(r.input)})
		watching, stop := context.WithCancel(ctx)
		defer stop()
		events, err := s.watch(watching, r.id)
		if s.submit(ctx, r.id, body) && (err != nil || !s.follow(events)) {
			s.await(ctx, r.id)
		}
	})
	return nil
}

// A try to submit or to wait takes no longer than this.
const (
	submitTry = 10 * time.Second
	waitTry   = 30 * time.Second
)

// submit tries until the broker has confirmed the request: after an error it is
// unknown whether the broker keeps it, so it is submitted again, as it is.
func (s *submitter) submit(ctx context.Context, id string, body []byte) bool {
	for {
		try, cancel := context.WithTimeout(ctx, submitTry)
		_, err := s.client.Submit(try, client.Request{Kind: kind, ID: id, Body: body})
		cancel()
		if err == nil {
			s.log.Write(record.Event{What: record.Confirmed, ID: id})
			return true
		}
		s.log.Write(record.Event{What: record.Unsure, ID: id, Error: err.Error()})
		if pause(ctx, 50*time.Millisecond) != nil {
			return false
		}
	}
}

// watch watches a request before it is submitted, as client.SubmitAndWait does.
func (s *submitter) watch(ctx context.Context, id string) (<-chan broker.Event, error) {
	if b, ok := s.broker.(interface {
		WatchNew(ctx context.Context, id string) (<-chan broker.Event, error)
	}); ok {
		return b.WatchNew(ctx, id)
	}
	return s.broker.Watch(ctx, id)
}

// follow returns true once the outcome has come, and false when none will.
func (s *submitter) follow(events <-chan broker.Event) bool {
	late := time.NewTimer(waitTry)
	defer late.Stop()
	for {
		select {
		case e, ok := <-events:
			switch {
			case !ok:
				return false
			case e.Outcome != nil:
				s.tell("wait", *e.Outcome)
				return true
			}
		case <-late.C:
			return false
		}
	}
}

// await waits for the outcome anew, as often as it takes.
func (s *submitter) await(ctx context.Context, id string) {
	for {
		try, cancel := context.WithTimeout(ctx, waitTry)
		o, err := s.client.Wait(try, id, nil)
		cancel()
		if o.Status != "" {
			s.tell("wait", o)
			return
		}
		s.told.Write(record.Event{What: record.Problem, ID: id, Error: text(err)})
		if pause(ctx, 50*time.Millisecond) != nil {
			return
		}
	}
}

func (s *submitter) tell(op string, o occamy.Outcome) {
	s.told.Write(record.Event{
		What: record.Outcome, ID: o.ID, Op: op, Status: string(o.Status), Result: string(o.Result),
		Attempt: o.Attempt, Error: o.Reason,
	})
}

// sweep looks at the outcomes once more, when all is over: a second one must
// not have replaced the first, and none must be gone. It returns an error when
// it could not look at all of them.
func (s *submitter) sweep(ctx context.Context, ids []string) error {
	var looking sync.WaitGroup
	var failed atomic.Int64
	next := make(chan string)
	for range 1024 { // RabbitMQ finds those of one stream together
		looking.Go(func() {
			for id := range next {
				o, err := s.client.Result(ctx, id)
				switch {
				case err == nil:
					s.tell("sweep", o)
				case errors.Is(err, broker.ErrNotFound):
					s.told.Write(record.Event{What: record.Missing, ID: id})
				default:
					failed.Add(1)
				}
			}
		})
	}
	for _, id := range ids {
		next <- id // they end with ctx
	}
	close(next)
	looking.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("no second look at %d of %d outcomes: %w", n, len(ids), ctx.Err())
	}
	return nil
}
