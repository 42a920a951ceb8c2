//go:build unix

package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/client"
)

// fleet is servers in processes of their own.
type fleet struct {
	t       *testing.T
	order   order  // of a server
	logs    string // folder
	servers map[string]*child
	count   int
	client  *client.Client
}

const servers = 3

func newFleet(t *testing.T, o order) *fleet {
	t.Helper()
	f := &fleet{t: t, order: o, logs: t.TempDir(), servers: map[string]*child{}}
	b, _, err := o.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	f.client = client.New(b)
	f.fill()
	return f
}

// fill starts the servers that are missing.
func (f *fleet) fill() {
	f.t.Helper()
	var fresh []*child
	for len(f.servers) < servers {
		f.count++
		o := f.order
		o.Name = fmt.Sprintf("server%d", f.count)
		o.Audit = filepath.Join(f.logs, o.Name+".log")
		c := start(f.t, o)
		f.servers[o.Name] = c
		fresh = append(fresh, c)
	}
	for _, c := range fresh {
		c.ready(f.t)
	}
}

// job is a request that is under way.
type job struct {
	id, kind string
	n        int
	done     chan struct{} // closed when outcome and err are set
	outcome  occamy.Outcome
	err      error
}

const each = 20 * time.Millisecond

func (f *fleet) submit(kind, id string, n int) *job {
	j := &job{id: id, kind: kind, n: n, done: make(chan struct{})}
	go func() {
		defer close(j.done)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		body, _ := json.Marshal(map[string]any{"n": n, "each": each})
		j.outcome, j.err = f.client.SubmitAndWait(ctx, client.Request{Kind: kind, ID: id, Body: body}, nil)
	}()
	return j
}

func (j *job) over() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// master waits until a job has a master that is not one of those, and returns
// the server on which it works; "" when the job is over.
func (f *fleet) master(j *job, but ...string) (server string) {
	f.t.Helper()
	await(f.t, "a master of "+j.id, time.Minute, func() bool {
		for _, e := range all(read(f.t, f.logs, j.id), isMaster) {
			if !slices.Contains(but, e.Server) {
				server = e.Server
			}
		}
		return server != "" || j.over()
	})
	return server
}

// verdict is what the logs say of jobs.
type verdict struct {
	Jobs       int // all of which completed, and were right
	Units      int
	Computed   int // units
	Unrecorded int // units that were computed and not kept when their master was killed
	Again      int // units that were computed more than once
	Twice      int // of these, those that were so after the kill: two had them at the takeover
	Violations int // units that were begun after a master was killed, though they had been kept
	Zombies    int // writes of an attempt after the next had claimed
	Costs      int // searches that began with less than was kept
}

// judge waits for the end of a job whose master was killed at a moment.
func (f *fleet) judge(v *verdict, j *job, killed int64) {
	f.t.Helper()
	<-j.done
	want := 1
	if j.kind == "units" {
		want = sumOfSquares(j.n)
	}
	if j.err != nil || string(j.outcome.Result) != fmt.Sprint(want) {
		f.t.Errorf("%s: got %s (%s), %v, want %d", j.id, j.outcome.Result, j.outcome.Reason, j.err, want)
	}
	es := read(f.t, f.logs, j.id)
	v.Jobs++
	v.Zombies += zombieWrites(es)
	if j.kind == "units" {
		f.judgeUnits(v, j, es, killed)
	} else {
		judgeSearch(v, es)
	}
}

