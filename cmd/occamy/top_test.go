package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
	live "github.com/occamy-go/occamy/dashboard/fleet"
)

func TestTopWantsATerminal(t *testing.T) {
	for _, args := range [][]string{{"top"}, {"top", "--json"}} {
		code, _, stderr := run{unconnected: true}.do(t, args...)
		if code != exitUsage || oneLineWithHint(stderr) != nil || !strings.Contains(stderr, "occamy status") {
			t.Errorf("%v: exit status %d, %q", args, code, stderr)
		}
	}
}

// topOf is top with a fleet and no broker.
func topOf(updates ...live.Update) *topModel {
	m := newTopModel(context.Background(), nil, &told{}, nil)
	for _, u := range updates {
		m.fleet.apply(u)
	}
	m.keepSelection()
	return m
}

func serverOf(id, state string, size int, slots ...live.Slot) live.ServerUpdate {
	s := live.ServerUpdate{ID: id, Slots: slots}
	s.State, s.Size = state, size
	return s
}

func slotOf(slot int, status occamy.Status, id, request string) live.Slot {
	return live.Slot{Slot: slot, Status: status, Phase: occamy.Running, ID: id, Kind: "route", Request: request}
}

func (m *topModel) plain() string { return ansi.Strip(m.View().Content) }

func TestTopShowsServersAndTasksWithTheirAssistants(t *testing.T) {
	stuck := slotOf(2, occamy.Internal, "r1/b", "r1")
	stuck.Phase = occamy.Stuck
	r1 := slotOf(0, occamy.Protected, "r1", "r1")
	r1.Fraction = 0.5
	m := topOf(live.Update{Full: true, Broker: "nats://x", Servers: []live.ServerUpdate{
		serverOf("one", "up", 4, r1, slotOf(1, occamy.Internal, "r1/a", "r1"), stuck),
		serverOf("two", "draining", 2, slotOf(0, occamy.External, "r1/c", "r1"), slotOf(1, occamy.External, "alone/x", "alone")),
	}, Queues: []broker.Queue{{Kind: "route", Ready: 7}}})
	got := m.plain()
	for _, want := range []string{
		"2 servers, 5/6 slots busy", "7 queued",
		"Pi!.", "3/4", "ee", "draining",
		"P r1 ", "[#####-----]  50 %", "3 on 2", "e alone/x",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "r1/a") {
		t.Errorf("an assistant has a row of its own:\n%s", got)
	}

	m.fleet.apply(live.Update{Servers: []live.ServerUpdate{serverOf("one", "up", 4, live.Slot{Slot: 1, Status: occamy.Empty})}, Removed: []string{"two"}})
	if got := m.plain(); !strings.Contains(got, "P.!.") || !strings.Contains(got, "1 server,") || !strings.Contains(got, "1 on 1") {
		t.Errorf("after a change:\n%s", got)
	}
}

// largeFleet is a fleet that has no room on any terminal.
func largeFleet() live.Update {
	u := live.Update{Full: true, Broker: "nats://somewhere"}
	for i := range 100 {
		var slots []live.Slot
		for j := range 16 {
			slots = append(slots, slotOf(j, occamy.Protected, fmt.Sprintf("%d-%d-日本語-with-a-long-name", i, j), ""))
		}
		u.Servers = append(u.Servers, serverOf(fmt.Sprintf("server-%03d-of-a-large-fleet", i), "up", 16, slots...))
		u.Queues = append(u.Queues, broker.Queue{Kind: strings.Repeat("k", i+1), Ready: 1 << 40, Dead: i})
		u.Events = append(u.Events, live.Event{Type: live.Started, ID: strings.Repeat("x", 300), Server: "a"})
	}
	return u
}

func TestTopFitsAnyTerminal(t *testing.T) {
	for _, size := range []struct{ width, height int }{{80, 24}, {120, 50}, {40, 10}, {20, 5}, {5, 2}, {1, 1}} {
		for name, u := range map[string]live.Update{"many": largeFleet(), "none": {Full: true}} {
			m := topOf(u)
			m.Update(tea.WindowSizeMsg{Width: size.width, Height: size.height})
			for _, keys := range []string{"", "jjj", "?", "xd"} {
				for _, k := range keys {
					m.Update(tea.KeyPressMsg{Code: k, Text: string(k)})
				}
				lines := strings.Split(m.plain(), "\n")
				if len(lines) > size.height {
					t.Errorf("%v, %s, after %q: %d lines", size, name, keys, len(lines))
				}
				for _, line := range lines {
					if w := ansi.StringWidth(line); w > size.width {
						t.Errorf("%v, %s, after %q: %d columns: %q", size, name, keys, w, line)
					}
				}
			}
		}
	}
}

