package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/occamy-go/occamy/chaos/record"
)

// busyWatch reads the audit logs of server processes to know when they are
// busy.
type busyWatch struct {
	dir  string
	mu   sync.Mutex
	logs map[int]*progress // by process ID
}

type progress struct {
	read    int64
	running int
}

func newBusyWatch(dir string) *busyWatch {
	return &busyWatch{dir: dir, logs: make(map[int]*progress)}
}

// running is how many requests a process runs; 0 while it has no log yet, and
// when it has ended.
func (b *busyWatch) running(c *child) int {
	select {
	case <-c.ended:
		return 0
	default:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	pid := c.pid()
	paths, err := filepath.Glob(filepath.Join(b.dir, fmt.Sprintf("*-%d%s", pid, record.Suffix)))
	if err != nil || len(paths) == 0 {
		return 0
	}
	p := b.logs[pid]
	if p == nil {
		p = &progress{}
		b.logs[pid] = p
	}
	f, err := os.Open(paths[0])
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= p.read {
		return p.running
	}
	more := make([]byte, info.Size()-p.read)
	n, _ := f.ReadAt(more, p.read)
	more = more[:bytes.LastIndexByte(more[:n], '\n')+1]
	p.read += int64(len(more))
	p.running += bytes.Count(more, []byte(`"what":"do_start"`)) - bytes.Count(more, []byte(`"what":"do_end"`))
	return p.running
}
