// Package occamytest holds what a user needs to test their own tasks, handlers
// and brokers: messages that record how they were settled, and a monitor that
// records what a server told it. Everything works in the virtual time of
// testing/synctest when it is made inside the bubble.
package occamytest
