package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/occamy-go/occamy/broker"
	live "github.com/occamy-go/occamy/dashboard/fleet"
)

// View implements tea.Model.
func (m *topModel) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

// lines are what the terminal shows, none wider than it, and no more than it has.
func (m *topModel) lines() []string {
	if m.help {
		return m.fit(append(strings.Split(topHelp, "\n"), "", "any key goes back"))
	}
	rows, tasks := m.fleet.rows(), m.fleet.tasks()
	// 1 line at the top, 2 heads, 2 empty lines, 1 at the bottom.
	room := max(m.height-6, 3)
	queues := m.queueLines(room / 4)
	room = max(room-len(queues), 3)
	events := min(len(m.fleet.events), max(1, room/4, room-len(rows)-max(len(tasks), 1)))
	room -= events
	forServers := min(len(rows), max(1, room/2, room-max(len(tasks), 1)))
	forTasks := max(room-forServers, 1)

	lines := []string{m.summary()}
	lines = append(lines, m.serverLines(rows, forServers)...)
	lines = append(lines, "")
	lines = append(lines, queues...)
	lines = append(lines, m.taskLines(tasks, forTasks)...)
	for len(lines) < m.height-events-2 {
		lines = append(lines, "")
	}
	lines = append(lines, "")
	for _, e := range m.fleet.events[len(m.fleet.events)-events:] {
		lines = append(lines, dim(eventLine(e)))
	}
	return append(m.fit(lines[:min(len(lines), max(m.height-1, 0))]), m.fit([]string{m.bottom()})...)
}

func (m *topModel) fit(lines []string) []string {
	lines = lines[:min(len(lines), m.height)]
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "…")
	}
	return lines
}

// summary is the first line.
func (m *topModel) summary() string {
	t := m.fleet.totals()
	s := fmt.Sprintf("%d servers", t.servers)
	if t.servers == 1 {
		s = "1 server"
	}
	if t.gone > 0 {
		s += fmt.Sprintf(" (%d gone)", t.gone)
	}
	s += fmt.Sprintf(", %d/%d slots busy, %d waiting, %d backlog, %d queued, %d dead", t.busy, t.slots, t.waiting, t.backlog, t.ready, t.dead)
	if m.cut {
		return bold("CUT OFF FROM THE BROKER, trying; last seen: ") + s
	}
	if name := escape(m.fleet.broker); ansi.StringWidth(s)+ansi.StringWidth(name)+2 <= m.width {
		s += "  " + dim(name)
	}
	return bold("occamy ") + s
}

func (m *topModel) serverLines(rows []*live.ServerUpdate, room int) []string {
	const numbers = 7 + 5 + 8 + 10 // BUSY, WAIT, BACKLOG, STATE with the spaces before them
	name := longest(rows, func(s *live.ServerUpdate) string { return s.ID }, 6, max(6, (m.width-numbers)/3))
	picture := 5
	for _, s := range rows {
		picture = max(picture, len(s.Slots))
	}
	picture = min(picture, max(5, m.width-2-name-numbers-1))
	head := fmt.Sprintf("  %s %s %6s %4s %7s %s", pad("SERVER", name), pad("SLOTS", picture), "BUSY", "WAIT", "BACKLOG", "STATE")
	lines := []string{m.head(head, m.onServers)}
	if len(rows) == 0 {
		return append(lines, dim("  no server is seen; is 'occamy serve' running?"))
	}
	from := window(m.serverIndex(rows), len(rows), room)
	for i := from; i < min(from+room, len(rows)); i++ {
		s := rows[i]
		state := escape(s.State)
		if s.State != stateUp {
			state = bold(state)
		}
		line := fmt.Sprintf("%s%s %s %6s %4d %7d %s", mark(s.ID == m.server), pad(escape(s.ID), name), drawSlots(s.Slots, picture),
			fmt.Sprintf("%d/%d", busySlots(s.Slots), s.Size), s.Waiting+s.Held+s.Converting, s.Backlog, state)
		lines = append(lines, m.line(line, s.ID == m.server, m.onServers))
	}
	return lines
}

// queueLines are at most room lines, an empty one at their end; none where there
// is no queue or no room.
func (m *topModel) queueLines(room int) []string {
	queues := m.fleet.queues
	shown := min(len(queues), room-2)
	if shown <= 0 {
		return nil
	}
	if shown < len(queues) { // first those in which something is
		queues = slices.Clone(queues)
		slices.SortStableFunc(queues, func(a, b broker.Queue) int {
			return cmp.Or(cmp.Compare(b.Ready, a.Ready), cmp.Compare(b.Dead, a.Dead), cmp.Compare(b.Unacked, a.Unacked))
		})
	}
	kind := longest(queues, func(q broker.Queue) string { return q.Kind }, 5, 24)
	head := fmt.Sprintf("  %s %7s %7s %7s", pad("QUEUE", kind), "READY", "UNACKED", "DEAD")
	if more := len(queues) - shown; more > 0 {
		head += fmt.Sprintf("  and %d more", more)
	}
	lines := []string{dim(head)}
	for _, q := range queues[:shown] {
		lines = append(lines, fmt.Sprintf("  %s %7d %7d %7d", pad(escape(q.Kind), kind), q.Ready, q.Unacked, q.Dead))
	}
	return append(lines, "")
}

const topBar = 10

func (m *topModel) taskLines(tasks []topTask, room int) []string {
	id := longest(tasks, func(t topTask) string { return t.ID }, 4, max(4, m.width-62))
	kind := longest(tasks, func(t topTask) string { return t.Kind }, 4, 10)
	head := fmt.Sprintf("    %s %s %7s %s %s %s", pad("TASK", id), pad("KIND", kind), "AGE", pad("PROGRESS", topBar+8), pad("HELP", 9), "SERVER")
	lines := []string{m.head(head, !m.onServers)}
	if len(tasks) == 0 {
		return append(lines, dim("  no task runs"))
	}
	from := window(m.taskIndex(tasks), len(tasks), room)
	for i := from; i < min(from+room, len(tasks)); i++ {
		t := tasks[i]
		help := "-"
		if t.helpers > 0 {
			help = fmt.Sprintf("%d on %d", t.helpers, t.on)
		}
		line := fmt.Sprintf("%s%s %s %s %7s %s %s ", mark(t.key() == m.task), drawSlot(t.Slot), pad(escape(t.ID), id),
			pad(escape(t.Kind), kind), m.age(t.Since), pad(smallBar(t.Fraction), topBar+8), pad(help, 9))
		slot := fmt.Sprintf("/%d", t.Slot.Slot)
		line += ansi.Truncate(escape(t.Server), max(m.width-ansi.StringWidth(line)-len(slot), 1), "…") + slot
		lines = append(lines, m.line(line, t.key() == m.task, !m.onServers))
	}
	return lines
}

func (m *topModel) head(s string, active bool) string {
	if active {
		return bold(s)
	}
	return dim(s)
}

// line shows a selected line so that it is seen without colour too: by its mark.
func (m *topModel) line(s string, selected, active bool) string {
	if selected && active {
		return bold(s)
	}
	return s
}

func mark(selected bool) string {
	if selected {
		return "> "
	}
	return "  "
}

// bottom is the last line: a question, what became of a command, or the keys.
func (m *topModel) bottom() string {
	switch {
	case m.ask != nil:
		return bold(ansi.Truncate(m.ask.question, max(m.width-17, 10), "…") + " y: yes, else: no")
	case m.said != "":
		return bold(escape(m.said))
	case m.onServers:
		return dim("j/k select  tab tasks  d drain  r resume  c cancel task  ? help  q leave")
	default:
		return dim("j/k select  tab servers  c cancel  d drain  r resume server  ? help  q leave")
	}
}

