package routing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Sender is how the tasks of a request reach each other; a *client.Client is
// one. Its methods are called from several goroutines, may block, and return
// soon after ctx ends, because the task waits for that before it ends itself.
type Sender interface {
	// Control sends a control message to the running tasks that bear an ID,
	// and returns an error that wraps broker.ErrNobody when there is none.
	Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error
	// Optional sends an optional request to all servers that know its kind.
	Optional(ctx context.Context, r broker.Request) error
	// Cancel ends what bears an ID on all servers: running tasks, and optional
	// requests that are set aside.
	Cancel(ctx context.Context, id string) error
}

// Headers of requests and of control messages that a user sends.
const (
	HeaderTimeLimit = "time-limit"
	HeaderTarget    = "target"
)

// Headers by which the tasks of a request talk to each other.
const (
	headerMaster  = "routing-master"  // of an optional request: whom to help
	headerUntil   = "routing-until"   // of an optional request: until when, RFC 3339
	headerMessage = "routing-message" // of a control message: one of those below
)

// What a control message between tasks says.
const (
	sayHello = "hello" // to the master: I have no tour of yours
	sayAlive = "alive" // to the master: are you there?
	sayTour  = "tour"  // either way: a better tour, in the body
)

// Bounds of what headers may say.
const (
	defaultLimit = 10 * time.Second
	maxLimit     = 24 * time.Hour
	maxID        = 500 // bytes
)

// sendTimeout is how long one message may take; lastTimeout is the same for the
// last one, which a slot waits for.
const (
	sendTimeout = 2 * time.Second
	lastTimeout = 50 * time.Millisecond
)

// errMessage is wrapped by errors about control messages.
var errMessage = errors.New("routing: unusable control message")

// assistantsID is the ID that all assistants of a task bear: one message
// reaches them all, wherever they are.
func assistantsID(master string) string { return master + "/assist" }

// text returns a header that is a string, and false when it is not there.
func text(h occamy.Headers, key string) (string, bool, error) {
	v, ok := h[key]
	if !ok {
		return "", false, nil
	}
	s, isString := v.(string)
	if !isString {
		return "", true, fmt.Errorf("%w: %s is a %T, not a string", occamy.ErrInvalidHeader, key, v)
	}
	return s, true, nil
}

// goals are what a user can ask of a search. Zero fields were not given.
type goals struct {
	limit  time.Duration
	target int
}

func parseGoals(h occamy.Headers) (goals, error) {
	var g goals
	s, ok, err := text(h, HeaderTimeLimit)
	if err != nil {
		return g, err
	}
	if ok {
		if g.limit, err = time.ParseDuration(s); err != nil || g.limit <= 0 || g.limit > maxLimit {
			return g, fmt.Errorf("%w: %s is %s, not a duration above 0 and up to %s, such as 10s",
				occamy.ErrInvalidHeader, HeaderTimeLimit, quote(s), maxLimit)
		}
	}
	if s, ok, err = text(h, HeaderTarget); err != nil {
		return g, err
	}
	if ok {
		if g.target, err = parseTarget(s); err != nil {
			return g, err
		}
	}
	return g, nil
}

// tourMessage is the body of sayTour. The length is not in it: whoever gets a
// tour measures it.
type tourMessage struct {
	Tour []int `json:"tour"`
}

func (in *Instance) encodeTour(f *found) ([]byte, error) {
	return json.Marshal(tourMessage{Tour: in.tour(f.order)})
}

// decodeTour believes nothing that body says.
func (in *Instance) decodeTour(body []byte) (*found, error) {
	// A number has nine digits at most; a comma follows it, perhaps a blank.
	if most := 100 + 12*in.Cities(); len(body) > most {
		return nil, fmt.Errorf("%w: %d bytes for a tour of %d cities", errMessage, len(body), in.Cities())
	}
	var m tourMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", errMessage, err)
	}
	order, err := in.order(m.Tour)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMessage, err)
	}
	return &found{in.length(order), order}, nil
}

// gap is how long to wait between two messages with a tour, so that a large
// instance does not fill the network.
func (in *Instance) gap() time.Duration {
	return 20*time.Millisecond + time.Duration(in.Cities())*10*time.Microsecond
}

// send sends one control message between tasks.
func send(ctx context.Context, to Sender, id, what string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return to.Control(ctx, id, occamy.Headers{headerMessage: what}, body)
}
