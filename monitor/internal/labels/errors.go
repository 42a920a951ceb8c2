package labels

import (
	"errors"

	"github.com/occamy-go/occamy"
)

// failure is the name of an error that none of the package is: one of a task, a
// handler or a broker.
const failure = "failure"

// panicked is the name of a PanicError.
const panicked = "panic"

// sentinels are the errors that have names. Of an error that is several, the
// first counts: what was done about it stands before why.
var sentinels = []struct {
	err  error
	name string
}{
	{occamy.ErrStuck, "stuck"},
	{occamy.ErrNotSettled, "not_settled"},
	{occamy.ErrSettledTimeout, "settled_timeout"},
	{occamy.ErrExpandTimeout, "expand_timeout"},
	{occamy.ErrHandlerTimeout, "handler_timeout"},
	{occamy.ErrOfferDropped, "offer_dropped"},
	{occamy.ErrOptionalDropped, "optional_dropped"},
	{occamy.ErrControlDropped, "control_dropped"},
	{occamy.ErrDeliveryLost, "delivery_lost"},
	{occamy.ErrTooLarge, "too_large"},
	{occamy.ErrInvalidHeader, "invalid_header"},
	{occamy.ErrInvalidBody, "invalid_body"},
	{occamy.ErrUnknownKind, "unknown_kind"},
	{occamy.ErrNilTask, "nil_task"},
	{occamy.ErrDetails, "details_changed"},
	{occamy.ErrNoSlot, "no_slot"},
	{occamy.ErrRequeue, "requeue"},
	{occamy.ErrTimeout, "timeout"},
	{occamy.ErrCancelled, "cancelled"},
	{occamy.ErrPreempted, "preempted"},
	{occamy.ErrOwnerEnded, "owner_ended"},
	{occamy.ErrShutdown, "shutdown"},
	{occamy.ErrServerClosed, "server_closed"},
	{occamy.ErrNoRequest, "no_request"},
}

// Errors are the names that errors have.
var Errors = func() Enum {
	names := []string{failure, panicked}
	for _, s := range sentinels {
		names = append(names, s.name)
	}
	return newEnum(names...)
}()

// Error is the name of an error: of one that has no other, "failure".
func Error(err error) string {
	var p *occamy.PanicError
	if errors.As(err, &p) {
		return panicked
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.name
		}
	}
	return failure
}