func TestTopShowsTheQueuesWithSomethingInThemFirst(t *testing.T) {
	u := live.Update{Full: true}
	for i := range 20 {
		u.Queues = append(u.Queues, broker.Queue{Kind: fmt.Sprintf("kind%d", i), Unacked: 1})
	}
	u.Queues[12].Dead = 3
	u.Queues[17].Ready = 42
	got := topOf(u).plain()
	if !regexp.MustCompile(`(?m)QUEUE +READY +UNACKED +DEAD  and 18 more\n  kind17 +42 +1 +0\n  kind12 +0 +1 +3\n\n`).MatchString(got) {
		t.Error(got)
	}
	u.Queues = u.Queues[:2]
	if got := topOf(u).plain(); !regexp.MustCompile(`DEAD\n  kind0 +0 +1 +0\n  kind1 +0 +1 +0\n\n`).MatchString(got) {
		t.Error(got)
	}
}

// What was asked for is cancelled, whatever has become of the rows meanwhile.
func TestTopCancelsWhatItAskedAbout(t *testing.T) {
	c := &told{}
	m := topOf(live.Update{Full: true, Servers: []live.ServerUpdate{
		serverOf("one", "up", 2, slotOf(0, occamy.Protected, "a", "a"), slotOf(1, occamy.Protected, "b", "b")),
	}})
	m.client = c
	m.Update(tea.KeyPressMsg{Code: 'c', Text: "c"})
	m.fleet.apply(live.Update{Servers: []live.ServerUpdate{serverOf("one", "up", 2, live.Slot{Slot: 0, Status: occamy.Empty})}})
	m.keepSelection()
	if got := m.plain(); !strings.Contains(got, "> P b") {
		t.Errorf("another task is not selected:\n%s", got)
	}
	_, cmd := m.Update(tea.KeyPressMsg{Code: 'y', Text: "y"})
	cmd()
	if got := strings.Join(c.did, ","); got != "cancel a" {
		t.Errorf("did %q", got)
	}
}

func TestTopShowsTheSelectedTaskHoweverMany(t *testing.T) {
	m := topOf(largeFleet())
	for range 40 {
		m.Update(tea.KeyPressMsg{Code: tea.KeyPgDown})
		if got := m.plain(); strings.Count(got, "> P") != 1 {
			t.Fatalf("the selected task is not shown once:\n%s", got)
		}
	}
}

var ownStyle = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestTopShowsHostileTextsAsText(t *testing.T) {
	const evil = "a\x1b]0;owned\x07\x1b[2J\r\n\u202e\u009b31m\x00"
	u := live.Update{Full: true, Broker: evil, Servers: []live.ServerUpdate{serverOf(evil, "up", 1, slotOf(0, occamy.Protected, evil, evil))},
		Queues: []broker.Queue{{Kind: evil}}}
	u.Servers[0].Slots[0].Kind = evil
	for _, e := range []live.EventType{live.Started, live.Joined} {
		u.Events = append(u.Events, live.Event{Type: e, ID: evil, Server: evil, Request: evil + "x", Cause: evil})
	}
	m := topOf(u)
	m.Update(tea.WindowSizeMsg{Width: 400, Height: 40})
	check := func(what string) {
		t.Helper()
		for _, r := range ownStyle.ReplaceAllString(m.View().Content, "") {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%s: %U reaches the terminal", what, r)
			}
		}
	}
	check("the fleet")
	for _, k := range "cd" {
		m.Update(tea.KeyPressMsg{Code: k, Text: string(k)})
		check("a question")
		m.ask = nil
	}
	m.Update(topDone{&topCommand{}, errors.New(evil)})
	check("an error")
}

// told notes what top's keys do.
type told struct{ did []string }

func (c *told) note(what, id string) error { c.did = append(c.did, what+" "+id); return nil }

func (c *told) Cancel(_ context.Context, id string) error { return c.note("cancel", id) }
func (c *told) Drain(_ context.Context, id string) error  { return c.note("drain", id) }
func (c *told) Resume(_ context.Context, id string) error { return c.note("resume", id) }

func TestTopAsksBeforeItDoesWhatAKeySays(t *testing.T) {
	for _, tt := range []struct{ keys, want string }{
		{"c", ""},
		{"cn", ""},
		{"cq", ""},
		{"cy", "cancel a1"},
		{"jcy", "cancel b\x1b2"},
		{"dy", "drain one"},
		{"\tjdy", "drain two"},
		{"\tjry", "resume two"},
		{"?cy", ""}, // c left the help
		{"cnry", "resume one"},
	} {
		t.Run(fmt.Sprintf("%q", tt.keys), func(t *testing.T) {
			c := &told{}
			m := topOf(live.Update{Full: true, Servers: []live.ServerUpdate{
				serverOf("one", "up", 1, slotOf(0, occamy.Protected, "a1", "")),
				serverOf("two", "up", 1, slotOf(0, occamy.Protected, "b\x1b2", "")),
			}})
			m.client = c
			m.keepSelection()
			for _, k := range tt.keys {
				_, cmd := m.Update(tea.KeyPressMsg{Code: k, Text: textOf(k)})
				if cmd != nil {
					m.Update(cmd())
				}
			}
			if got := strings.Join(c.did, ","); got != tt.want {
				t.Errorf("did %q, not %q", got, tt.want)
			}
		})
	}
}

