package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/dashboard/fleet"
)

// A fake fleet is a process with a broker and servers whose slots change as
// often as a test says, announced as those of real servers are. The ID of each
// task that begins tells when it began.

const fakeFleetEnv = "OCCAMY_E2E_FLEET" // servers, slots of each, changes a second of all

// startFakeFleet returns the address of its broker.
func startFakeFleet(t testing.TB, servers, slots, changes int) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d", fakeFleetEnv, servers, slots, changes))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url)
}

func runFakeFleet() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := fakeFleet(ctx, os.Getenv(fakeFleetEnv)); err != nil {
		fmt.Fprintln(os.Stderr, "fake fleet:", err)
		return 1
	}
	return 0
}

func fakeFleet(ctx context.Context, size string) error {
	var servers, slots, changes int
	if _, err := fmt.Sscan(size, &servers, &slots, &changes); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "occamy-e2e-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ns, err := embedded.Start(embedded.Config{Dir: dir, Port: embedded.AnyPort, RelaxSync: true})
	if err != nil {
		return err
	}
	defer func() { _ = ns.Shutdown(context.Background()) }()
	b, err := nats.Open(ctx, nats.Config{URL: ns.URL()})
	if err != nil {
		return err
	}
	defer b.Close()
	all := make([]*fakeServer, servers)
	var running sync.WaitGroup
	for i := range all {
		s := newFakeServer(fmt.Sprintf("server-%03d", i), slots, b)
		all[i] = s
		running.Go(func() {
			if err := s.announcer.Run(ctx, s); err != nil {
				fmt.Fprintln(os.Stderr, "fake fleet:", err)
			}
		})
	}
	fmt.Println(ns.URL())
	begun, every := time.Now(), time.NewTicker(time.Millisecond)
	defer every.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			running.Wait()
			return nil
		case now := <-every.C:
			for due := int(now.Sub(begun).Seconds() * float64(changes)); n < due; n++ { // none is left out on a busy machine
				all[n*7919%servers].change(n/servers*31%slots, now)
			}
		}
	}
}

// fakeServer is a server as its announcer sees it.
type fakeServer struct {
	announcer *fleet.Announcer
	monitors  occamy.Monitors

	mu   sync.Mutex
	snap occamy.Snapshot // guarded by mu
}

func newFakeServer(id string, slots int, feed *nats.Broker) *fakeServer {
	s := &fakeServer{announcer: fleet.NewAnnouncer(feed)}
	s.monitors = s.announcer.Monitors()
	s.snap = occamy.Snapshot{Server: id, Started: time.Now(), Kinds: []string{"work"}, Slots: make([]occamy.SlotInfo, slots)}
	for i := range s.snap.Slots {
		s.snap.Slots[i] = occamy.SlotInfo{Slot: i, Status: occamy.Empty}
	}
	return s
}

func (s *fakeServer) Snapshot() occamy.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := s.snap
	snap.Slots = append([]occamy.SlotInfo(nil), s.snap.Slots...)
	snap.Time = time.Now()
	return snap
}

// change begins a task in an empty slot, or ends the one in it.
func (s *fakeServer) change(i int, now time.Time) {
	s.mu.Lock()
	slot := &s.snap.Slots[i]
	c := occamy.SlotChange{Server: s.snap.Server, Slot: i, From: slot.Status, To: occamy.Empty, Kind: "work", Time: now, Attempt: 1}
	if slot.Status == occamy.Empty {
		status := []occamy.Status{occamy.Protected, occamy.Internal, occamy.External}[i%3]
		c.To, c.Phase = status, occamy.Running
		c.ID = "t" + strconv.FormatInt(time.Now().UnixMilli(), 10) + "-" + s.snap.Server
		c.Request = "request-" + strconv.Itoa(i%5)
		*slot = occamy.SlotInfo{Slot: i, Status: status, Phase: occamy.Running, ID: c.ID, Kind: "work", Request: c.Request, Owner: c.Request, Attempt: 1, Since: now}
	} else {
		c.ID, c.Request = slot.ID, slot.Request
		*slot = occamy.SlotInfo{Slot: i, Status: occamy.Empty}
	}
	s.mu.Unlock()
	s.monitors.Resource.RecordSlot(c)
}
