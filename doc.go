// Package occamy runs computationally intensive tasks that come from a message
// broker at irregular times. A [Server] has a fixed number of slots. It starts
// every request promptly, and it uses the slots that would stand idle to help
// the requests that are running already: tasks grow onto spare slots, and give
// them back the moment a request needs them.
//
//	var mux occamy.Mux
//	mux.AddFunc("route", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
//		return newRoute(r.Body) // fast: the work is the task's
//	})
//	occamy.ReserveProcs(slots)
//	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: slots})
//	if err != nil {
//		return err
//	}
//	go func() {
//		<-ctx.Done() // for instance of signal.NotifyContext
//		grace, cancel := context.WithTimeout(context.Background(), time.Minute)
//		defer cancel()
//		ended <- server.Shutdown(grace)
//	}()
//	err = server.Serve(ctx, broker) // one of the packages in broker/
//
// # What comes in
//
// A request message asks for a computation; the broker gives it to exactly one
// server. The [Handler] makes a [Task] from it, which is protected: nothing
// stops it but shutdown, a cancel, its own time limit, or the loss of its
// delivery. A control message goes to the running tasks that bear its ID; see
// [Controller]. Without an ID it is a command to the server (see [HeaderKeys]),
// or an optional request: help that is welcome where there is room, kept in a
// backlog until a slot is spare.
//
// # Where it runs
//
// A request starts at once in an empty slot. When there is none it takes the
// slot of the least valuable unprotected task, whose context ends with
// [ErrPreempted]; the request begins when that task has returned. Spare slots
// are shared among the tasks that can use them, which say so by being an
// [Expander]: helpers of protected tasks come first, then the backlog and its
// helpers. Helpers are stopped when the task at the root of the expansion ends.
//
// # How it ends
//
// A task says what happened; the server settles the message, once:
//
//   - Do returned nil: ack
//   - cancelled by command: ack
//   - its own timeout or deadline: reject, for good
//   - stopped by the server: requeue, whatever Do returned but nil
//   - an error that wraps [ErrRequeue] (see [Requeue]): requeue
//   - any other error, or a panic: reject, for good
//   - the delivery was lost: nothing, since somebody else has the request
//
// Before an ack or a reject the outcome reaches whoever sent the request, where
// they asked for it or the task gave a result; see [SetResult]. What a task
// reports by [ReportProgress] is there for the next attempt. A task that is a
// [SettleObserver] is told, once, what became of its message.
//
// # What tasks and handlers owe the server
//
// The server works only if they are good citizens; package occamytest helps to
// find out. A handler is fast. A task looks at its context often, a thousand
// times a second or more, and returns soon after it ended: one that still runs
// after KillTimeout is stuck and keeps its slot until it returns. It computes on
// no more cores than its slot stands for, leaves no goroutine behind, and
// returns nil only when its work is complete. context.Cause tells why it was
// stopped. A panic in a method that the server calls becomes an error with its
// stack; one in a goroutine that the task starts itself ends the process.
//
// Since the tasks compute, they would leave no CPU time for the server's own
// work: call [ReserveProcs], or set GOMAXPROCS to the slots and one more.
//
// The package neither logs nor measures; [Monitors] are told what happens.
//
// # Where to look
//
// broker/nats connects to NATS, broker/rabbitmq to RabbitMQ, broker/nats/embedded
// runs a NATS server in the process, and broker/memory is a broker for tests.
// Package client submits requests, waits for their outcomes and sends control
// messages. Package occamytest checks tasks and handlers, package checkpoint keeps
// progress that outlives a server, and package assist has one request use slots
// of many servers. examples/hello is the smallest program, examples/routing and
// examples/pricing are jobs for assist, docs/concept.md says how it all works, with
// pictures, and docs/brokers.md how the brokers differ.
package occamy
