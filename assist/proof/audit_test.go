//go:build unix

package proof

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// event is a line of a log.
type event struct {
	At     int64  `json:"at"` // in nanoseconds; all processes are on one machine
	Server string `json:"server"`
	Job    string `json:"job"`
	Value  uint64 `json:"value,omitempty"` // tells the job's values apart, of which there is one for each task
	What   what   `json:"what"`
	Unit   int    `json:"unit,omitempty"`
	Kept   []int  `json:"kept,omitempty"`
	Cost   int    `json:"cost,omitempty"`
	Rev    uint64 `json:"rev,omitempty"`
}

type what string

const (
	isMaster what = "master" // a task works as the master
	begins   what = "begins" // a unit
	ends     what = "ends"   // a unit that was computed
	collects what = "collects"
	keeps    what = "keeps" // the store has taken progress: the units, or the cost
)

// audit is the log of one process. Each line is written at once, so that it
// outlives the process however that ends.
type audit struct {
	server string
	file   *os.File
}

func openAudit(server, path string) (*audit, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &audit{server, f}, err
}

func (a *audit) note(e event) {
	e.At, e.Server = time.Now().UnixNano(), a.server
	b, err := json.Marshal(e)
	if err == nil {
		_, err = a.file.Write(append(b, '\n'))
	}
	if err != nil {
		panic(err) // without the log there is nothing to judge
	}
}

// read returns the events of a job in all logs of a folder, in their order.
func read(t *testing.T, dir, job string) (es []event) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) != nil {
				continue // its process was killed as it wrote
			}
			if e.Job == job {
				es = append(es, e)
			}
		}
		if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
	}
	slices.SortStableFunc(es, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	return es
}

// all returns the events of one sort.
func all(es []event, w what) (is []event) {
	for _, e := range es {
		if e.What == w {
			is = append(is, e)
		}
	}
	return is
}

// zombieWrites counts the writes of an attempt after a later one has claimed the
// progress.
func zombieWrites(es []event) (n int) {
	writes := all(es, keeps)
	slices.SortStableFunc(writes, func(a, b event) int { return cmp.Compare(a.Rev, b.Rev) })
	turns := map[string]int{}
	for i, e := range writes {
		if i == 0 || writes[i-1].Server != e.Server {
			turns[e.Server]++
		}
	}
	for server, n2 := range turns {
		values := map[uint64]bool{}
		for _, e := range all(es, isMaster) {
			if e.Server == server {
				values[e.Value] = true
			}
		}
		n += max(0, n2-max(len(values), 1))
	}
	return n
}
