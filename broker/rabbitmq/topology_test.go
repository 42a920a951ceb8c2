//go:build services

package rabbitmq_test

import (
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// A program that declares its own exchanges and queues hands in their names.
func TestTheProgramDeclaresItsOwnTopology(t *testing.T) {
	url := nodeURL(t)
	prefix := newPrefix(t, url)
	cfg := rabbitmq.Config{URL: url, Prefix: prefix, Declared: true, Names: rabbitmq.Names{
		RequestExchange: "amq.default", RequestKey: prefix + "-jobs-{kind}", RequestQueue: prefix + "-jobs-{kind}",
		DeadExchange: prefix + "-bin", DeadKey: "any", DeadQueue: prefix + "-bin",
	}}
	told := make(chan error, 100)
	cfg.OnError = func(err error) {
		select {
		case told <- err:
		default:
		}
	}
	b := open(t, cfg)
	none := brokertest.NewIntake("early", 1, occamy.HeaderKeys{}, "k")
	for what, err := range map[string]error{
		"Submit":  b.Submit(within(t), broker.Request{Kind: "k", ID: "early"}),
		"Consume": b.Consume(within(t), none),
	} {
		for _, want := range []string{prefix + "-jobs-k", "RequestQueue", "exchange", prefix + "-bin", "declare"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s without the queues gives %v; want an error that says %q", what, err, want)
			}
		}
	}

	ch := bare(t, url)
	quorum := amqp.Table{amqp.QueueTypeArg: "quorum"}
	for _, name := range []string{prefix + "-jobs-k", prefix + "-bin"} {
		if _, err := ch.QueueDeclare(name, true, false, false, false, quorum); err != nil {
			t.Fatal(err)
		}
	}
	if err := ch.ExchangeDeclare(prefix+"-bin", "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(prefix+"-bin", "", prefix+"-bin", false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range []string{prefix + "-jobs-k", prefix + "-bin"} {
			_, _ = ch.QueueDelete(name, false, false, false)
		}
		_ = ch.ExchangeDelete(prefix+"-bin", false, false)
	})

	a := consume(t, b, 1, "k")
	submit(t, b, "k", "r1")
	m := a.next(t)
	if err := m.(occamy.DelayedRequeuer).RequeueAfter(within(t), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	m = a.next(t)
	if attemptOf(m) != 2 {
		t.Errorf("after a delayed requeue it is attempt %d", attemptOf(m))
	}
	if err := m.(occamy.ReasonedRejecter).RejectFor(within(t), "why"); err != nil {
		t.Fatal(err)
	}
	d, ok, err := ch.Get(prefix+"-bin", true)
	if err != nil || !ok || string(d.Body) != "body of r1" {
		t.Errorf("the program's own queue of dead letters has %q (%v, %v)", d.Body, ok, err)
	}
	if _, err := ch.QueueDelete(prefix+"-jobs-k", false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has said what is missing", func() bool {
		select {
		case err := <-told:
			return strings.Contains(err.Error(), prefix+"-jobs-k") && strings.Contains(err.Error(), "RequestQueue")
		default:
			return false
		}
	})
	if _, err := ch.QueueDeclare(prefix+"-jobs-k", true, false, false, false, quorum); err != nil {
		t.Fatal(err)
	}
	submit(t, b, "k", "r2")
	ack(t, a.next(t))
	for _, name := range []string{prefix + ".request.k", prefix + ".dead.k"} {
		if declared(t, url, name) {
			t.Errorf("%s was declared all the same", name)
		}
	}
}

func declared(t *testing.T, url, queue string) bool {
	_, err := bare(t, url).QueueDeclarePassive(queue, true, false, false, false, nil)
	return err == nil
}

