// Package dashboard serves a web page that shows a fleet of Occamy servers
// live: each server as a row of slots with the task in it, the last minutes as
// a chart, the requests that run, what happened last, and a page for each task.
// From it an operator cancels a task, and drains and resumes a server.
//
// Everything that the page needs is in the binary; it loads nothing from
// elsewhere. The handler does not know who calls: put authentication around it.
// It refuses state-changing calls from pages of other sites by itself, and
// forbids its page all that it does not need (Content-Security-Policy,
// Trusted Types). What comes from the fleet is shown as text, never as markup.
//
// # HTTP
//
//	GET  /                          the page
//	GET  /task/{id}                 the same page, showing a task; /task/?id= for "." and ".."
//	GET  /assets/{name}             what the page loads
//	GET  /api/fleet                 event stream of Updates, at most ten a second
//	GET  /api/task?id=ID            what is known of a task, with its outcome
//	POST /api/task/cancel?id=ID     204, or {"error": …, "hint": …}
//	POST /api/server/drain?id=ID    likewise
//	POST /api/server/resume?id=ID   likewise
//
// IDs are free text, so they travel as a parameter: a path would not keep all
// of them. /api/tasks/{id}, /api/tasks/{id}/cancel, /api/servers/{id}/drain and
// /api/servers/{id}/resume are the same calls for IDs that a path does keep.
//
// # For tests of the page
//
// These attributes of its elements are stable:
//
//	data-testid="connection"  with data-state: connecting, live, cut
//	data-testid="server"      with data-server (ID), data-state: up, draining, closing, gone
//	[data-slot]               in a server: its number, with data-status: empty, protected,
//	                          internal, external; data-phase: running, stopping, stuck;
//	                          data-id and data-request: of its task
//	data-testid="drain", "resume"   buttons of a server; data-server
//	data-testid="task-row"    with data-id: a request that runs; in it data-testid="cancel"
//	data-testid="event"       with data-type
//	data-testid="chart"       the strip chart
//	data-testid="task"        the page of a task, with data-id; in it data-testid="result",
//	                          "timeline", "cancel"
//	data-testid="confirm"     the dialog; in it data-testid="confirm-ok", "confirm-back"
//	data-testid="problem"     what went wrong with a button, in the dialog
//	data-testid="theme"       the switch between light and dark
//
// document.documentElement has data-ready from the first full update on: after how
// many ms that was shown; and
// data-version: the version of the fleet that the page shows.
package dashboard
