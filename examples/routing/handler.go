package routing

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
)

// Kind is the kind under which the occamy command knows this handler.
const Kind = "route"

// NewHandler returns a handler that makes tasks from requests, and assistants
// from the optional requests that the tasks send to other servers. The tasks
// reach each other through sender; without one (nil) a task works alone and
// does not expand. The handler may be added under any kind, the same on all
// servers.
//
// An instance that cannot be read is an error that wraps [ErrInstance], a
// header that cannot be used one that wraps occamy.ErrInvalidHeader.
func NewHandler(sender Sender) occamy.Handler { return handler{sender} }

type handler struct{ sender Sender }

func (h handler) Handle(_ context.Context, r occamy.Request) (occamy.Task, error) {
	master, assists, err := text(r.Headers, headerMaster)
	if err != nil {
		return nil, err
	}
	if assists {
		return h.assistant(r, master)
	}
	want, err := parseGoals(r.Headers)
	if err != nil {
		return nil, err
	}
	if want.limit == 0 {
		want.limit = defaultLimit
	}
	in, err := Parse(r.Body)
	if err != nil {
		return nil, err
	}
	return newMaster(h.sender, r, in, want), nil
}

func (h handler) assistant(r occamy.Request, master string) (occamy.Task, error) {
	switch {
	case !r.Optional:
		return nil, fmt.Errorf("%w: %s is for optional requests only", occamy.ErrInvalidHeader, headerMaster)
	case master == "" || len(master) > maxID:
		return nil, fmt.Errorf("%w: %s is not an ID", occamy.ErrInvalidHeader, headerMaster)
	case h.sender == nil:
		return nil, fmt.Errorf("%w: this server's tasks cannot reach %s", occamy.ErrInvalidHeader, quote(master))
	}
	s, _, err := text(r.Headers, headerUntil)
	if err != nil {
		return nil, err
	}
	until, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || until.After(time.Now().Add(maxLimit+time.Hour)) {
		return nil, fmt.Errorf("%w: %s is %s, not a time within a day", occamy.ErrInvalidHeader, headerUntil, quote(s))
	}
	in, err := Parse(r.Body)
	if err != nil {
		return nil, err
	}
	return newEnvoy(h.sender, in, master, until), nil
}

func parseTarget(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: %s is %s, not a length above 0", occamy.ErrInvalidHeader, HeaderTarget, quote(s))
	}
	return n, nil
}