// What an operator has declared with other arguments is left as it is.
func TestWhatIsThereIsLeftAsItIs(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	ch := bare(t, url)
	args := amqp.Table{amqp.QueueTypeArg: "quorum", "x-delivery-limit": int64(7)}
	if _, err := ch.QueueDeclare(cfg.Prefix+".request.k", true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
	b := open(t, cfg)
	submit(t, b, "k", "r1")
	ack(t, consume(t, b, 1, "k").next(t))
	if _, err := ch.QueueDeclare(cfg.Prefix+".request.k", true, false, false, false, args); err != nil {
		t.Errorf("the queue has changed: %v", err)
	}
}

// Facts: a dead-letter exchange is at-most-once unless the quorum queue says
// at-least-once, with reject-publish; past the delivery limit messages are
// dropped unless there is a dead-letter exchange; the consumer timeout can be set
// for each queue, which RabbitMQ before 3.12 takes and does not heed.
func TestTheQueueSaysWhatTheBrokerMustDo(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), ConsumerTimeout: time.Hour, MaxDeliver: 3}
	submit(t, open(t, cfg), "k", "r1")
	want := amqp.Table{
		amqp.QueueTypeArg: "quorum", "x-dead-letter-exchange": cfg.Prefix + ".dead", "x-dead-letter-routing-key": "k",
		"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
		"x-delivery-limit": int64(100), "x-consumer-timeout": int64(time.Hour / time.Millisecond),
	}
	if _, err := bare(t, url).QueueDeclare(cfg.Prefix+".request.k", true, false, false, false, want); err != nil {
		t.Errorf("the queue was not declared so: %v", err)
	}
	delete(want, "x-dead-letter-strategy")
	if _, err := bare(t, url).QueueDeclare(cfg.Prefix+".request.k", true, false, false, false, want); err == nil {
		t.Error("RabbitMQ does not tell the arguments of a queue apart")
	}
}

// Fact: the broker may cancel a consumer, here since its queue was deleted.
func TestAConsumerThatTheBrokerCancelsComesBack(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			b := open(t, cfg)
			a := consume(t, b, 1, "k")
			submit(t, b, "k", "r1")
			gone := lost(a.next(t))
			if _, err := bare(t, url).QueueDelete(cfg.Prefix+".request.k", false, false, false); err != nil {
				t.Fatal(err)
			}
			await(t, "word that the delivery is lost", gone)
			submit(t, b, "k", "r2")
			ack(t, a.next(t))
		})
	}
}

// The credit of a kind that does not use it goes to one that does, and comes
// back when it is wanted; together they are never more than the slots.
func TestCreditGoesWhereItIsUsed(t *testing.T) {
	const slots, n = 8, 60
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	client := open(t, cfg)
	submit(t, client, "k", ids("k", n)...)
	b := open(t, cfg)
	a := consume(t, b, slots, "j", "k")
	var held []occamy.Message
	for range slots - 1 { // one stays with the other kind
		held = append(held, a.next(t))
	}
	a.quiet(t, 300*time.Millisecond)
	submit(t, client, "j", ids("x", n)...)
	if m := a.next(t); m.Headers()[occamy.DefaultHeaderKeys().Kind] != "j" {
		t.Errorf("the slot that was left for the other kind got %s", idOf(m))
	} else {
		held = append(held, m)
	}
	for range 40 {
		a.quiet(t, 5*time.Millisecond) // all slots are taken
		ack(t, held[0])
		held = append(held[1:], a.next(t))
	}
	byKind := make(map[any]int)
	for _, m := range held {
		byKind[m.Headers()[occamy.DefaultHeaderKeys().Kind]]++
	}
	if byKind["j"] == 0 || byKind["k"] == 0 {
		t.Errorf("in the end the slots are with %v", byKind)
	}
}

// What was published while the connection was cut is neither lost nor there
// twice: here outcomes, and a hand-over whose delivery was lost meanwhile.
func TestAHandOverIsNotMadeTwice(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url, c := nodeURL(t), newCable()
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			client := open(t, cfg)
			cfg.Dial = c.dial
			server := open(t, cfg)
			a := consume(t, server, 4, "k")
			submit(t, client, "k", ids("r", 4)...)
			held := []occamy.Message{a.next(t), a.next(t), a.next(t), a.next(t)}
			c.cut()
			for _, m := range held {
				wantIs(t, "requeue of a lost delivery", m.Reject(within(t), true), occamy.ErrDeliveryLost)
			}
			c.heal()
			got := make(map[string]int)
			for range held {
				m := a.next(t)
				got[idOf(m)]++
				ack(t, m)
			}
			if len(got) != len(held) {
				t.Errorf("after the cut came %v, want each once", got)
			}
			a.quiet(t, 300*time.Millisecond)
		})
	}
}
