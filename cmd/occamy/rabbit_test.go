//go:build services

package main

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker"
)

// rabbitURL is the RabbitMQ that the tests share.
func rabbitURL(t *testing.T) string {
	t.Helper()
	address := os.Getenv("OCCAMY_AMQP_URL")
	if address == "" {
		t.Fatal("OCCAMY_AMQP_URL does not say where a RabbitMQ is")
	}
	return address
}

// rabbitWorld is the environment of a test's own world on the RabbitMQ, whose
// queues and exchanges are removed with the test.
func rabbitWorld(t *testing.T) map[string]string {
	t.Helper()
	address, prefix := rabbitURL(t), "t"+strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() {
		conn, err := amqp.Dial(address)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		ch, err := conn.Channel()
		if err != nil {
			t.Error(err)
			return
		}
		for _, name := range []string{"request", "dead", "control", "event"} {
			if err := ch.ExchangeDelete(prefix+"."+name, false, false); err != nil {
				t.Error(err)
			}
		}
		queues := []string{"kinds", "servers"}
		for _, kind := range newMux(assist.Config{}).Kinds() {
			queues = append(queues, "request."+kind, "dead."+kind)
		}
		for i := range 32 {
			queues = append(queues, fmt.Sprint("outcomes.", i))
		}
		for _, name := range queues {
			if _, err := ch.QueueDelete(prefix+"."+name, false, false, false); err != nil {
				t.Error(err)
			}
		}
	})
	return map[string]string{"OCCAMY_BROKER": address, "OCCAMY_BROKER_PREFIX": prefix}
}

func TestRabbitServeAndSubmit(t *testing.T) {
	env := rabbitWorld(t)
	s := serveAs(t, env)
	if strings.Contains(s.Broker, "@") || !strings.HasPrefix(s.Broker, "amqp") {
		t.Errorf("it names the broker %q", s.Broker)
	}
	var v outcomeView
	decode(t, s.client(), &v, "submit", "route", "--file", instance, "--header", "time-limit=100ms", "--wait", "--json")
	if v.Status != occamy.Completed || len(v.Result) == 0 {
		t.Errorf("outcome %+v", v)
	}
	var again outcomeView
	decode(t, s.client(), &again, "result", v.ID, "--json")
	if again.ID != v.ID || string(again.Result) != string(v.Result) {
		t.Errorf("result %+v", again)
	}
	var f fleet
	decode(t, s.client(), &f, "status", "--json")
	if f.Broker != s.Broker || len(f.Servers) != 1 || queueOf(f, "route").Kind == "" {
		t.Errorf("status %+v", f)
	}
	s.signals <- os.Interrupt
	if code := s.end(t); code != exitOK {
		t.Errorf("exit status %d after an interrupt", code)
	}
	if n := strings.Count(s.errs.String(), "\n"); n != 3 {
		t.Errorf("it says %q; want that nothing keeps progress, that it stops, that it has, and nothing else", s.errs)
	}
}

func TestRabbitControlAndCancel(t *testing.T) {
	s := serveAs(t, rabbitWorld(t))
	s.begin(t, "long")
	if code, _, _ := s.client().do(t, "control", "long", "--header", "k=v"); code != exitOK {
		t.Errorf("control: exit status %d", code)
	}
	code, _, stderr := s.client().do(t, "control", "nobody")
	if code != exitFailed || !strings.Contains(stderr, "nobody took the message") {
		t.Errorf("control of nobody: exit status %d", code)
	}
	if code, _, _ := s.client().do(t, "cancel", "long"); code != exitOK {
		t.Errorf("cancel: exit status %d", code)
	}
	s.await(t, func(f fleet) bool { return len(f.Servers) == 1 && busy(f.Servers[0].Slots) == 0 })
	code, stdout, _ := s.client().do(t, "result", "long", "--json")
	if code != exitFailed || !strings.Contains(stdout, `"cancelled"`) {
		t.Errorf("result: exit status %d", code)
	}
}

func TestRabbitDeadLetters(t *testing.T) {
	s := serveAs(t, rabbitWorld(t))
	r := s.client()
	r.stdin = "this is no instance"
	code, stdout, _ := r.do(t, "submit", "route", "--id", "bad", "--file", "-", "--wait", "--json")
	var v outcomeView
	unmarshal(t, stdout, &v)
	if code != exitFailed || v.Status != occamy.Rejected || v.Reason == "" {
		t.Errorf("exit status %d, %+v", code, v)
	}
	var letter broker.DeadLetter
	decode(t, r, &letter, "dead", "show", "bad", "--json")
	if letter.Reason != v.Reason || string(letter.Body) != r.stdin || letter.Kind != "route" {
		t.Errorf("dead letter %+v", letter)
	}
	var list struct{ Dead []broker.DeadLetter }
	decode(t, r, &list, "dead", "list", "--json")
	if len(list.Dead) != 1 || list.Dead[0].Key != letter.Key {
		t.Errorf("list %+v", list)
	}
	s.await(t, func(f fleet) bool { q := queueOf(f, "route"); return q.Dead == 1 && q.Ready == 0 })
	if code, _, _ := r.do(t, "dead", "retry", "bad"); code != exitOK {
		t.Errorf("retry: exit status %d", code)
	}
	s.await(t, func(f fleet) bool { q := queueOf(f, "route"); return q.Dead == 1 && q.Unacked == 0 })
	code, _, stderr := r.do(t, "dead", "show", "nothing")
	if err := oneLineWithHint(stderr); code != exitFailed || err != nil {
		t.Errorf("exit status %d, %v", code, err)
	}
}

