package nats

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
)

// Broker is a connection to NATS. It implements [broker.Broker].
type Broker struct {
	cfg       Config
	names     names
	timing    pullTiming
	nc        *natsgo.Conn
	conn      atomic.Pointer[natsgo.Conn] // nc, for handlers that run before it is set
	opening   atomic.Bool                 // there has been no connection, and Open waits for it
	link      *link
	calls     *calls
	acks      acks
	setup     setup
	closing   atomic.Bool
	inProcess bool          // the NATS server is in this process
	done      chan struct{} // closed by Close
	running   sync.WaitGroup
}

var _ broker.Broker = (*Broker)(nil)

// Open connects to NATS. It returns once there is a connection (at once with
// Config.Background), or an error when ctx ends before that, when NATS refuses
// the credentials or the certificates, or when cfg is invalid. No error, here
// or later, shows a secret. From then on a lost connection comes
// back by itself, without an end to the tries. Whoever opens closes.
func Open(ctx context.Context, cfg Config) (*Broker, error) {
	cfg, names, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	options, err := cfg.connection()
	if err != nil {
		return nil, cfg.scrub(err)
	}
	b := &Broker{cfg: cfg, names: names, timing: defaultTiming, link: newLink(), calls: newCalls(), done: make(chan struct{})}
	b.setup.init()
	b.inProcess = options.InProcessServer != nil
	b.opening.Store(!cfg.Background)
	b.handlers(&options)
	if b.nc, err = options.Connect(); err != nil {
		err, _ = cfg.refused(err)
		return nil, fmt.Errorf("nats: connect to %s: %w", b.Name(), err)
	}
	b.conn.Store(b.nc)
	if err := b.start(ctx); err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Broker) start(ctx context.Context) error {
	if err := b.calls.listen(b.nc); err != nil {
		return err
	}
	if b.cfg.Background {
		return nil
	}
	if err := b.link.wait(ctx); err != nil {
		return fmt.Errorf("nats: connect to %s: %w", b.Name(), err)
	}
	return nil
}

// Name says where the broker is, without credentials.
func (b *Broker) Name() string {
	if b.inProcess {
		return "nats (in this process)"
	}
	urls := splitURLs(b.cfg.URL)
	for i, s := range urls {
		urls[i] = withoutSecrets(s)
	}
	return strings.Join(urls, ",")
}

// Conn is the connection itself, for what else is kept in the same NATS, such as
// checkpoint/natskv. It stays the broker's: Close ends it, and its handlers are
// not to be changed.
func (b *Broker) Conn() *natsgo.Conn { return b.nc }

// Close ends Consume and Watch, which give back what was not started, then
// every other call, with ErrClosed, and closes the connection.
func (b *Broker) Close() error {
	if b.closing.CompareAndSwap(false, true) {
		close(b.done)
		b.running.Wait()
		b.link.setOver(broker.ErrClosed)
		b.calls.failAll(broker.ErrClosed)
		b.nc.Close()
	}
	<-b.link.over
	return nil
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
		case <-b.link.over:
			cancel(b.link.closed())
		case <-stop:
		}
	}()
	return ctx, func() {
		close(stop)
		cancel(nil)
		b.running.Done()
	}, nil
}

// usable returns ErrClosed after Close, and what NATS said when it refused the
// connection for good.
func (b *Broker) usable() error {
	select {
	case <-b.done:
		return broker.ErrClosed
	case <-b.link.over:
		return b.link.closed()
	default:
		return nil
	}
}
