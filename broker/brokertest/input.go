package brokertest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var inputTests = []test{
	{name: "IDs of any characters work everywhere or are refused", run: hostileIDs},
	{name: "kinds of any characters work or are refused", run: hostileKinds},
	{name: "header values of any type are carried or refused", run: hostileHeaders},
	{name: "other header keys than the defaults work", run: otherKeys, opts: Options{Keys: occamy.HeaderKeys{
		Kind: "K", RequestID: "R", TaskID: "T", Command: "C", Server: "S", Timeout: "TO", Deadline: "D", Priority: "P", Outcome: "O",
	}}},
	{name: "what is too large is refused as such", needs: SizeLimit, run: tooLarge, opts: Options{MaxPayload: 64 << 10}},
}

// hostile are names that collide with the wildcards, separators or limits of
// some broker or file system.
var hostile = []string{
	"with spaces in it", "dots.in.it", ".", "..", "a.", ".a", "*", "a.*", ">", "a.>", "$SYS.REQ", "#", "a/b\\c", "../../etc", "%2e%00",
	"Zürich 東京 🙂", "e\u0301", "\u202eabc", "'\"`;--", "a:b", "\xc3\xa9", "_INBOX.x", "-", "0", strings.Repeat("x", 500), strings.Repeat("東", 166),
	"", " ", "line\nbreak", "carriage\rreturn", "nul\x00", "\x7f", "\u0085", "\xff\xfe", " outer ", strings.Repeat("x", 513), strings.Repeat("x", 1<<16),
}

func hostileIDs(f *fixture) {
	c := f.consume("a", 1, "k")
	taken := 0
	for _, id := range hostile {
		f.Logf("ID %.40q", id)
		err := f.client.Submit(f.within(), request("k", id))
		if err != nil {
			f.wantIs("Submit of a bad ID", err, broker.ErrInvalid)
			f.wantIs("Control of a bad ID", f.client.Control(f.within(), id, nil, nil), broker.ErrInvalid)
			if broker.CheckID(id) == nil {
				f.Errorf("%v, and CheckID allows it", err)
			}
			continue
		}
		taken++
		events := f.watch(f.client, id)
		m := f.next(c)
		f.wantID(m, id)
		c.Place(id)
		f.warm(id, c)
		f.check("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), []byte("p")))
		f.check("RejectFor", as[occamy.ReasonedRejecter](f, m).RejectFor(f.within(), "why"))
		if d := f.deadLetter(id); d.ID != id || d.Reason != "why" {
			f.Errorf("the dead letter is %+v", d)
		}
		f.check("Retry", f.client.Retry(f.within(), id))
		c.Free(1)
		m = f.next(c)
		f.wantID(m, id)
		want := occamy.Outcome{ID: id, Kind: "k", Status: occamy.Completed, Attempt: 1, Server: "a"}
		f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), want))
		f.ack(m)
		c.Free(1)
		f.wantOutcome(f.client, want)
		if o := f.lastEvent(events).Outcome; o.ID != id {
			f.Errorf("the watcher got the outcome of %q", o.ID)
		}
		c.Gone(id)
	}
	if taken < 20 {
		f.Errorf("only %d of %d IDs were taken", taken, len(hostile))
	}
	f.settled("k")
}

func hostileKinds(f *fixture) {
	var kinds []string
	for _, kind := range hostile {
		if broker.CheckKind(kind) == nil {
			kinds = append(kinds, kind)
			continue
		}
		f.wantIs(fmt.Sprintf("Submit of the kind %.40q", kind), f.client.Submit(f.within(), request(kind, "r1")), broker.ErrInvalid)
		f.wantIs(fmt.Sprintf("Optional of the kind %.40q", kind), f.client.Optional(f.within(), request(kind, "r1")), broker.ErrInvalid)
	}
	if len(kinds) < 20 {
		f.Fatalf("CheckKind allows only %q", kinds)
	}
	one := f.consume("one", 1, "a")
	all := f.consume("all", len(kinds), kinds...)
	for i, kind := range kinds {
		f.submit(kind, fmt.Sprintf("r%d", i))
		m := f.next(all)
		f.wantHeaders(m.Headers(), occamy.Headers{f.keys.Kind: kind})
		if q := f.queue(kind); q.Unacked != 1 || q.Ready != 0 {
			f.Errorf("the queue of %q is %+v, want one message that is held", kind, q)
		}
		f.ack(m)
	}
	f.quiet(one, 100*time.Millisecond)
}

