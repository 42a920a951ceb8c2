// Package record is the audit log: what each process of a run writes down as it
// happens, and the auditor reads afterwards. A log is a file of JSON lines that
// one process appends to, one write for each line, so that a process that is
// killed leaves whole lines behind.
//
// It knows what may be written, not what it means: that is the auditor's.
package record

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// What says what an event tells.
type What string

// Events of the orchestrator.
const (
	Run        What = "run"         // Broker, Requests, Poison: how the run was meant
	Sent       What = "sent"        // ID, Input, Result: what is wanted. Before the first try to submit
	Confirmed  What = "confirmed"   // ID: the broker keeps the request
	Unsure     What = "unsure"      // ID, Error: a try to submit that may have worked
	FaultBegin What = "fault_begin" // Fault, Number, and what it hits: Servers, Client, Node
	FaultEnd   What = "fault_end"   // Fault, Number
	Started    What = "started"     // Server, PID: a server process
	Died       What = "died"        // Server, PID, Error: a server process has ended
	Dead       What = "dead"        // ID, Error, Attempt: a dead letter, at the end
	Closing    What = "closing"     // the servers are told to end: all is over
	Failed     What = "failed"      // Error: the run did not go as it was meant
)

// Events of a client.
const (
	// Outcome: ID, Status, Result, Attempt, Error (the reason), as the client
	// was told; Op is "wait" or "sweep", a second look at the end.
	Outcome What = "outcome"
	Missing What = "missing" // ID: the second look found none
)

// Events of a server process.
const (
	DoStart     What = "do_start"     // ID, Attempt
	DoEnd       What = "do_end"       // ID, Attempt, Error; none: it was completed
	HelperStart What = "helper_start" // ID: the owner's
	HelperEnd   What = "helper_end"   // ID, Error: the cause
	Settled     What = "settled"      // ID, Attempt, Op, Began, Error: what the broker was told, and whether it confirmed
	Problem     What = "problem"      // Error: what the server's or the adapter's monitor told
)

// Ways to settle.
const (
	Ack     = "ack"
	Reject  = "reject"
	Requeue = "requeue"
)

// Input is what a request asks for: the hash of the chunks' hashes, where the
// hash of chunk i is that of the seed and i, hashed again Rounds times.
type Input struct {
	Seed   string `json:"seed"`
	Chunks int    `json:"chunks"`
	Rounds int    `json:"rounds"`
	Wait   int    `json:"wait_ms"`          // for each chunk
	Helped bool   `json:"helped,omitempty"` // the task takes assistants
	Poison bool   `json:"poison,omitempty"` // the task kills its process
}

// Event is one line. Fields that say nothing about an event are left out.
type Event struct {
	Time    time.Time  `json:"t"`
	What    What       `json:"what"`
	ID      string     `json:"id,omitempty"`
	Attempt int        `json:"attempt,omitempty"`
	Server  string     `json:"server,omitempty"`
	PID     int        `json:"pid,omitempty"`
	Input   *Input     `json:"input,omitempty"`
	Result  string     `json:"result,omitempty"`
	Status  string     `json:"status,omitempty"`
	Op      string     `json:"op,omitempty"`
	Began   *time.Time `json:"began,omitempty"`
	Error   string     `json:"error,omitempty"`

	Broker   string `json:"broker,omitempty"`
	Requests int    `json:"requests,omitempty"`
	Limit    int    `json:"limit,omitempty"` // of lost deliveries before a dead letter

	Fault   string   `json:"fault,omitempty"`
	Number  int      `json:"number,omitempty"`
	Servers []string `json:"servers,omitempty"` // whose process, connection or broker node is hit
	Client  bool     `json:"client,omitempty"`  // the client's connection or broker node is hit
	Node    string   `json:"node,omitempty"`    // of the broker
}

// Suffix ends the name of each log.
const Suffix = ".audit.jsonl"

// Log is the log of one process. Its methods are safe for use by several
// goroutines.
type Log struct {
	server string
	pid    int

	mu   sync.Mutex // keeps the lines in the order of their times
	file *os.File
}

// Open opens the log of a process in dir. name is that of the server, or of
// what else the process is.
func Open(dir, name string) (*Log, error) {
	pid := os.Getpid()
	path := filepath.Join(dir, fmt.Sprintf("%s-%d%s", name, pid, Suffix))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	return &Log{server: name, pid: pid, file: f}, nil
}

// Write appends an event, now, of this process unless it names another. A log
// that cannot be written proves nothing, so that ends the process.
func (l *Log) Write(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = time.Now().Round(0)
	if e.Server == "" {
		e.Server, e.PID = l.server, l.pid
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		panic(fmt.Sprintf("audit log: %v", err))
	}
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }
