package occamy

import (
	"fmt"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// HandleControl takes a control message and returns at once. With the command
// header it is a command; else, with the task ID header, it is for the running
// tasks that bear the ID; without either it is an optional request. Messages
// are never dead-lettered: one that is bad is recorded and dropped.
func (s *Server) HandleControl(m Message) {
	h, keys := m.Headers(), &s.cfg.Headers
	r := headerReader{headers: h, left: len(h)}
	id, command := r.text(keys.TaskID), r.text(keys.Command)
	err := r.err
	switch {
	case err != nil:
	case command != "":
		err = s.command(command, id, &r)
	case id == "":
		s.optional.add(s.newOptional(m))
		return
	case s.cfg.MaxBody >= 0 && len(m.Body()) > s.cfg.MaxBody:
		err = fmt.Errorf("%w: %d bytes, more than the %d that this server takes", ErrInvalidBody, len(m.Body()), s.cfg.MaxBody)
	default:
		s.deliver(id, m)
	}
	if err != nil {
		s.recordError(&TaskError{ID: id, Status: Empty, Err: err})
	}
	s.ackControl(m)
}

func (s *Server) command(command, id string, r *headerReader) error {
	keys := &s.cfg.Headers
	switch command {
	case CommandCancel:
		if id == "" {
			return fmt.Errorf("%w: %s: want the ID to cancel", ErrInvalidHeader, keys.TaskID)
		}
		b := s.batch(slots.Cancel, nil)
		b.event.ID = id
		s.step(b)
		return nil
	case CommandDrain, CommandResume:
		server := r.text(keys.Server)
		switch {
		case r.err != nil:
			return r.err
		case server == "":
			return fmt.Errorf("%w: %s: want the ID of the server to %s", ErrInvalidHeader, keys.Server, command)
		case server != s.cfg.ID:
		case command == CommandDrain:
			s.Drain()
		default:
			s.Resume()
		}
		return nil
	}
	return fmt.Errorf("%w: %s is %q: want cancel, drain or resume", ErrInvalidHeader, keys.Command, command)
}

// deliver puts a message into the inboxes of the tasks that bear the ID.
func (s *Server) deliver(id string, m Message) {
	var room [8]slots.Ref
	var full []*job
	var start [8]*job
	starts := start[:0]
	s.mu.Lock()
	for _, r := range s.table.Bearers(id, room[:0]) {
		j := s.jobs[r.Index()]
		switch {
		case j.controller == nil:
		case len(j.inbox) >= s.cfg.InboxSize:
			full = append(full, j)
			s.inboxDrops++
		default:
			j.inbox = append(j.inbox, m)
			if j.doing && !j.pumping {
				j.pumping = true
				starts = append(starts, j)
			}
		}
	}
	s.mu.Unlock()
	for _, j := range starts {
		s.launch(j, (*job).pump)
	}
	for _, j := range full {
		s.recordError(j.errorOf(j.status, fmt.Errorf("%w: its inbox holds %d already", ErrControlDropped, s.cfg.InboxSize)))
	}
}

// feed starts to hand over what came before Do began.
func (j *job) feed() {
	s := j.server
	s.mu.Lock()
	start := len(j.inbox) > 0 && !j.pumping
	j.pumping = j.pumping || start
	s.mu.Unlock()
	if start {
		s.launch(j, (*job).pump)
	}
}

// pump hands control messages to the task, one at a time, until there are none
// or the task was stopped.
func (j *job) pump() work {
	s := j.server
	done := false
	defer func() {
		if !done { // Control called runtime.Goexit: the rest is another's
			s.recordError(j.errorOf(j.status, newPanic("Control", nil)))
			s.launch(j, (*job).pump)
		}
	}()
	for {
		s.mu.Lock()
		if len(j.inbox) == 0 || j.ctx.Err() != nil {
			j.pumping = false
			s.unclaim(j)
			s.mu.Unlock()
			done = true
			return work{}
		}
		m := j.inbox[0]
		j.inbox[0] = nil
		j.inbox = j.inbox[1:]
		s.mu.Unlock()
		if err := j.control(m); err != nil {
			s.recordError(j.errorOf(j.status, err))
		}
	}
}

func (j *job) control(m Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanic("Control", v)
		}
	}()
	return sound("Control", j.controller.Control(j.userCtx(), m.Headers(), m.Body()))
}

// leftover records what the task did not live to see. The caller holds the lock.
func (j *job) leftover() {
	if n := len(j.inbox); n > 0 {
		j.inbox = nil
		j.server.recordError(j.errorOf(j.status, fmt.Errorf("%w: %d were left when the task ended", ErrControlDropped, n)))
	}
}

func (s *Server) newOptional(m Message) *job {
	j := s.newJob(m)
	j.arrived = time.Since(s.start)
	j.status, j.optional = External, true
	return j
}
