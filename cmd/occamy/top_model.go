package main

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	live "github.com/occamy-go/occamy/dashboard/fleet"
)

// topView is what top wants of a fleet.View.
type topView interface {
	Since(since uint64) (live.Update, uint64)
	Wait(ctx context.Context, since uint64) error
}

// topClient is what top's keys do.
type topClient interface {
	Cancel(ctx context.Context, id string) error
	Drain(ctx context.Context, server string) error
	Resume(ctx context.Context, server string) error
}

// topModel is what top shows. bubbletea calls its methods one at a time.
type topModel struct {
	ctx    context.Context
	view   topView
	client topClient
	ping   func(context.Context) error // nil: it is not known whether the broker is reached

	fleet         topFleet
	version       uint64
	now           time.Time
	cut           bool // off from the broker
	width, height int

	onServers bool // the keys move the selection among servers, not tasks
	server    string
	task      topKey
	help      bool
	ask       *topCommand // waits for a yes
	said      string      // what became of the last command
}

// topCommand is something to do that is asked for first.
type topCommand struct {
	question, done string
	run            func(ctx context.Context) error
}

type (
	topUpdate struct {
		live.Update
		version uint64
	}
	topTick  time.Time
	topReach struct{ err error }
	topDone  struct {
		command *topCommand
		err     error
	}
)

func newTopModel(ctx context.Context, view topView, client topClient, ping func(context.Context) error) *topModel {
	return &topModel{ctx: ctx, view: view, client: client, ping: ping, now: time.Now(), width: 80, height: 24}
}

// Init implements tea.Model.
func (m *topModel) Init() tea.Cmd { return tea.Batch(m.look(0), m.tick(), m.reach(0)) }

// look waits for something newer than what is shown, after a pause.
func (m *topModel) look(pause time.Duration) tea.Cmd {
	version := m.version
	return func() tea.Msg {
		if !sleep(m.ctx, pause) {
			return nil
		}
		if version > 0 && m.view.Wait(m.ctx, version) != nil {
			return nil
		}
		u, v := m.view.Since(version)
		return topUpdate{u, v}
	}
}

// tick has ages grow.
func (m *topModel) tick() tea.Cmd {
	return func() tea.Msg {
		if !sleep(m.ctx, time.Second) {
			return nil
		}
		return topTick(time.Now())
	}
}

// reach finds out whether the broker is reached, after a pause.
func (m *topModel) reach(pause time.Duration) tea.Cmd {
	if m.ping == nil {
		return nil
	}
	return func() tea.Msg {
		if !sleep(m.ctx, pause) {
			return nil
		}
		ctx, cancel := context.WithTimeout(m.ctx, connectTimeout)
		defer cancel()
		return topReach{m.ping(ctx)}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Update implements tea.Model.
func (m *topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case topUpdate:
		m.fleet.apply(msg.Update)
		m.version, m.now = msg.version, time.Now()
		m.keepSelection()
		return m, m.look(topEvery)
	case topTick:
		m.now = time.Time(msg)
		return m, m.tick()
	case topReach:
		m.cut = msg.err != nil
		return m, m.reach(2 * time.Second)
	case topDone:
		m.said = msg.command.done
		if msg.err != nil {
			m.said = "failed: " + redactText(oneLine(msg.err))
		}
	case tea.KeyPressMsg:
		return m, m.key(msg.String())
	}
	return m, nil
}

func (m *topModel) key(key string) tea.Cmd {
	if key == "ctrl+c" {
		return tea.Quit
	}
	if c := m.ask; c != nil {
		m.ask = nil
		if key != "y" {
			m.said = "nothing was done"
			return nil
		}
		m.said = ""
		return func() tea.Msg {
			ctx, cancel := context.WithTimeout(m.ctx, callTimeout)
			defer cancel()
			return topDone{c, c.run(ctx)}
		}
	}
	m.said = ""
	if m.help {
		m.help = false
		return nil
	}
	switch key {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "tab", "shift+tab":
		m.onServers = !m.onServers
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-10)
	case "pgdown":
		m.move(10)
	case "home", "g":
		m.move(-1 << 30)
	case "end", "G":
		m.move(1 << 30)
	case "c":
		m.askCancel()
	case "d":
		m.askServer("drain", m.client.Drain)
	case "r":
		m.askServer("resume", m.client.Resume)
	}
	return nil
}

func (m *topModel) askCancel() {
	if m.task.id == "" {
		m.said = "there is no task with an ID to cancel"
		return
	}
	id := m.task.id
	m.ask = &topCommand{
		question: "cancel " + quote(id) + ", wherever it runs?",
		done:     "told all servers to cancel " + quote(id),
		run:      func(ctx context.Context) error { return m.client.Cancel(ctx, id) },
	}
}

func (m *topModel) askServer(verb string, do func(context.Context, string) error) {
	if m.server == "" {
		m.said = "there is no server to " + verb
		return
	}
	id := m.server
	m.ask = &topCommand{
		question: verb + " server " + quote(id) + "?",
		done:     "told " + quote(id) + " to " + verb,
		run:      func(ctx context.Context) error { return do(ctx, id) },
	}
}

// move selects another line.
func (m *topModel) move(by int) {
	if m.onServers {
		if rows := m.fleet.rows(); len(rows) > 0 {
			m.server = rows[bounded(m.serverIndex(rows)+by, len(rows))].ID
		}
		return
	}
	if tasks := m.fleet.tasks(); len(tasks) > 0 {
		m.task = tasks[bounded(m.taskIndex(tasks)+by, len(tasks))].key()
	}
}

// bounded is i within 0 to n-1.
func bounded(i, n int) int { return max(0, min(i, n-1)) }

// keepSelection selects something else where the selected is there no more. A
// question that was asked before stands: it names what it is about.
func (m *topModel) keepSelection() {
	rows, tasks := m.fleet.rows(), m.fleet.tasks()
	if m.serverIndex(rows) < 0 {
		m.server = ""
		if len(rows) > 0 {
			m.server = rows[0].ID
		}
	}
	if m.taskIndex(tasks) < 0 {
		m.task = topKey{}
		if len(tasks) > 0 {
			m.task = tasks[0].key()
		}
	}
}

// serverIndex returns -1 when the selected server is not among rows.
func (m *topModel) serverIndex(rows []*live.ServerUpdate) int {
	return slices.IndexFunc(rows, func(s *live.ServerUpdate) bool { return s.ID == m.server })
}

// taskIndex returns -1 when the selected task is not among tasks.
func (m *topModel) taskIndex(tasks []topTask) int {
	return slices.IndexFunc(tasks, func(t topTask) bool { return t.key() == m.task })
}