const topHelp = `occamy top

SLOTS   .  empty
        P  protected: a request
        i  internal: helps a request
        e  external: help that was asked of all servers
        s  stopping          !  stuck: told to stop, and has not
WAIT    requests that are at the server without a slot
BACKLOG optional requests that are set aside until a slot is spare
READY   requests in a queue; UNACKED: with a server; DEAD: dead letters
HELP    slots that assist the task, and on how many servers

up down j k   select a line
pgup pgdn     ten lines; home and end: the first and the last
tab           servers or tasks
c             cancel the selected task, wherever it runs
d  r          drain, resume the selected server
q  ctrl+c     leave; what runs goes on`

// window returns the first of n lines to show in room for some, so that the
// selected one is among them.
func window(selected, n, room int) int { return bounded(selected-room/2, max(n-room+1, 1)) }

// longest is how wide a column is.
func longest[T any](rows []T, text func(T) string, least, most int) int {
	width := least
	for _, r := range rows {
		width = max(width, ansi.StringWidth(escape(text(r))))
	}
	return min(width, most)
}

// pad makes s as wide as a column.
func pad(s string, width int) string {
	s = ansi.Truncate(s, width, "…")
	return s + strings.Repeat(" ", max(width-ansi.StringWidth(s), 0))
}

func drawSlots(slots []live.Slot, width int) string {
	var b strings.Builder
	for i, s := range slots {
		if i == width-1 && len(slots) > width {
			b.WriteString("…")
			break
		}
		b.WriteString(drawSlot(s))
	}
	return b.String() + strings.Repeat(" ", max(width-len(slots), 0))
}

// drawSlot is the sign of picture, in colours of the terminal's own palette that
// do without telling red from green.
func drawSlot(s live.Slot) string {
	sign := sign(s.Status, s.Phase)
	switch sign {
	case 'P':
		return styled("1;34", string(sign))
	case 'i':
		return styled("36", string(sign))
	case 'e':
		return styled("35", string(sign))
	case 's':
		return styled("33", string(sign))
	case '!':
		return styled("1;7", string(sign))
	default:
		return styled("2", string(sign))
	}
}

func smallBar(fraction float64) string {
	if fraction <= 0 {
		return "-"
	}
	return strings.TrimRight(bar(fraction, topBar), " ")
}

// age is how long ago something was, "-" where that is unknown.
func (m *topModel) age(since int64) string {
	if since == 0 {
		return "-"
	}
	return age(m.now.Sub(time.UnixMilli(since)))
}

// age is a duration in at most seven characters.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

func eventLine(e live.Event) string {
	line := "  " + time.UnixMilli(e.Time).Format(time.TimeOnly) + " " + pad(string(e.Type), 9) + " "
	switch e.Type {
	case live.Joined, live.Gone, live.Draining, live.Resumed:
		return line + escape(e.Server)
	}
	if e.Status != "" {
		line += pad(string(e.Status), 9) + " "
	}
	line += named(e.ID)
	if e.Request != "" && e.Request != e.ID && !strings.HasPrefix(e.ID, e.Request+"/") {
		line += " for " + named(e.Request)
	}
	if e.Cause != "" {
		line += ", " + escape(string(e.Cause))
	}
	if e.Took > 0 {
		line += " after " + (time.Duration(e.Took) * time.Millisecond).String()
	}
	return line + " on " + escape(e.Server)
}

// named is an ID in a sentence: in quotation marks where its end is unclear.
func named(id string) string {
	if strings.ContainsAny(id, ` ,"`) {
		return quote(id)
	}
	return escape(id)
}

// styled puts text into a style. The writer takes it away where there are no
// colours.
func styled(style, text string) string { return "\x1b[" + style + "m" + text + "\x1b[m" }

func bold(s string) string { return styled("1", strings.ReplaceAll(s, "\x1b[m", "\x1b[m\x1b[1m")) }
func dim(s string) string  { return styled("2", s) }
