// Package assist has one request use many slots, on any number of servers. The
// task of the request becomes a master, which computes itself; tasks on spare
// slots become its assistants. There are two shapes of work:
//
//   - [Units]: a list or stream of units that can be computed in any order. Each
//     unit's result is collected once, however often it ran.
//   - [Search]: an open-ended search, in which all share the best solution.
//
// A job is a type of the user's with a few methods ([UnitsJob], [SearchJob]); the
// handler that Units or Search returns is added to the mux of every server that
// is to take part:
//
//	mux.Add("render", assist.Units(newRender, assist.Config{Broker: broker, Store: store}))
//
// A job with the method Control ([occamy.Controller]) gets the control messages
// for its request, on the value for the books.
//
// # Where assistants come from
//
// For the assistants that a job needs (Config.Least), the master sends request
// messages, which become protected tasks on whatever server has room. For those
// that it could use beyond these (Config.Most) it grows onto spare slots of its
// own server, and sends one optional request to all servers, which it repeats now
// and then, so that servers which start later, or whose help was preempted, join
// in. Assistants come and go at any moment. No memory is shared: all goes by
// control messages from one task to another, so it makes no difference where an
// assistant stands. The master computes with no assistant at all, so a job never
// waits for one.
//
// # What becomes of work
//
// Units are leased to assistants a few at a time: one ahead where they are long,
// as many as fill 25 ms where they are short. An assistant that is preempted hands
// back at once what it has not begun; what it had begun is thrown away. One that
// crashes loses its units by Config.LeaseTimeout. A unit that fails or panics is
// computed again up to Config.Retries times, then the job fails with its error;
// so does a job with a unit that was lost with five assistants, one after the
// other.
//
// When the job ends, fails or is cancelled, its assistants everywhere are told
// to end. When the request is requeued, they go on, and the next attempt takes
// them over; when they find no master for Config.Patience, they end by themselves.
//
// # What outlives a server
//
// With a Store, a job of units keeps each result, and a later attempt collects
// those and computes the rest; a search begins with its best solution and the
// time that it has left. Progress is kept every Config.SavePeriod and when the
// server shuts down, and removed when the request is acked. An attempt that has
// lost its request cannot overwrite the progress of the next one: it ends with an
// error that wraps checkpoint.ErrSuperseded.
//
// The master keeps at most Config.Window units, and about Config.Buffer bytes of
// them and of their results, however slow it collects. A unit, result or solution
// may be as large as the broker's messages; the error for a larger one says so.
package assist
