// Package occamytest holds what a user needs to test their own tasks, handlers
// and brokers. [Task] and [Handler] check that a task and a handler are good
// citizens of a server, which can promise only what they let it. Beside them
// stand messages that record how they were settled, and a monitor that records
// what a server told it; these work in the virtual time of testing/synctest when
// they are made inside the bubble.
package occamytest