func (f *fleet) judgeUnits(v *verdict, j *job, es []event, killed int64) {
	f.t.Helper()
	v.Units += j.n
	computed, since := map[int]int{}, map[int]int{}
	doneBefore, kept, again := map[int]bool{}, map[int]bool{}, map[int]bool{}
	collected := map[uint64]map[int]int{} // by the master's value
	var last uint64
	for _, e := range es {
		switch {
		case e.What == ends:
			computed[e.Unit]++
			if e.At < killed {
				doneBefore[e.Unit] = true
			} else {
				since[e.Unit]++
			}
		case e.What == keeps && e.At < killed:
			for _, u := range e.Kept {
				kept[u] = true
			}
		case e.What == begins && e.At > killed && kept[e.Unit]:
			again[e.Unit] = true
			f.t.Logf("%s: unit %d was kept, and begun again on %s %v after the kill", j.id, e.Unit, e.Server, time.Duration(e.At-killed))
		case e.What == collects:
			if collected[e.Value] == nil {
				collected[e.Value] = map[int]int{}
			}
			collected[e.Value][e.Unit]++
			last = e.Value
		}
	}
	for u := range j.n {
		v.Computed += computed[u]
		if computed[u] > 1 {
			v.Again++
		}
		if since[u] > 1 {
			v.Twice++
		}
		if collected[last][u] != 1 {
			f.t.Errorf("%s: the last attempt has collected unit %d %d times", j.id, u, collected[last][u])
		}
		if doneBefore[u] && !kept[u] {
			v.Unrecorded++
		}
	}
	v.Violations += len(again)
}

// judgeSearch sees to it that each attempt began with no less than was kept.
func judgeSearch(v *verdict, es []event) {
	best := 0
	for _, e := range es {
		if e.What != keeps || e.Cost == 0 {
			continue
		}
		if best > 0 && e.Cost > best {
			v.Costs++
		}
		best = e.Cost
	}
}

func (v *verdict) report(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: %d jobs completed, all right; %d units, computed %d times; %d of them more than once, %d were not recorded when a master went, %d were with two afterwards; "+
		"begun again although recorded: %d; writes of zombies taken: %d; searches that fell behind: %d",
		what, v.Jobs, v.Units, v.Computed, v.Again, v.Unrecorded, v.Twice, v.Violations, v.Zombies, v.Costs)
	if v.Violations+v.Zombies+v.Costs > 0 || v.Again > v.Unrecorded+v.Twice {
		t.Errorf("%+v", *v)
	}
}

// kindOf alternates between the two shapes.
func kindOf(i int) (kind string, n int) {
	if i%2 == 0 {
		return "units", 150
	}
	return "search", 100
}

func killMasters(t *testing.T, o order, times int) {
	f := newFleet(t, o)
	var v verdict
	killed := 0
	for i := 0; killed < times; i++ {
		kind, n := kindOf(i)
		j := f.submit(kind, fmt.Sprint("kill-", i), n)
		moment := rand.N(700 * time.Millisecond)
		name := f.master(j)
		time.Sleep(moment)
		at := time.Now().UnixNano()
		if !j.over() {
			f.servers[name].kill()
			delete(f.servers, name)
			killed++
		}
		f.judge(&v, j, at)
		f.fill()
	}
	v.report(t, fmt.Sprintf("%s: %d masters killed", o.Broker, killed))
}

func stopMasters(t *testing.T, o order, times int) {
	f := newFleet(t, o)
	var v verdict
	for i := range times {
		kind, n := kindOf(i)
		j := f.submit(kind, fmt.Sprint("stop-", i), n)
		name := f.master(j)
		time.Sleep(rand.N(300 * time.Millisecond))
		at := time.Now().UnixNano()
		p := f.servers[name].cmd.Process
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		next := f.master(j, name)
		time.Sleep(rand.N(300 * time.Millisecond))
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if next == "" {
			t.Errorf("%s ended without another master", j.id)
		}
		<-j.done
		time.Sleep(time.Second) // in which the zombie tries what it can
		f.judge(&v, j, at)
	}
	v.report(t, fmt.Sprintf("%s: %d masters stopped for longer than their lease", o.Broker, times))
}

func onNATS(t *testing.T) order {
	t.Helper()
	node := start(t, order{Name: "broker", Dir: t.TempDir()})
	return order{Broker: "nats", URL: node.ready(t)}
}

func TestMastersAreKilled(t *testing.T) { killMasters(t, onNATS(t), *kills) }

func TestMastersAreStoppedForLongerThanTheirLease(t *testing.T) { stopMasters(t, onNATS(t), *stops) }