// queueOf returns the queue of a kind, the zero one where there is none.
func queueOf(f fleet, kind string) broker.Queue {
	for _, q := range f.Queues {
		if q.Kind == kind {
			return q
		}
	}
	return broker.Queue{}
}

// What a server runs when it is told to stop goes on at another.
func TestRabbitHandOver(t *testing.T) {
	env := rabbitWorld(t)
	s := serveAs(t, env, "--grace", "100ms")
	s.begin(t, "long")
	s.signals <- os.Interrupt
	if code := s.end(t); code != exitOK {
		t.Errorf("exit status %d after an interrupt", code)
	}
	s = serveAs(t, env)
	s.await(t, func(f fleet) bool {
		return len(f.Servers) == 1 && slices.ContainsFunc(f.Servers[0].Slots, func(slot occamy.SlotInfo) bool {
			return slot.ID == "long" && slot.Status == occamy.Protected && slot.Attempt == 2
		})
	})
	if code, _, _ := s.client().do(t, "cancel", "long"); code != exitOK {
		t.Errorf("cancel: exit status %d", code)
	}
	s.await(t, func(f fleet) bool { return len(f.Servers) == 1 && busy(f.Servers[0].Slots) == 0 })
}

func TestRabbitHelpersOnAnotherServer(t *testing.T) {
	env := rabbitWorld(t)
	env["OCCAMY_CHECKPOINT"] = "none" // which is meant, so that nothing is said of it
	testHelpersOnAnotherServer(t, serveAs(t, env, "--slots", "2"), serveAs(t, env, "--slots", "2"))
}

func TestRabbitIsAwayAndBack(t *testing.T) {
	env := rabbitWorld(t)
	u, err := url.Parse(env["OCCAMY_BROKER"])
	if err != nil {
		t.Fatal(err)
	}
	c := newCable(t, u.Host)
	u.Host = c.Addr().String()
	env["OCCAMY_BROKER"] = u.String()
	env["OCCAMY_CHECKPOINT"] = "none"
	testAwayAndBack(t, c, env)
}

func TestRabbitThatDoesNotFitTheSettings(t *testing.T) {
	u, err := url.Parse(rabbitURL(t))
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*url.URL)) string {
		other := *u
		change(&other)
		return other.String()
	}
	for _, tc := range []struct {
		name    string
		address string
		env     map[string]string
		says    string
	}{
		{"wrong password", with(func(u *url.URL) { u.User = url.UserPassword("guest", marker) }), nil, "refuses the credentials in the address"},
		{"wrong password beside the address", with(func(u *url.URL) { u.User = nil }),
			map[string]string{"OCCAMY_BROKER_USER": "guest", "OCCAMY_BROKER_PASSWORD": marker}, `refuses the user "guest" with this password`},
		{"no such virtual host", with(func(u *url.URL) { u.Path = "/nowhere" }), nil, "does not let this user into the virtual host"},
		{"TLS wanted of one without", with(func(u *url.URL) { u.Scheme = "amqps" }), nil, "does not speak TLS"},
		{"another protocol", with(func(u *url.URL) { u.Scheme, u.User, u.Path = "nats", nil, "" }), nil, "cannot reach"},
		{"nobody listens", "amqp://" + strings.TrimPrefix(deadAddress(t), "nats://"), nil, "nobody listens"},
		{"no answer", "amqp://" + silentPort(t), nil, "no answer within"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, verb := range []string{"status", "serve"} {
				begin := time.Now()
				code, stdout, stderr := run{env: tc.env}.do(t, verb, "--broker", tc.address)
				if took := time.Since(begin); code != exitFailed || stdout != "" || took > 2*connectTimeout {
					t.Errorf("%s: exit status %d after %v", verb, code, took)
				}
				if err := oneLineWithHint(stderr); err != nil || !strings.Contains(stderr, tc.says) || strings.Contains(stderr, marker) {
					t.Errorf("%s: the error message: %v; want one that says %q", verb, err, tc.says)
				}
			}
		})
	}
}

func TestRabbitShowsNoSecret(t *testing.T) {
	u, err := url.Parse(rabbitURL(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"amqp", "amqps"} {
		t.Run(scheme, func(t *testing.T) { testNothingShows(t, scheme, u.Host+"/nowhere") })
	}
}
