// Package checkpoint keeps the progress of requests on a persistent layer, so
// that an attempt goes on where the last one stopped, whatever became of its
// server.
//
// A [Store] keeps values by key. [Progress] is what a task uses: the progress
// of one request, which one attempt holds at a time. A new attempt claims it,
// which gives it the last value that was saved; from then on nothing that an
// earlier attempt writes is taken, however late it comes. So a task that lost
// its delivery and does not know it yet, a zombie, cannot overwrite what its
// successor has saved.
//
//	type route struct {
//		*checkpoint.Progress // removed when the request is acked
//		// ...
//	}
//
//	func (r *route) Do(ctx context.Context) error {
//		best, err := r.Claim(ctx) // nil at first
//		if err != nil {
//			return occamy.Requeue(err, time.Second)
//		}
//		for improve(ctx, &best) {
//			if err := r.Save(ctx, best); errors.Is(err, checkpoint.ErrSuperseded) {
//				return err // another attempt has the request
//			} // else it is saved the next time
//		}
//		// ...
//	}
//
// Progress is removed when its request is acked. That of a request which was
// rejected stays, since a dead letter may be tried again, and expires by age.
//
// [Memory] is for tests and for a single process. The other stores are packages
// of their own, so that nobody takes on what they depend on. Package
// checkpointtest checks a store of yours.
//
// occamy.ReportProgress keeps a small state with the broker and shows it to
// whoever waits; it knows nothing of attempts, and a zombie can overwrite it.
// Use this package where that matters, or where the state is large.
package checkpoint
