// Command audit reads the audit logs of a run and decides what became of its
// requests.
//
//	go run ./audit DIR
//
// What it finds wrong goes to standard error, the verdict to standard output:
// one line, a JSON object. The exit status is 0 when nothing was lost or wrong,
// 1 when something was, and 2 when there is nothing to judge.
//
// It believes the logs alone, of all processes together: no counter of a
// server, and no result that it has not computed by itself.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// verdict is what a run has proved.
type verdict struct {
	Broker    string   `json:"broker"`
	Faults    []string `json:"faults"`
	Requests  int      `json:"requests"`
	Completed int      `json:"completed"`
	Repeated  int      `json:"repeated"` // run more than once
	Lost      int      `json:"lost"`
	Wrong     int      `json:"wrong"`
	Gap       int64    `json:"longest_gap_ms"` // without progress, while there was work
}

func main() { os.Exit(audit(os.Args[1:], os.Stdout, os.Stderr)) }

func audit(args []string, out, say io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(say, "usage: audit DIR")
		return 2
	}
	events, torn, err := read(args[0])
	if err != nil {
		fmt.Fprintln(say, "audit:", err)
		return 2
	}
	c := newCourse(events)
	v, found := c.judge(torn)
	report(say, c, v, found)
	line, err := json.Marshal(v)
	if err != nil {
		fmt.Fprintln(say, "audit:", err)
		return 2
	}
	fmt.Fprintf(out, "%s\n", line)
	if v.Lost > 0 || v.Wrong > 0 {
		return 1
	}
	return 0
}

// mostTold is how many findings are told; the count is in the verdict.
const mostTold = 40

func report(say io.Writer, c *course, v verdict, found []finding) {
	for i, f := range found {
		if i == mostTold {
			fmt.Fprintf(say, "audit: … and %d more\n", len(found)-i)
			break
		}
		fmt.Fprintln(say, "audit:", f)
	}
	for _, f := range c.faults {
		fmt.Fprintf(say, "audit: fault %2d at %s %-20s %5.1f s, hit %d requests that ran there; %d were open when it began\n",
			f.number, clock(f.begin), f.name, f.end.Sub(f.begin).Seconds(), f.ran, f.open)
	}
	gap := c.gap()
	fmt.Fprintf(say, "audit: no progress from %s to %s\n", clock(gap.from), clock(gap.to))
	helped, interrupted := c.helped()
	fmt.Fprintf(say, "audit: %d requests with assistants, %d of them lost some to other requests; %d runs in all, %d tries to submit again\n",
		helped, interrupted, c.runs(), c.unsure())
	fmt.Fprintf(say, "audit: %d requests, %d completed, %d run more than once, %d lost, %d wrong\n",
		v.Requests, v.Completed, v.Repeated, v.Lost, v.Wrong)
}
