package occamy

import (
	"errors"
	"fmt"
	"time"
)

// Why a task was stopped: context.Cause of the task's context is one of these.
var (
	// ErrPreempted: a request, or a task of higher status, needs the slot.
	// Only unprotected tasks are preempted.
	ErrPreempted = errors.New("occamy: preempted")
	// ErrOwnerEnded: the task at the root of the expansion ended or is being
	// stopped.
	ErrOwnerEnded = errors.New("occamy: owner ended")
	// ErrShutdown: the server shuts down.
	ErrShutdown = errors.New("occamy: server is shutting down")
	// ErrCancelled: somebody cancelled the task's ID.
	ErrCancelled = errors.New("occamy: cancelled")
	// ErrTimeout: the task's own timeout or deadline has passed.
	ErrTimeout = errors.New("occamy: time limit reached")
	// ErrDeliveryLost: the broker has given the request to somebody else, or
	// may have.
	ErrDeliveryLost = errors.New("occamy: delivery lost")
	// ErrHandlerTimeout: the handler did not return within HandlerTimeout.
	ErrHandlerTimeout = errors.New("occamy: handler took too long")
)

// Errors that the server records, and reasons of rejections.
var (
	// ErrInvalidHeader: a header that the server reads has the wrong type or
	// no usable value.
	ErrInvalidHeader = errors.New("occamy: invalid header")
	// ErrInvalidBody: the body is over Config.MaxBody.
	ErrInvalidBody = errors.New("occamy: invalid body")
	// ErrUnknownKind: no handler for the message's kind.
	ErrUnknownKind = errors.New("occamy: unknown kind")
	// ErrNilTask: a handler or Expand returned a nil task.
	ErrNilTask = errors.New("occamy: nil task")
	// ErrDetails: Details changed the ID of a task.
	ErrDetails = errors.New("occamy: task changed its details")
	// ErrNoSlot: the message was requeued since the server had no room.
	ErrNoSlot = errors.New("occamy: no slot")
	// ErrStuck: the task still runs KillTimeout after it was stopped. Recorded
	// once for a task.
	ErrStuck = errors.New("occamy: task is stuck")
	// ErrNotSettled: the broker did not take the settlement of a message
	// within SettleTimeout. It will deliver the message again.
	ErrNotSettled = errors.New("occamy: message not settled")
	// ErrOfferDropped: a task that Expand returned was not needed, came twice,
	// or came after its owner ended.
	ErrOfferDropped = errors.New("occamy: offered task dropped")
	// ErrExpandTimeout: Expand did not return within ExpandTimeout.
	ErrExpandTimeout = errors.New("occamy: expand took too long")
	// ErrSettledTimeout: Settled did not return within SettleTimeout, or before
	// the end of Shutdown.
	ErrSettledTimeout = errors.New("occamy: settled took too long")
	// ErrControlDropped: a control message did not reach its task, because the
	// inbox was full or the task ended first.
	ErrControlDropped = errors.New("occamy: control message dropped")
	// ErrOptionalDropped: an optional request was dropped, since the backlog
	// is full.
	ErrOptionalDropped = errors.New("occamy: optional request dropped")
	// ErrTooLarge: the broker refuses a result or progress of this size.
	ErrTooLarge = errors.New("occamy: too large for the broker")
	// ErrServerClosed: the server has shut down or is about to.
	ErrServerClosed = errors.New("occamy: server closed")
	// ErrNoRequest: only the task of a request can report progress or give a
	// result, and only while it runs.
	ErrNoRequest = errors.New("occamy: not the task of a request")
)

// ErrRequeue is wrapped by an error that asks the server to requeue the
// request instead of rejecting it. See [Requeue] for a delay.
var ErrRequeue = errors.New("occamy: requeue")

// Requeue returns an error that wraps ErrRequeue and err, which may be nil. The
// request is delivered again no sooner than after delay; zero means at once.
func Requeue(err error, delay time.Duration) error {
	return &requeueError{err: err, delay: max(delay, 0)}
}

type requeueError struct {
	err   error
	delay time.Duration
}

func (e *requeueError) Error() string {
	if e.err == nil {
		return ErrRequeue.Error()
	}
	return ErrRequeue.Error() + ": " + e.err.Error()
}

func (e *requeueError) Unwrap() []error {
	if e.err == nil {
		return []error{ErrRequeue}
	}
	return []error{ErrRequeue, e.err}
}

// TaskError says which task an error came from.
type TaskError struct {
	ID     string
	Kind   string
	Status Status // Empty when the message never became a task
	Err    error
}

func (e *TaskError) Error() string {
	status := string(e.Status) + " "
	if e.Status == "" || e.Status == Empty {
		status = ""
	}
	return fmt.Sprintf("%stask %q of kind %q: %v", status, e.ID, e.Kind, e.Err)
}

// Unwrap returns Err.
func (e *TaskError) Unwrap() error { return e.Err }

// PanicError is a panic, or a call of runtime.Goexit, in code of the user: of a
// handler, a task, an error that one of them returned, or a message.
type PanicError struct {
	Op    string // "Handle", "Details", "Do", "Expand", "Control", "Settled", "Message", "Trace"
	Value any    // nil for runtime.Goexit
	Stack []byte // as runtime/debug.Stack gives it
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("%s ended its goroutine (runtime.Goexit)\n%s", e.Op, e.Stack)
	}
	return fmt.Sprintf("%s panicked: %v\n%s", e.Op, e.Value, e.Stack)
}

// Unwrap returns the value of the panic when it is an error.
func (e *PanicError) Unwrap() error {
	if err, ok := e.Value.(error); ok {
		return &soundError{err, fmt.Sprint(err)}
	}
	return nil
}
