package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// fanoutServers is how many servers' worth of queues there are.
const fanoutServers = 1000

// controlFanoutFamily: how far a control message travels.
func controlFanoutFamily() family {
	const name = "control_fanout"
	var f fanout
	return family{
		rows: []row{{
			name: name, unit: "deliveries", constant: 1, goal: "1",
			about: "queues into which RabbitMQ puts one control message to one task, as it counts their messages; 1,000 exclusive queues, bound as the broker says that a real server's is, each by the ID of a task of its own",
			extra: func(values, _ []sample) string {
				return fmt.Sprintf("a command, which is for all servers, went into %.4g", median(column(values, "command")))
			},
		}},
		rabbitmq: true, begin: f.begin,
		value: func(p plan) (sample, error) {
			one, all, err := f.send(p.round)
			return sample{name: float64(one), "command": float64(all)}, err
		},
	}
}

// templateID is the ID of the task on the real server.
const templateID = "template"

// fanout is a real server, and queues that are bound as its is.
type fanout struct {
	ctx    context.Context
	node   rabbit
	client *rabbitmq.Broker
	look   *amqp.Channel
	heard  chan struct{} // by the real server's task
	queues []string
	ends   []func() error
}

func (f *fanout) begin() (_ func() error, err error) {
	end := func() error {
		var errs []error
		for _, end := range slices.Backward(f.ends) {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	stop, err := f.node.start()
	if err != nil {
		return nil, err
	}
	f.ends = append(f.ends, stop)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	f.ctx = ctx
	f.ends = append(f.ends, func() error { cancel(); return nil })

	w := f.node.world(plan{}, "fanout", rabbitmq.Classic)
	if f.client, err = rabbitmq.Open(ctx, w.cfg); err != nil {
		return nil, err
	}
	f.ends = append(f.ends, f.client.Close)
	conn, look, err := bareChannel(w.url)
	if err != nil {
		return nil, err
	}
	f.look = look
	f.ends = append(f.ends, conn.Close)
	if err := f.serve(w); err != nil {
		return nil, err
	}
	bindings, err := f.node.controlBindings(ctx, w.prefix)
	if err != nil {
		return nil, err
	}
	f.queues, err = declareLike(look, bindings)
	return end, err
}

// serve runs the real server until its task takes control messages: then it is
// bound for them.
func (f *fanout) serve(w rabbitWorld) error {
	source, err := rabbitmq.Open(f.ctx, w.cfg)
	if err != nil {
		return err
	}
	f.ends = append(f.ends, source.Close)
	f.heard = make(chan struct{}, 16)
	s, err := newServer(occamy.Config{Slots: 1}, map[string]func(occamy.Request) occamy.Task{
		rateKind: func(r occamy.Request) occamy.Task { return listener{untilStopped, r.ID, f.heard} },
	})
	if err != nil {
		return err
	}
	serving := make(chan error, 1)
	go func() { serving <- s.Serve(f.ctx, source) }()
	f.ends = append(f.ends, func() error { return errors.Join(s.stop(), <-serving) })
	if err := f.client.Submit(f.ctx, broker.Request{Kind: rateKind, ID: templateID}); err != nil {
		return err
	}
	if err := controlUntilTaken(f.ctx, f.client, templateID); err != nil {
		return err
	}
	return await(f.heard, "the control message at the real server")
}

// send sends a control message to one task and a command to all, and gives how
// many queues each went into.
func (f *fanout) send(round int) (one, all int, err error) {
	before, err := waitingIn(f.look, f.queues)
	if err != nil {
		return 0, 0, err
	}
	if err := f.client.Control(f.ctx, taskOf(100*round), nil, nil); err != nil {
		return 0, 0, err
	}
	between, err := waitingIn(f.look, f.queues)
	if err != nil {
		return 0, 0, err
	}
	if len(f.heard) > 0 {
		return 0, 0, errors.New("the real server has heard what is for another")
	}
	keys := occamy.DefaultHeaderKeys()
	err = f.client.Command(f.ctx, occamy.Headers{keys.Command: occamy.CommandCancel, keys.TaskID: "nobody"})
	if err != nil {
		return 0, 0, err
	}
	after, err := waitingIn(f.look, f.queues)
	if err != nil {
		return 0, 0, err
	}
	if one, all = between-before, after-between; all != fanoutServers {
		err = fmt.Errorf("a command went into %d queues; want all %d: they are not bound as servers' are", all, fanoutServers)
	}
	return one, all, err
}

// controlUntilTaken sends control messages until a server is bound for them.
func controlUntilTaken(ctx context.Context, client *rabbitmq.Broker, id string) error {
	var failed error
	err := eventually("a server that takes control messages", func() bool {
		failed = client.Control(ctx, id, nil, nil)
		return !errors.Is(failed, broker.ErrNobody)
	})
	return errors.Join(err, failed)
}

// A binding brings messages with a key from an exchange.
type binding struct{ exchange, key string }

// controlBindings asks the broker for the bindings of the queue that is bound by
// the template's ID.
func (r *rabbit) controlBindings(ctx context.Context, prefix string) ([]binding, error) {
	text, err := r.Ctl(ctx, "-q", "list_bindings", "--no-table-headers", "destination_name", "source_name", "routing_key")
	if err != nil {
		return nil, err
	}
	byQueue := make(map[string][]binding)
	var queue string
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 3 || !strings.HasPrefix(f[1], prefix+".") {
			continue // as of the default exchange, which has every queue
		}
		byQueue[f[0]] = append(byQueue[f[0]], binding{f[1], f[2]})
		if strings.Contains(f[2], templateID) {
			queue = f[0]
		}
	}
	if queue == "" {
		return nil, fmt.Errorf("no queue is bound by the ID of a task:\n%s", text)
	}
	return byQueue[queue], nil
}

func taskOf(server int) string { return fmt.Sprintf("task-%d", server) }

// declareLike declares the control queues of servers of which each runs a task
// of its own.
func declareLike(ch *amqp.Channel, bindings []binding) (queues []string, err error) {
	for i := range fanoutServers {
		q, err := ch.QueueDeclare("", false, true, true, false, nil)
		if err != nil {
			return nil, err
		}
		queues = append(queues, q.Name)
		for _, b := range bindings {
			key := strings.Replace(b.key, templateID, taskOf(i), 1)
			if err := ch.QueueBind(q.Name, key, b.exchange, false, nil); err != nil {
				return nil, err
			}
		}
	}
	return queues, nil
}

// waitingIn is how many messages the broker counts in queues that nobody
// consumes.
func waitingIn(look *amqp.Channel, queues []string) (n int, err error) {
	for _, queue := range queues {
		q, err := look.QueueDeclarePassive(queue, false, true, true, false, nil)
		if err != nil {
			return 0, err
		}
		n += q.Messages
	}
	return n, nil
}