func textOf(k rune) string {
	if k == '\t' {
		return ""
	}
	return string(k)
}

func TestTopSaysThatTheBrokerIsAway(t *testing.T) {
	m := topOf(live.Update{Full: true})
	m.ping = func(context.Context) error { return nil }
	m.Update(topReach{errors.New("away")})
	if got := m.plain(); !strings.Contains(got, "CUT OFF") {
		t.Error(got)
	}
	m.Update(topReach{})
	if got := m.plain(); strings.Contains(got, "CUT OFF") {
		t.Error(got)
	}
}

// tilCancelled is a task that runs until it is told to stop.
type tilCancelled struct{}

func (tilCancelled) Details() occamy.Details { return occamy.Details{} }
func (tilCancelled) Do(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestTopShowsARunningServerAndCancelsItsTask(t *testing.T) {
	for _, env := range [][]string{{"TERM=xterm-256color", "CLICOLOR_FORCE=1"}, {"TERM=xterm-256color", "NO_COLOR=1"}, {"TERM=vt100"}} {
		t.Run(strings.Join(env, " "), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			b := memory.New(memory.Options{})
			defer b.Close() // when nobody uses it any more
			var all sync.WaitGroup
			defer all.Wait()
			defer cancel()
			announcer := live.NewAnnouncer(b)
			s, err := occamy.New(occamy.Config{ID: "one", Slots: 2, Kinds: []string{"k"}, Monitors: announcer.Monitors(),
				Handler: occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) { return tilCancelled{}, nil })})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			view, err := live.Of(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []func() error{
				func() error { return s.Serve(ctx, b) },
				func() error { return announcer.Run(ctx, s) },
				func() error { return view.Run(ctx) },
			} {
				all.Go(func() {
					if err := f(); err != nil {
						t.Error(err)
					}
				})
			}
			c := client.New(b)
			if _, err := c.Submit(ctx, client.Request{Kind: "k", ID: "the-task"}); err != nil {
				t.Fatal(err)
			}

			keys, press := io.Pipe()
			screen := newOutput()
			typed := func(key string) {
				if _, err := io.WriteString(press, key); err != nil {
					t.Error(err)
				}
			}
			all.Go(func() {
				defer press.Close()
				screen.waitFor(ctx, "the-task")
				typed("c")
				screen.waitFor(ctx, "cancel \"the-task\"")
				typed("y")
				if o, err := c.Wait(ctx, "the-task", nil); o.Status != occamy.Cancelled {
					t.Errorf("outcome %+v, %v", o, err)
				}
				typed("q")
			})
			within, done := context.WithTimeout(ctx, time.Minute)
			defer done()
			err = runTop(within, newTopModel(within, view, c, reach(b)), keys, screen, tea.WithWindowSize(80, 24), tea.WithEnvironment(env))
			if err != nil || within.Err() != nil {
				t.Errorf("%v, %v", err, within.Err())
			}
			out := screen.String()
			if colour := regexp.MustCompile(`\x1b\[(\d+;)*(3[0-7]|38;.*)m`).MatchString(out); colour != (env[len(env)-1] == "CLICOLOR_FORCE=1") {
				t.Errorf("colour: %v", colour)
			}
			if !strings.Contains(out, "\x1b[?1049l") {
				t.Error("the screen was not given back")
			}
		})
	}
}

// waitFor returns once text was written, or ctx has ended.
func (o *output) waitFor(ctx context.Context, text string) {
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.more:
		case <-ctx.Done():
			return
		}
	}
}

func TestProgressIsDrawnOverWhateverTheTerminalsWidth(t *testing.T) {
	var out bytes.Buffer
	columns := 80
	v := &progressView{w: &out, terminal: true, columns: func() int { return columns }, start: time.Now(), stop: func() {}}
	v.show([]byte(`{"fraction": 0.5, "best": 7542}`))
	if want := "\r\x1b[K     0s [#############-------------]  50 % best=7542"; out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
	out.Reset()
	columns = 30 // what took one line takes two
	v.show([]byte(`{"fraction": 1, "best": 7542}`))
	if want := "\r\x1b[K\x1b[A\x1b[K     0s [##########] 100 % b…"; out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
	out.Reset()
	v.end()
	if out.String() != "\r\x1b[K" {
		t.Errorf("%q is left", out.String())
	}
}
