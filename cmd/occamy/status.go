package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// fleet is what status prints with --json. Broker has no secrets in it.
type fleet struct {
	Broker  string            `json:"broker"`
	Servers []occamy.Snapshot `json:"servers"`
	Queues  []broker.Queue    `json:"queues"`
}

func (a *app) statusVerb() *cobra.Command {
	wait := answerTime
	var tasks bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the broker, the servers and the queues",
		Long: `Status shows which broker it is, the servers that answer it, and how deep the
queue of each kind is.

Servers:
  SERVER     its name, which drain and resume take
  SLOTS      one sign for each slot: . empty, P protected (a request), i internal
             (helps a request), e external (help that was asked of all servers),
             s stopping, ! stuck (it was told to stop and has not)
  BUSY       slots in use, of how many
  WAITING    requests that are here and not in a slot yet
  BACKLOG    optional requests set aside until a slot is spare
  PREEMPTED  tasks stopped for a request, since it started
  KINDS      the kinds of requests that it takes; "draining" behind them when it
             takes none

With --json it prints {"broker","servers","queues"}: of each server all that
occamy.Snapshot has, its slots with their tasks included, times in RFC 3339 and
durations ("…_ns") in nanoseconds; of each queue "kind", "ready", "unacked" and
"dead". 'occamy top' shows the fleet live.

Queues, one for each kind:
  READY      requests that no server has taken
  UNACKED    requests that are with a server
  DEAD       dead letters: rejected for good, or delivered too often; 'occamy
             dead list' shows them`,
		Args: takes(),
	}
	cmd.Flags().DurationVar(&wait, "answer-within", wait, "how long servers have to answer, a `DURATION`")
	cmd.Flags().BoolVar(&tasks, "tasks", false, "list the tasks too")
	check := func([]string) error {
		if wait <= 0 {
			return usage("--answer-within "+wait.String()+" is not above zero", "for instance 1s")
		}
		return nil
	}
	return a.clientVerb(cmd, verb{check: check, do: func(ctx context.Context, c session, _ []string) error {
		servers, err := c.Servers(ctx, wait)
		if err != nil {
			return err
		}
		queues, err := c.Queues(ctx)
		if err != nil {
			return err
		}
		f := fleet{Broker: c.broker.Name(), Servers: append([]occamy.Snapshot{}, servers...), Queues: append([]broker.Queue{}, queues...)}
		if a.json {
			return a.printJSON(f)
		}
		return a.showFleet(f, tasks, time.Now())
	}})
}

func (a *app) showFleet(f fleet, tasks bool, now time.Time) error {
	if err := a.say("broker %s%s", f.Broker, kindOf(f.Broker)); err != nil {
		return err
	}
	if len(f.Servers) == 0 {
		if err := a.say("no server answers"); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if len(f.Servers) > 0 {
		fmt.Fprintln(w, "SERVER\tSLOTS\tBUSY\tWAITING\tBACKLOG\tPREEMPTED\tKINDS\t")
		for _, s := range f.Servers {
			state := ""
			if s.Draining {
				state = "draining"
			}
			fmt.Fprintf(w, "%s\t%s\t%d/%d\t%d\t%d\t%d\t%s\t%s\n", escape(s.Server), picture(s.Slots), busy(s.Slots), len(s.Slots),
				s.Waiting+s.Held+s.Converting, s.Backlog, s.Preemptions, escape(strings.Join(s.Kinds, ",")), state)
		}
	}
	if tasks {
		fmt.Fprintln(w, "\nTASK\tKIND\tSTATUS\tPHASE\tFOR\tATTEMPT\tOWNER\tSERVER")
		for _, s := range f.Servers {
			for _, slot := range s.Slots {
				if slot.Status == occamy.Empty {
					continue
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s/%d\n", escape(slot.ID), escape(slot.Kind), slot.Status, slot.Phase,
					now.Sub(slot.Since).Round(time.Second), slot.Attempt, escape(slot.Owner), escape(s.Server), slot.Slot)
			}
		}
	}
	if len(f.Queues) > 0 {
		fmt.Fprintln(w, "\nQUEUE\tREADY\tUNACKED\tDEAD")
		for _, q := range f.Queues {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", escape(q.Kind), q.Ready, q.Unacked, q.Dead)
		}
	} else {
		fmt.Fprintln(w, "no queue: nothing was submitted yet, and no server was here")
	}
	if len(f.Servers) > 0 {
		fmt.Fprintln(w, "\n"+legend)
	}
	return w.Flush()
}

// legend says what the signs of picture mean.
const legend = "SLOTS: . empty, P protected, i internal, e external, s stopping, ! stuck; see 'occamy status --help'"

// kindOf is what kind of broker an address leads to, for people.
func kindOf(address string) string {
	kind, err := checkAddress(address)
	if err != nil {
		return ""
	}
	return " (" + kind.name + ")"
}

func busy(slots []occamy.SlotInfo) int {
	n := 0
	for _, s := range slots {
		if s.Status != occamy.Empty {
			n++
		}
	}
	return n
}

// pictureSlots is how many slots a picture shows at most.
const pictureSlots = 64

// picture draws the sign of each slot.
func picture(slots []occamy.SlotInfo) string {
	var b strings.Builder
	for i, s := range slots {
		if i == pictureSlots {
			b.WriteString("…")
			break
		}
		b.WriteRune(sign(s.Status, s.Phase))
	}
	return b.String()
}

// sign is one character for a slot: P protected, i internal, e external, s
// stopping, ! stuck, . empty.
func sign(status occamy.Status, phase occamy.Phase) rune {
	switch {
	case phase == occamy.Stuck:
		return '!'
	case phase == occamy.Stopping:
		return 's'
	case status == occamy.Protected:
		return 'P'
	case status == occamy.Internal:
		return 'i'
	case status == occamy.External:
		return 'e'
	default:
		return '.'
	}
}
