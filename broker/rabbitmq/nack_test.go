//go:build services

package rabbitmq_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// When the leader of a quorum queue is killed, RabbitMQ may keep nothing of what
// is published over a channel from then on, although another takes it.
func TestAChannelThatKeepsNothingIsReplaced(t *testing.T) {
	url := nodeURL(t)
	var stale stale
	b := open(t, rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), Dial: stale.dial})
	submit(t, b, "k", "before")
	stale.begin()
	begun := time.Now()
	submitMany(t, b, "k", 50)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := b.PublishOutcome(within(t), outcomeOf("before")); err != nil {
		t.Errorf("PublishOutcome: %v", err)
	}
	if stale.nacks == 0 {
		t.Error("nothing was refused, so this showed nothing")
	}
}

// A queue that is full says the same of every message: the channel is not
// replaced for each, and what is under way on it is not sent again.
func TestAQueueThatIsFullCostsNoChannelForEachTry(t *testing.T) {
	url := nodeURL(t)
	var stale stale
	prefix := newPrefix(t, url)
	b := open(t, rabbitmq.Config{URL: url, Prefix: prefix, Dial: stale.dial})
	submit(t, b, "k", "before")
	stale.always()
	ctx, cancel := contextFor(3 * time.Second)
	defer cancel()
	var all sync.WaitGroup
	for _, id := range ids("r", 50) {
		all.Go(func() {
			err := b.Submit(ctx, broker.Request{Kind: "k", ID: id})
			wantIs(t, "Submit to a queue that is full", err, context.DeadlineExceeded)
		})
	}
	all.Wait()
	if n := stale.channels(); n > 6 {
		t.Errorf("%d channels in 3 s", n)
	}
}

// stale are connections to a broker that refuses what is published over some
// channels.
type stale struct {
	mu     sync.Mutex
	until  int // channels opened from then on are good
	refuse bool
	opened int
	nacks  int
}

func (s *stale) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.until = true, s.opened
}

func (s *stale) always() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.until, s.opened = true, 1<<30, 0
}

func (s *stale) channels() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

func (s *stale) dial(ctx context.Context, network, address string) (net.Conn, error) {
	const confirmSelectOK = 85<<16 | 11
	opened := make(map[uint16]int)
	return dialFrames(ctx, network, address, func(kind byte, channel uint16, payload []byte) bool {
		if kind != methodFrame {
			return true
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch binary.BigEndian.Uint32(payload) {
		case confirmSelectOK:
			s.opened++
			opened[channel] = s.opened
		case basicAck:
			if s.refuse && opened[channel] <= s.until {
				s.nacks++
				binary.BigEndian.PutUint32(payload, basicNack)
			}
		}
		return true
	})
}
