package occamy_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

func TestR19_OneErrorListsEveryProblem(t *testing.T) {
	_, err := occamy.New(occamy.Config{
		Kinds:           []string{"a", "", "a"},
		Slots:           -1,
		Headroom:        -1,
		KillTimeout:     -1,
		SettleTimeout:   -1,
		MaxCancelled:    -1,
		MaxBacklogBytes: -1,
		InboxSize:       -1,
		Headers:         occamy.HeaderKeys{Kind: "same", TaskID: "same"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Handler", "Kinds", "Slots", "Headroom", "KillTimeout", "SettleTimeout",
		"MaxCancelled", "MaxBacklogBytes", "InboxSize", "Headers.Kind", "Headers.TaskID",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %s:\n%v", want, err)
		}
	}
}

func TestR19_EachProblemIsFound(t *testing.T) {
	handler := occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) { return nil, nil })
	good := occamy.Config{Handler: handler, Kinds: []string{kind}, Slots: 2}
	if _, err := occamy.New(good); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		spoil func(*occamy.Config)
		want  string
	}{
		"no handler":                  {func(c *occamy.Config) { c.Handler = nil }, "Handler"},
		"no kinds":                    {func(c *occamy.Config) { c.Kinds = nil }, "Kinds"},
		"an empty mux":                {func(c *occamy.Config) { c.Kinds, c.Handler = nil, &occamy.Mux{} }, "Kinds"},
		"an empty kind":               {func(c *occamy.Config) { c.Kinds = []string{""} }, "Kinds"},
		"a kind twice":                {func(c *occamy.Config) { c.Kinds = []string{"a", "a"} }, "Kinds"},
		"negative slots":              {func(c *occamy.Config) { c.Slots = -1 }, "Slots"},
		"mistyped slots":              {func(c *occamy.Config) { c.Slots = 1 << 30 }, "Slots"},
		"headroom = slots":            {func(c *occamy.Config) { c.Headroom = 2 }, "Headroom"},
		"max headroom = slots":        {func(c *occamy.Config) { c.MaxHeadroom = 2 }, "MaxHeadroom"},
		"max headroom below headroom": {func(c *occamy.Config) { c.Headroom, c.MaxHeadroom = 1, -1 }, "MaxHeadroom"},
		"headroom negative":           {func(c *occamy.Config) { c.Headroom = -1 }, "Headroom"},
		"kill timeout":                {func(c *occamy.Config) { c.KillTimeout = -time.Second }, "KillTimeout"},
		"settle timeout":              {func(c *occamy.Config) { c.SettleTimeout = -time.Second }, "SettleTimeout"},
		"cancelled IDs":               {func(c *occamy.Config) { c.MaxCancelled = -1 }, "MaxCancelled"},
		"backlog bytes":               {func(c *occamy.Config) { c.MaxBacklogBytes = -1 }, "MaxBacklogBytes"},
		"inbox":                       {func(c *occamy.Config) { c.InboxSize = -1 }, "InboxSize"},
		"equal keys":                  {func(c *occamy.Config) { c.Headers.Server = "Occamy-Kind" }, "Headers.Server"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tt.spoil(&cfg)
			s, err := occamy.New(cfg)
			if err == nil || s != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New gave %v, %v; want an error about %s", s, err, tt.want)
			}
		})
	}
}

// The largest duration stands for no limit, and is not added to anything.
func TestR19_TheLargestDurationsAreTaken(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	inBubble(t, 2, func(f *fixture) {
		f.request(newTask("first"))
		after(time.Second)
		r := newOwner("r", 0)
		m := f.request(r)
		m.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { return ctx.Err() }
		f.slots()
		r.finish <- nil
		f.wantFate(m, occamytest.Acked)
		slow := newSlow("slow", time.Minute)
		f.request(slow)
		f.slots()
		ended := f.goShutdown(time.Second)
		after(2 * time.Second)
		select {
		case err := <-ended:
			f.Errorf("Shutdown did not wait for a task that is to stop: %v", err)
		default:
			if err := <-ended; err != nil {
				f.Error(err)
			}
		}
	}, func(c *occamy.Config) {
		for _, d := range []*time.Duration{
			&c.KillTimeout, &c.SettleTimeout, &c.HandlerTimeout, &c.ExpandTimeout, &c.RefillDelay,
			&c.ExpansionPeriod, &c.CancelMemory, &c.HeadroomMemory,
		} {
			*d = longest
		}
	})
}

func TestR19_ZeroValuesAreUseful(t *testing.T) {
	mux := &occamy.Mux{}
	mux.AddFunc("b", func(context.Context, occamy.Request) (occamy.Task, error) { return nil, nil })
	mux.AddFunc("a", func(context.Context, occamy.Request) (occamy.Task, error) { return nil, nil })
	s, err := occamy.New(occamy.Config{Handler: mux})
	if err != nil {
		t.Fatal(err)
	}
	i := s.Info()
	if i.ID == "" || i.Slots < 1 || strings.Join(i.Kinds, " ") != "a b" || i.Keys != occamy.DefaultHeaderKeys() {
		t.Errorf("info %+v", i)
	}
	other, err := occamy.New(occamy.Config{Handler: mux})
	if err != nil {
		t.Fatal(err)
	}
	if other.Info().ID == i.ID {
		t.Errorf("two servers are both %q", i.ID)
	}
}

func TestMux(t *testing.T) {
	mustPanic := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		f()
	}
	h := func(context.Context, occamy.Request) (occamy.Task, error) { return newTask("a"), nil }
	var m occamy.Mux
	if len(m.Kinds()) != 0 {
		t.Error("the zero value has kinds")
	}
	m.AddFunc("a", h)
	mustPanic("twice", func() { m.AddFunc("a", h) })
	mustPanic("empty kind", func() { m.AddFunc("", h) })
	mustPanic("nil function", func() { m.AddFunc("b", nil) })
	mustPanic("nil handler", func() { m.Add("b", nil) })
	if task, err := m.Handle(context.Background(), occamy.Request{Kind: "a"}); task == nil || err != nil {
		t.Errorf("Handle: %v, %v", task, err)
	}
}
