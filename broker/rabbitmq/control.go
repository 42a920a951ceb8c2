package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Optional implements broker.Broker. It returns once the broker has handed the
// request to the queues of those servers that are there.
func (b *Broker) Optional(ctx context.Context, r broker.Request) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := r.CheckOptional(); err != nil {
		return err
	}
	return b.tell(ctx, b.names.optionalKey(r.Kind), false, r.WithKeys(b.cfg.Keys), r.Body)
}

// Command implements broker.Broker. It returns once the broker has handed the
// command to the queues of those servers that are there.
func (b *Broker) Command(ctx context.Context, headers occamy.Headers) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := broker.CheckHeaders(headers); err != nil {
		return err
	}
	return b.tell(ctx, commandKey, false, headers, nil)
}

// Control implements broker.Broker. It returns once the broker has handed the
// message to the queues of those servers that run the task. When the connection
// is lost before that it sends the message again, which a task may then get
// twice. A server learns of a task, and binds its queue, some milliseconds after
// the task started; until then the answer is ErrNobody.
func (b *Broker) Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := errors.Join(broker.CheckID(id), broker.CheckHeaders(headers)); err != nil {
		return err
	}
	withID := make(occamy.Headers, len(headers)+1)
	maps.Copy(withID, headers)
	withID[b.cfg.Keys.TaskID] = id
	err := b.tell(ctx, b.names.controlKey(id), true, withID, body)
	if errors.Is(err, errNoRoute) {
		return fmt.Errorf("rabbitmq: %q: %w", id, broker.ErrNobody)
	}
	return err
}

// tell publishes to the servers.
func (b *Broker) tell(ctx context.Context, key string, mandatory bool, headers occamy.Headers, body []byte) error {
	h, err := encodeHeaders(headers)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		if err := b.ensureExchange(ctx, b.names.control, amqp.ExchangeDirect); err != nil {
			return err
		}
		err := b.publish(ctx, b.names.control, key, mandatory, amqp.Publishing{Headers: h, Body: body})
		if !notFound(err) || try > 0 {
			return err
		}
		b.setup.reset() // somebody removed the exchange
	}
}

// bindAfter is how long a task runs before the control queue is bound by its ID.
const bindAfter = 3 * time.Millisecond

// A control queue is bounded, so that a server which does not keep up loses the
// oldest messages, and not the broker its memory.
const (
	controlLength = 10_000
	controlBytes  = 64 << 20
	controlAhead  = 256 // messages that may be with this process unacked
)

// A desk takes what goes to every server that it concerns: control messages,
// commands, optional requests, and questions for the snapshot. One goroutine
// hands messages over, so their order is kept.
type desk struct {
	b       *Broker
	in      occamy.Intake
	unacked func() map[string]int
	keys    *keys
	asked   chan string // who wants an answer
}

// consumeControl hands control messages to in until ctx ends. unacked says how
// many requests of each kind the broker has given to this call of Consume.
func (b *Broker) consumeControl(ctx context.Context, in occamy.Intake, unacked func() map[string]int) error {
	d := &desk{
		b: b, in: in, unacked: unacked,
		keys:  newKeys(b.names.control, bindAfter, nil),
		asked: make(chan string, 64),
	}
	box := &mailbox{
		b: b, what: "take control messages", keys: d.keys,
		fixed: []string{commandKey},
		args: amqp.Table{
			"x-max-length": int64(controlLength), "x-max-length-bytes": int64(controlBytes), "x-overflow": "drop-head",
		},
		prefetch: controlAhead,
		take:     d.take,
		prepare:  b.ensurePresence,
		bound:    b.present,
	}
	for _, kind := range in.Info().Kinds {
		box.fixed = append(box.fixed, b.names.optionalKey(kind))
	}
	box.fixed = append(box.fixed, serversKey) // last, since who is listed hears all
	ctx, cancel := context.WithCancel(ctx)
	var over sync.WaitGroup
	defer over.Wait()
	defer cancel()
	over.Go(func() { d.answer(ctx) })
	defer in.WatchTasks(d)()
	box.run(ctx)
	return nil
}

// TaskPlaced implements occamy.TaskWatcher.
func (d *desk) TaskPlaced(id string) { d.keys.want(d.b.names.controlKey(id)) }

// TaskGone implements occamy.TaskWatcher.
func (d *desk) TaskGone(id string) { d.keys.drop(d.b.names.controlKey(id)) }

func (d *desk) take(m amqp.Delivery) {
	if m.RoutingKey == serversKey {
		select {
		case d.asked <- m.ReplyTo:
		default: // more questions than anybody has
		}
		return
	}
	d.in.HandleControl(&controlMessage{headers: decodeHeaders(m.Headers), body: m.Body})
}

// controlMessage is a control message. Nobody keeps it, so there is nothing to
// settle.
type controlMessage struct {
	headers occamy.Headers
	body    []byte
}

func (m *controlMessage) Headers() occamy.Headers            { return m.headers }
func (m *controlMessage) Body() []byte                       { return m.body }
func (m *controlMessage) Ack(context.Context) error          { return nil }
func (m *controlMessage) Reject(context.Context, bool) error { return nil }
func (m *controlMessage) Unkept()                            {}
