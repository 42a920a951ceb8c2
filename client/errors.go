package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/occamy-go/occamy"
)

// Errors that answer errors.Is.
var (
	// ErrRejected: the request was rejected for good; see [RejectedError].
	ErrRejected = errors.New("client: request was rejected")
	// ErrEnded: SubmitAndWait was given the ID of a request that has an
	// outcome already, so a wait could not tell the two apart. Nothing was
	// submitted.
	ErrEnded = errors.New("client: a request with that ID has ended already")
)

// RejectedError is returned by a wait for a request that was rejected for good
// and is now among the dead letters. It answers errors.Is(err, ErrRejected).
type RejectedError struct {
	ID     string
	Reason string // as the server gave it; a panic's has several lines
}

// Error gives the first line of the reason.
func (e *RejectedError) Error() string {
	reason, _, _ := strings.Cut(e.Reason, "\n")
	if reason == "" {
		reason = "no reason given"
	}
	return fmt.Sprintf("request %q was rejected: %s", e.ID, reason)
}

// Is reports whether target is ErrRejected.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// CancelledError is returned by a wait for a request that somebody cancelled.
// It answers errors.Is(err, occamy.ErrCancelled).
type CancelledError struct {
	ID string
}

func (e *CancelledError) Error() string { return fmt.Sprintf("request %q was cancelled", e.ID) }

// Unwrap returns occamy.ErrCancelled.
func (e *CancelledError) Unwrap() error { return occamy.ErrCancelled }

// UnknownKindError says that servers answered and none of them knows a kind.
// It answers errors.Is(err, occamy.ErrUnknownKind).
type UnknownKindError struct {
	Kind  string
	Known []string // what the servers that answered know, sorted
}

func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("no server that answers knows the kind %q", e.Kind)
}

// Unwrap returns occamy.ErrUnknownKind.
func (e *UnknownKindError) Unwrap() error { return occamy.ErrUnknownKind }
