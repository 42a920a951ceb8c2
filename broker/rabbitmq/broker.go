package rabbitmq

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy/broker"
)

// Broker is a connection to RabbitMQ. It implements [broker.Broker].
type Broker struct {
	cfg       Config
	names     names
	addresses []address
	in        *link  // for all but publishing
	out       *link  // for publishing
	id        string // of this connection, in message IDs and addresses
	messages  atomic.Uint64
	shared    *outlet                 // for all but what goes to streams
	streams   [outcomeStreams]*outlet // for the stream alone
	setup     setup
	sessions  sessions
	hub       hub
	looks     looks
	progress  progressQueues
	browsing  browsing
	calm      calm
	kinds     kinds
	outage    outage
	closing   atomic.Bool
	done      chan struct{} // closed by Close
	running   sync.WaitGroup
	links     sync.WaitGroup
	cut       context.CancelFunc // ends the links
	closed    chan struct{}      // closed when Close is over
}

var (
	_ broker.Broker     = (*Broker)(nil)
	_ broker.NewWatcher = (*Broker)(nil)
)

// Open connects to RabbitMQ. It returns once there is a connection (at once with
// Config.Background), or an error when ctx ends before that, when the broker
// refuses the credentials, or when cfg is invalid. From then on a lost
// connection comes back by itself, without an end to the tries. Whoever opens
// closes.
func Open(ctx context.Context, cfg Config) (*Broker, error) {
	cfg, names, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	addresses, err := cfg.parseURLs()
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		if a.Scheme != "amqps" {
			continue
		}
		if _, err := cfg.tlsConfig(a.URI); err != nil {
			return nil, err
		}
	}
	b := &Broker{
		cfg: cfg, names: names, addresses: addresses, id: rand.Text(), shared: newOutlet(),
		calm: defaultCalm, done: make(chan struct{}), closed: make(chan struct{}),
	}
	b.outage.tell = cfg.OnLink
	b.in, b.out = newLink(b, "consume"), newLink(b, "publish")
	for i := range b.streams {
		b.streams[i] = newStreamOutlet()
	}
	b.setup.reset()
	life, cut := context.WithCancel(context.Background())
	b.cut = cut
	b.links.Go(func() { b.in.run(life) })
	b.links.Go(func() { b.out.run(life) })
	if cfg.Background {
		return b, nil
	}
	for _, l := range []*link{b.in, b.out} {
		if _, err := l.wait(ctx); err != nil {
			_ = b.Close()
			return nil, err
		}
	}
	return b, nil
}

// Name says where the broker is, without credentials.
func (b *Broker) Name() string {
	all := make([]string, len(b.addresses))
	for i, a := range b.addresses {
		all[i] = a.String()
	}
	return strings.Join(all, ",")
}

// Close ends Consume and Watch, which give back what was not started, then
// every other call, with ErrClosed, and closes the connection. What was handed
// over and is not settled goes back to the broker.
func (b *Broker) Close() error {
	if b.closing.CompareAndSwap(false, true) {
		close(b.done)
		b.running.Wait()
		b.sessions.wait()
		b.setOver(broker.ErrClosed)
		b.cut()
		b.links.Wait()
		close(b.closed)
	}
	<-b.closed
	return nil
}

func (b *Broker) setOver(err error) {
	b.in.setOver(err)
	b.out.setOver(err)
}

// begin returns a context that ends, with the cause, when Close is called or
// the connection is gone for good. end is called when the call is over.
func (b *Broker) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if err := b.usable(); err != nil {
		return nil, nil, err
	}
	b.running.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := make(chan struct{})
	go func() {
		select {
		case <-b.done:
			cancel(broker.ErrClosed)
		case <-b.in.over:
			cancel(b.in.closed())
		case <-stop:
		}
	}()
	return ctx, func() {
		close(stop)
		cancel(nil)
		b.running.Done()
	}, nil
}

// usable returns ErrClosed after Close, and what the broker said when it refused
// the connection for good.
func (b *Broker) usable() error {
	select {
	case <-b.done:
		return broker.ErrClosed
	case <-b.in.over:
		return b.in.closed()
	default:
		return nil
	}
}

// pause waits before another try: for d, and then for a connection.
func (b *Broker) pause(ctx context.Context, d time.Duration) error { return b.in.pause(ctx, d) }
