// Package brokertest is the conformance suite for adapters of brokers: what a
// server and a client may rely on, whatever the broker. An adapter's test calls
// Run. The package knows no adapter.
package brokertest

import (
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"go.uber.org/goleak"
)

// Harness tells Run how to get at a broker.
type Harness struct {
	// Open starts a broker for one test, or a part of one that nothing else
	// sees, and has t.Cleanup free it. It fails the test when it cannot.
	Open func(t testing.TB, o Options) World

	// Wrap runs the body f of each test. Nil: f runs as it is. An adapter that
	// needs no clock but the process's passes synctest.Test, and its tests take
	// no time.
	Wrap func(t *testing.T, f func(t *testing.T))

	// Lacks says what this broker cannot do, and why. A test of it is
	// reported as such. All that is not declared is demanded.
	Lacks map[Ability]string
}

// Options are what a test wants of the broker that Open starts.
type Options struct {
	// AckWait is how long a delivery stays with a holder that says nothing.
	// Zero: the adapter's default, at least 10 s.
	AckWait time.Duration
	// MaxDeliver is how many lost deliveries dead-letter a request. Zero: the
	// adapter's default, at least 4.
	MaxDeliver int
	// MaxPayload is the largest body, in bytes. Zero: the adapter's default,
	// at least 512 KiB.
	MaxPayload int
	// Keys are the header keys of all connections. Zero: the defaults.
	Keys occamy.HeaderKeys
}

// World is one broker and the connections to it.
type World interface {
	// Connect returns a further connection, which t.Cleanup closes.
	Connect(t testing.TB) broker.Broker
	// Crash ends a connection as the death of its process would: nothing is
	// said to the broker. b is of no use afterwards.
	Crash(t testing.TB, b broker.Broker)
	// Cut interrupts a connection until Heal; the broker may try to restore
	// it and fails.
	Cut(t testing.TB, b broker.Broker)
	// Heal lets a connection that was cut come back.
	Heal(t testing.TB, b broker.Broker)
}

// Ability is something that a broker may lack; see Harness.Lacks.
type Ability string

// The abilities that some broker cannot have.
const (
	// Pull: the broker delivers no more than it was asked for, over all kinds.
	Pull Ability = "pull"
	// Lease: a delivery whose holder says nothing for AckWait goes to another.
	Lease Ability = "lease"
	// ConfirmedAck: once Ack has returned nil, the broker has it, whatever
	// becomes of the connection.
	ConfirmedAck Ability = "confirmed ack"
	// DeliveryLimit: the broker counts lost deliveries for each request.
	DeliveryLimit Ability = "delivery limit"
	// Deduplication: a request submitted twice with one ID is kept once.
	Deduplication Ability = "deduplication"
	// SizeLimit: the test can set the largest body.
	SizeLimit Ability = "size limit"
	// Interruption: the test can cut and heal a connection.
	Interruption Ability = "interruption"
)

var abilities = map[Ability]bool{
	Pull: true, Lease: true, ConfirmedAck: true, DeliveryLimit: true, Deduplication: true, SizeLimit: true, Interruption: true,
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// shortLease is the AckWait of the tests that wait for its end.
const shortLease = time.Second

type test struct {
	name  string
	needs Ability // empty: every broker can
	run   func(f *fixture)
	opts  Options
}

// Run runs the suite, one subtest for each promise, and fails for goroutines
// that a test leaves behind.
func Run(t *testing.T, h Harness) {
	for a, why := range h.Lacks {
		if !abilities[a] || why == "" {
			t.Fatalf("Harness.Lacks has %q: %q; want an ability that some broker lacks, and the reason", a, why)
		}
	}
	wrap := h.Wrap
	if wrap == nil {
		wrap = func(t *testing.T, f func(*testing.T)) { f(t) }
	}
	before := goleak.IgnoreCurrent()
	for _, group := range [][]test{
		deliveryTests, controlTests, settleTests, leaseTests, capacityTests,
		faultTests, outcomeTests, deadTests, inputTests, endTests, serverTests, feedTests,
	} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				if why, ok := h.Lacks[c.needs]; ok {
					t.Logf("not on this broker, which lacks %s: %s", c.needs, why)
					return
				}
				wrap(t, func(t *testing.T) { c.run(newFixture(t, h, c.opts)) })
			})
			if err := goleak.Find(before); err != nil {
				t.Errorf("%s left goroutines behind: %v", c.name, err)
			}
		}
	}
}
