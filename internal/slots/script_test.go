package slots

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A script is a list of lines, each an op. The verbs are the events, in small
// letters, and what may be asked of a table:
//
//	table slots=2 headroom=1 max=1 fade=1m moves=1 period=1s refill=10ms memory=1m
//	      cancelled=8 backlog=4 bytes=100         a new table; the rest is zero
//	arrive R | converted R TASK [failed|requeue] | request R TASK (both at once)
//	convert-timeout R | optional O TASK [size=N] | made O [expandable] [failed]
//	finish J [failed|requeue] | stop-timeout J | timeout J | lost R | cancel ID
//	offers J [H|H:expandable|H:id=ID]... | expand-timeout J | ask-again J
//	expand | expansion-due | refill-due | drain | resume | shutdown | shutdown-now
//	wait DURATION                                 moves the clock, fires nothing
//	promise N | unpromise N | capacity | counts | headroom | slots | bearers ID | job J
//
// TASK is [id=ID] [priority=N] [expandable]; the ID is the job's name unless
// it is given, and id=- stands for none.
type op struct {
	verb   string
	name   string // of the job that it makes or is about; of cancel, the ID
	task   Task
	result Result
	size   int
	n      int
	offers []opOffer
	wait   time.Duration
	cfg    Config
}

type opOffer struct {
	name string
	task Task
}

// events are the verbs that are one event each.
var events = map[string]EventType{
	"arrive": Arrive, "converted": Converted, "convert-timeout": ConvertTimedOut,
	"optional": Optional, "made": Made, "finish": Finish, "stop-timeout": StopTimedOut,
	"timeout": TimedOut, "lost": Lost, "cancel": Cancel, "offers": Offered,
	"expand-timeout": ExpandTimedOut, "ask-again": AskAgain, "expand": ExpandNow, "expansion-due": ExpansionDue,
	"refill-due": RefillDue, "drain": Drain, "resume": Resume, "shutdown": Shutdown,
	"shutdown-now": ShutdownNow,
}

var (
	resultWords  = []string{"done", "failed", "requeue"}
	verdictWords = []string{"ack", "reject", "return", "forget"}
	statusWords  = []string{"empty", "protected", "internal", "external"}
	phaseWords   = []string{
		"gone", "converting", "held", "waiting", "pending", "backlog", "making", "running",
		"stopping", "stuck",
	}
	whyWords = []string{
		"none", "completed", "failure", "asked", "preempted", "owner-ended", "shutdown", "cancelled",
		"timeout", "lost-delivery", "handler-timeout", "no-slot", "no-room", "surplus", "draining",
		"duplicate", "replaced", "full",
	}
)

func (o op) event() Event {
	e := Event{Type: events[o.verb], Task: o.task, Result: o.result, Size: o.size}
	if o.verb == "cancel" {
		e.ID = o.name
	}
	for _, f := range o.offers {
		e.Offers = append(e.Offers, f.task)
	}
	return e
}

func (o op) String() string {
	words := []string{o.verb}
	add := func(format string, v ...any) { words = append(words, fmt.Sprintf(format, v...)) }
	if o.name != "" {
		add("%s", o.name)
	}
	switch o.verb {
	case "table":
		c := o.cfg
		add("slots=%d headroom=%d max=%d fade=%v moves=%d period=%v refill=%v", c.Slots, c.Headroom,
			c.MaxHeadroom, c.HeadroomMemory, c.RebalanceMoves, c.ExpansionPeriod, c.RefillDelay)
		add("memory=%v cancelled=%d backlog=%d bytes=%d", c.CancelMemory, c.MaxCancelled,
			c.MaxBacklog, c.MaxBacklogBytes)
	case "request", "converted", "optional":
		switch o.task.ID {
		case o.name:
		case "":
			add("id=-")
		default:
			add("id=%s", o.task.ID)
		}
		if o.task.Priority != 0 {
			add("priority=%d", o.task.Priority)
		}
	case "wait":
		add("%v", o.wait)
	case "promise", "unpromise":
		add("%d", o.n)
	case "offers":
		for _, f := range o.offers {
			w := f.name
			if f.task.Expandable {
				w += ":expandable"
			}
			if f.task.ID != f.name {
				w += ":id=" + f.task.ID
			}
			add("%s", w)
		}
	}
	if o.task.Expandable {
		add("expandable")
	}
	if o.size != 0 {
		add("size=%d", o.size)
	}
	if o.result != Done {
		add("%s", resultWords[o.result])
	}
	return strings.Join(words, " ")
}

// parseOp is the inverse of String.
func parseOp(line string) (op, error) {
	words := strings.Fields(line)
	o := op{verb: words[0]}
	words = words[1:]
	if _, isEvent := events[o.verb]; isEvent || o.verb == "request" || o.verb == "bearers" || o.verb == "job" {
		if len(words) > 0 {
			o.name, words = words[0], words[1:]
		}
	}
	switch o.verb {
	case "request", "converted", "optional":
		o.task.ID = o.name
	case "wait":
		d, err := time.ParseDuration(strings.Join(words, ""))
		o.wait = d
		return o, err
	case "promise", "unpromise":
		n, err := strconv.Atoi(strings.Join(words, ""))
		o.n = n
		return o, err
	case "offers":
		for _, w := range words {
			parts := strings.Split(w, ":")
			f := opOffer{parts[0], Task{ID: parts[0]}}
			for _, p := range parts[1:] {
				if id, ok := strings.CutPrefix(p, "id="); ok {
					f.task.ID = id
				} else {
					f.task.Expandable = true
				}
			}
			o.offers = append(o.offers, f)
		}
		return o, nil
	}
	for _, w := range words {
		if err := o.option(w); err != nil {
			return o, fmt.Errorf("%s: %w", line, err)
		}
	}
	return o, nil
}

func (o *op) option(word string) error {
	switch word {
	case "expandable":
		o.task.Expandable = true
		return nil
	case "failed":
		o.result = Failed
		return nil
	case "requeue":
		o.result = Requeue
		return nil
	}
	key, value, _ := strings.Cut(word, "=")
	numbers := map[string]*int{
		"slots": &o.cfg.Slots, "headroom": &o.cfg.Headroom, "max": &o.cfg.MaxHeadroom, "moves": &o.cfg.RebalanceMoves,
		"cancelled": &o.cfg.MaxCancelled, "backlog": &o.cfg.MaxBacklog, "bytes": &o.cfg.MaxBacklogBytes,
		"priority": &o.task.Priority, "size": &o.size,
	}
	times := map[string]*time.Duration{
		"period": &o.cfg.ExpansionPeriod, "refill": &o.cfg.RefillDelay, "memory": &o.cfg.CancelMemory,
		"fade": &o.cfg.HeadroomMemory,
	}
	var err error
	switch {
	case numbers[key] != nil:
		*numbers[key], err = strconv.Atoi(value)
	case times[key] != nil:
		*times[key], err = time.ParseDuration(value)
	case key == "id":
		o.task.ID = strings.TrimPrefix(value, "-")
	default:
		err = fmt.Errorf("unknown word %q", word)
	}
	return err
}