func hostileHeaders(f *fixture) {
	c := f.consume("a", 1, "k")
	type own struct{ A int }
	for i, value := range []any{
		"text", "", "a: b, c", "ü", true, 1, int64(math.MinInt64), uint64(math.MaxUint64), 0.1, float32(0.1),
		nil, []byte("x"), []string{"a"}, []any{1}, map[string]any{"a": 1}, own{1}, &own{1}, func() {}, make(chan int),
		time.Now(), time.Second, errors.New("x"), complex(1, 2), "two\r\nX-Injected: lines", " outer ", "\xff", "nul\x00", math.NaN(),
	} {
		id := fmt.Sprintf("r%d", i)
		err := f.client.Submit(f.within(), broker.Request{Kind: "k", ID: id, Headers: occamy.Headers{"X-Odd": value}})
		if err != nil {
			f.wantIs(fmt.Sprintf("Submit of a header value of type %T", value), err, broker.ErrInvalid)
			if _, bad := broker.HeaderText(value); bad == nil {
				f.Errorf("%v, and HeaderText takes it", err)
			}
			continue
		}
		m := f.next(c)
		f.wantID(m, id)
		text, err := broker.HeaderText(value)
		if err != nil {
			f.Errorf("a value of type %T was taken: %v", value, err)
		}
		if got, err := broker.HeaderText(m.Headers()["X-Odd"]); err != nil || got != text {
			f.Errorf("the header %#v came as %#v", value, m.Headers()["X-Odd"])
		}
		if _, ok := m.Headers()["X-Injected"]; ok {
			f.Error("a line break in a value made a header of its own")
		}
		f.ack(m)
		c.Free(1)
	}
	for _, key := range []string{"", "a b", "a:b", "a\nb", "ü", strings.Repeat("x", 1000)} {
		err := f.client.Submit(f.within(), broker.Request{Kind: "k", ID: "key", Headers: occamy.Headers{key: "v"}})
		f.wantIs(fmt.Sprintf("Submit of the header key %.20q", key), err, broker.ErrInvalid)
	}
	f.wantIs("Control with a bad header", f.client.Control(f.within(), "t", occamy.Headers{"X": []int{}}, nil), broker.ErrInvalid)
	f.wantIs("Command with a bad header", f.client.Command(f.within(), occamy.Headers{"X": []int{}}), broker.ErrInvalid)
	f.wantIs("Optional with a bad header", f.client.Optional(f.within(), broker.Request{Kind: "k", Headers: occamy.Headers{"X": []int{}}}), broker.ErrInvalid)
	f.settled("k")
}

func otherKeys(f *fixture) {
	c := f.consume("a", 1, "k")
	f.submit("k", "r1")
	m := f.next(c)
	f.wantHeaders(m.Headers(), occamy.Headers{"K": "k", "R": "r1"})
	f.ack(m)
	c.Place("r1")
	f.warm("r1", c)
	f.check("Control", f.client.Control(f.within(), "r1", nil, []byte("m")))
	f.wantHeaders(f.nextAfterWarm(c).Headers(), occamy.Headers{"T": "r1"})
	f.check("Optional", f.client.Optional(f.within(), request("k", "o1")))
	f.wantHeaders(f.nextControl(c).Headers(), occamy.Headers{"K": "k", "R": "o1"})
	f.check("Command", f.client.Command(f.within(), occamy.Headers{"C": "drain", "S": "a"}))
	f.wantHeaders(f.nextControl(c).Headers(), occamy.Headers{"C": "drain", "S": "a"})
}

func tooLarge(f *fixture) {
	c := f.consume("a", 1, "k")
	large := make([]byte, 80<<10)
	f.wantIs("Submit", f.client.Submit(f.within(), broker.Request{Kind: "k", ID: "large", Body: large}), occamy.ErrTooLarge)
	f.submit("k", "r1")
	m := f.next(c)
	f.wantID(m, "r1")
	o := occamy.Outcome{ID: "r1", Kind: "k", Status: occamy.Completed, Result: large, Attempt: 1, Server: "a"}
	f.wantIs("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), o), occamy.ErrTooLarge)
	f.wantIs("PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(f.within(), large), occamy.ErrTooLarge)
	// The delivery is none the worse for it.
	o.Result = large[:16<<10]
	f.check("PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(f.within(), o))
	f.ack(m)
	f.wantOutcome(f.client, o)
}
