// Package client is what a program needs to have work done by Occamy servers:
// it submits requests, waits for their outcomes, and sends control messages
// and commands. It is thin over a [Broker] and knows nothing of slots.
//
// A request is safe with the broker once Submit has returned. Its outcome is
// one of three: completed, with a result; rejected, with a reason
// ([RejectedError]); cancelled ([CancelledError]).
package client
