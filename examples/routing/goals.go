package routing

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
)

// Headers of requests and of control messages.
const (
	HeaderTimeLimit = "time-limit"
	HeaderTarget    = "target"
)

// Bounds of what headers may say.
const (
	defaultLimit = 10 * time.Second
	maxLimit     = 24 * time.Hour
)

var (
	errNoGoals  = fmt.Errorf("routing: unusable control message: neither %s nor %s is there", HeaderTimeLimit, HeaderTarget)
	errBadGoals = errors.New("routing: a time limit or target is out of bounds")
)

// goals are what a user can ask of a search. Zero fields were not given.
type goals struct {
	Limit  time.Duration `json:"limit"`
	Target int           `json:"target"`
}

// or returns g with what was given in its place.
func (g goals) or(given goals) goals {
	return goals{cmp.Or(given.Limit, g.Limit), cmp.Or(given.Target, g.Target)}
}

func (g goals) check() error {
	if g.Limit < 0 || g.Limit > maxLimit || g.Target < 0 {
		return errBadGoals
	}
	return nil
}

func parseGoals(h occamy.Headers) (g goals, _ error) {
	s, ok, err := text(h, HeaderTimeLimit)
	if err != nil {
		return g, err
	}
	if ok {
		g.Limit, err = time.ParseDuration(s)
		if err != nil || g.Limit <= 0 || g.Limit > maxLimit {
			return g, fmt.Errorf("%w: %s is %s, not a duration above 0 and up to %s, such as 10s",
				occamy.ErrInvalidHeader, HeaderTimeLimit, quote(s), maxLimit)
		}
	}
	if s, ok, err = text(h, HeaderTarget); err != nil {
		return g, err
	}
	if ok {
		if g.Target, err = strconv.Atoi(s); err != nil || g.Target < 1 {
			return g, fmt.Errorf("%w: %s is %s, not a length above 0", occamy.ErrInvalidHeader, HeaderTarget, quote(s))
		}
	}
	return g, nil
}

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
