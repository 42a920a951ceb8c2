package occamy

import "context"

// TaskInfo is what a running task can learn of itself.
type TaskInfo struct {
	ID      string
	Kind    string
	Status  Status
	Slot    int
	Attempt int // 1 for the first delivery of a request; 1 for helpers
	Server  string
}

// taskContext is what the functions below find in the context of a task.
type taskContext interface {
	info() TaskInfo
	setResult(b []byte) error
	reportProgress(b []byte) error
	lastProgress(ctx context.Context) ([]byte, error)
	askAgain()
}

type taskKey struct{}

func fromContext(ctx context.Context) taskContext {
	t, _ := ctx.Value(taskKey{}).(taskContext)
	return t
}

// InfoFromContext tells of the task that ctx belongs to; false when it belongs to none.
func InfoFromContext(ctx context.Context) (TaskInfo, bool) {
	if t := fromContext(ctx); t != nil {
		return t.info(), true
	}
	return TaskInfo{}, false
}

// SetResult sets what the request's sender gets when Do returns nil; a later
// call replaces it. b belongs to the server from now on. It does not block.
// It returns ErrNoRequest when ctx is not that of a request's running task; that
// the broker cannot carry results, or that nobody waits for one, is no error.
func SetResult(ctx context.Context, b []byte) error {
	if t := fromContext(ctx); t != nil {
		return t.setResult(b)
	}
	return ErrNoRequest
}

// ReportProgress tells the request's sender how far the task is and keeps it
// for the next attempt, should there be one. It does not block: it is sent in
// the background, and a newer report replaces one that has not been sent yet;
// the last one is sent before the message is settled. b belongs to the server
// from now on. A JSON object with the number "fraction" (0 to 1) is shown as a
// bar by the occamy command. It returns ErrNoRequest when ctx is not that of a
// request's running task; that nobody keeps it is no error.
func ReportProgress(ctx context.Context, b []byte) error {
	if t := fromContext(ctx); t != nil {
		return t.reportProgress(b)
	}
	return ErrNoRequest
}

// LastProgress returns what an earlier attempt of the same request reported
// last, and nil when there is nothing, or nobody keeps it. It asks the broker, so
// it may block. It returns ErrNoRequest when ctx is not that of a request's task.
func LastProgress(ctx context.Context) ([]byte, error) {
	if t := fromContext(ctx); t != nil {
		return t.lastProgress(ctx)
	}
	return nil, ErrNoRequest
}

// AskAgain tells the server that the task can use helpers now, though it offered
// fewer than it was asked for: it is asked again as soon as there is a slot for
// one, and not only in the next ExpansionPeriod. It is for a task that cannot
// tell at first how much help it can use, since it still loads its work, or that
// gets more work later.
//
// It does not block and may be called at any moment, during Expand too: what
// Expand returns to a call that had begun does not count then. Calls within
// RefillDelay (10 ms where that is off) after one are taken together as one at
// its end. It does nothing when ctx is not that of a running Expander.
func AskAgain(ctx context.Context) {
	if t := fromContext(ctx); t != nil {
		t.askAgain()
	}
}
