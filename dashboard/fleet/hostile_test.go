package fleet

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/memory"
)

// heap is what a View keeps of what it hears, in bytes.
func heap(t *testing.T, hear func(v *View)) int64 {
	t.Helper()
	b := memory.New(memory.Options{})
	v := NewView(b)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	hear(v)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(v)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestView_KeepsLittleOfLargeAnnouncements(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		hear func(v *View, i int)
		most int64 // MiB
	}{
		"long texts": {most: 4, hear: func(v *View, i int) {
			v.hear(fmt.Appendf(nil, `{"server":"s","seq":%d,"size":1,"events":[{"n":%[1]d,"type":"started","id":"%[1]d%s"}]}`, i+1, strings.Repeat("x", maxBody-1000)))
		}},
		"all too long": {most: 1, hear: func(v *View, i int) {
			v.hear(fmt.Appendf(nil, `{"server":"s%d","seq":1,"size":1,"events":[{}%s]}`, i, strings.Repeat(`,{}`, mib)))
		}},
		"many kinds": {most: 4, hear: func(v *View, i int) {
			v.hear(fmt.Appendf(nil, `{"server":"s%d","seq":1,"size":1,"kinds":["k"%s]}`, i, strings.Repeat(`,""`, mib/16)))
		}},
		"many slots": {most: 40, hear: func(v *View, i int) {
			for n := range 10 {
				v.hear(fmt.Appendf(nil, `{"server":"s%d-%d","seq":1,"size":%d}`, i, n, maxSlots))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			kept := heap(t, func(v *View) {
				for i := range 16 {
					c.hear(v, i)
				}
			})
			if kept > c.most*mib {
				t.Errorf("it keeps %d MiB", kept/mib)
			}
		})
	}
}

// hears is a View that is told announcements, in virtual time.
func hears(t *testing.T, f func(v *View, say func(format string, args ...any))) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		v := NewView(b)
		over := make(chan error, 1)
		go func() { over <- v.Run(ctx) }()
		v.Since(0)
		synctest.Wait()
		f(v, func(format string, args ...any) { v.hear(fmt.Appendf(nil, format, args...)) })
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

func (v *View) state(id string) string {
	u, _ := v.Since(0)
	for _, s := range u.Servers {
		if s.ID == id {
			return s.State
		}
	}
	return ""
}

// A server may come back on a machine, or after a step, whose clock is behind.
func TestView_AServerComesBackWithAnEarlierClock(t *testing.T) {
	hears(t, func(v *View, say func(string, ...any)) {
		say(`{"server":"s","epoch":9,"seq":7,"size":1}`)
		say(`{"server":"s","epoch":5,"seq":1,"size":1,"state":"draining"}`)
		if got := v.state("s"); got != stateUp {
			t.Errorf("%s while the one of the later clock is there", got)
		}
		time.Sleep(goneAfter + 2*lookEvery)
		if got := v.state("s"); got != stateGone {
			t.Errorf("%s, want gone", got)
		}
		say(`{"server":"s","epoch":5,"seq":2,"size":1}`)
		if got := v.state("s"); got != stateUp {
			t.Errorf("%s after it came back", got)
		}
	})
}

// In a fleet that is scaled up and down, IDs are new each time.
func TestView_ServersThatAreGoneMakeRoom(t *testing.T) {
	hears(t, func(v *View, say func(string, ...any)) {
		for i := range maxServers {
			say(`{"server":"s%d","epoch":1,"seq":1,"size":1}`, i)
		}
		say(`{"server":"new","epoch":1,"seq":1,"size":1}`)
		if got := v.state("new"); got != "" {
			t.Errorf("%s where there is no room", got)
		}
		_, before := v.Since(0)
		say(`{"server":"s7","epoch":1,"seq":2,"bye":true,"size":1}`)
		say(`{"server":"new","epoch":1,"seq":2,"size":1}`)
		if got := v.state("new"); got != stateUp {
			t.Errorf("%q, want up", got)
		}
		if u, _ := v.Since(before); len(u.Removed) != 1 || u.Removed[0] != "s7" {
			t.Errorf("removed %q, want s7", u.Removed)
		}
	})
}

// feed carries what an Announcer says to a View, unless it is lost.
type feed struct {
	*memory.Broker
	loses atomic.Bool
}

func (f *feed) Announce(ctx context.Context, topic string, body []byte) error {
	if f.loses.Load() && topic == topicState {
		return nil
	}
	return f.Broker.Announce(ctx, topic, body)
}

// snapshots is a server.
type snapshots func() occamy.Snapshot

func (f snapshots) Snapshot() occamy.Snapshot { return f() }

// announced has a server announced to a view while f runs, in virtual time.
func announced(t *testing.T, server func(occamy.ResourceMonitor) Server, f func(v *View, b *feed, m occamy.ResourceMonitor)) {
	synctest.Test(t, func(t *testing.T) {
		b := &feed{Broker: memory.New(memory.Options{})}
		ctx, cancel := context.WithCancel(t.Context())
		a, v := NewAnnouncer(b), NewView(b)
		over := make(chan error, 2)
		m := a.Monitors().Resource
		go func() { over <- a.Run(ctx, server(m)) }()
		go func() { over <- v.Run(ctx) }()
		v.Since(0)
		time.Sleep(time.Second)
		f(v, b, m)
		cancel()
		for range 2 {
			if err := <-over; err != nil {
				t.Error(err)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// What was lost is made up for, whatever else happens.
func TestAnnouncer_ABusyServerSaysAllAgain(t *testing.T) {
	placed := make(chan struct{})
	server := snapshots(func() occamy.Snapshot {
		slots := []occamy.SlotInfo{{Status: occamy.Empty}}
		select {
		case <-placed:
			slots[0] = occamy.SlotInfo{Status: occamy.Protected, Phase: occamy.Running, ID: "r", Request: "r"}
		default:
		}
		return occamy.Snapshot{Server: "s", Slots: slots}
	})
	announced(t, func(occamy.ResourceMonitor) Server { return server }, func(v *View, b *feed, m occamy.ResourceMonitor) {
		b.loses.Store(true)
		close(placed)
		m.RecordSlot(occamy.SlotChange{ID: "r", To: occamy.Protected})
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		b.loses.Store(false)
		for range 20 {
			m.RecordSlot(occamy.SlotChange{ID: "other", To: occamy.Empty})
			time.Sleep(500 * time.Millisecond)
			v.Since(0)
		}
		if task, _ := v.Task("r"); len(task.Places) != 1 {
			t.Errorf("10 s later, r is not known to run: %+v", task)
		}
	})
}

func TestAnnouncer_DrainingHidesNoOtherEvent(t *testing.T) {
	looks := 0
	announced(t, func(m occamy.ResourceMonitor) Server {
		return snapshots(func() occamy.Snapshot {
			looks++
			if looks == 3 { // as it begins to drain
				m.RecordSlot(occamy.SlotChange{ID: "r", To: occamy.Protected})
			}
			return occamy.Snapshot{Server: "s", Draining: looks >= 3}
		})
	}, func(v *View, _ *feed, _ occamy.ResourceMonitor) {
		time.Sleep(3 * time.Second)
		var got []EventType
		u, _ := v.Since(0)
		for _, e := range u.Events {
			got = append(got, e.Type)
		}
		if fmt.Sprint(got) != fmt.Sprint([]EventType{Joined, Started, Draining}) {
			t.Errorf("events %v", got)
		}
	})
}
