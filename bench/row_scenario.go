package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/occamy-go/occamy"
)

const (
	scenarioName   = "scenario_b"
	scenarioChunks = 20 // of a new request
	scenarioMinGap = 40 * time.Millisecond
	scenarioMaxGap = 60 * time.Millisecond
)

// scenarioFamily: how soon a new request has its minimum when another one uses
// all that there is.
func scenarioFamily() family {
	var steps int
	return family{
		rows: []row{{
			name: scenarioName, unit: "ms", goal: "≤ 2", extra: scenarioNote,
			about: "p99 from the planned submit of a request until its master computes its first unit, where another request's master and assistant compute in the two slots of two server processes on two cores, and look at their context every 100 µs; NATS in a third; reference: bare processes, of which one computes, and one is signalled, stops, and hands over to a third",
		}},
		begin:     calibrated(&steps),
		value:     func(p plan) (sample, error) { return scenarioSample(p, steps) },
		reference: func(p plan) (sample, error) { return bareScenario(p, steps) },
	}
}

func scenarioNote(values, references []sample) string {
	share := column(values, "preempted")
	return fmt.Sprintf("p50 %.4g, of the reference %.4g; of the requests that took the place of an assistant that computed, %.4g %% of all (%s)",
		median(column(values, "p50")), median(column(references, "p50")), median(share), span(share))
}

func scenarioSample(p plan, steps int) (sample, error) {
	return withFleet(func(ctx context.Context, fl *fleet) (_ sample, err error) {
		if _, err := fl.serve(ctx, 1); err != nil {
			return nil, err
		}
		const running = "running"
		if _, err := fl.client.Submit(ctx, unitsOrder{Chunks: 500, Steps: steps, Most: 1, Tell: math.MaxInt32}.request(running)); err != nil {
			return nil, err
		}
		if err := fl.until(ctx, "the master", slotHas(occamy.Protected)); err != nil {
			return nil, err
		}
		helping, err := fl.serve(ctx, 1)
		if err != nil {
			return nil, err
		}
		if err := fl.until(ctx, "the assistant", slotHas(occamy.External)); err != nil {
			return nil, err
		}
		if err := helping.hear("begun"); err != nil {
			return nil, err
		}
		planned := planMoments(p, p.duration(15*time.Second), scenarioMinGap, scenarioMaxGap)
		var sending publishing
		start := time.Now()
		go func() {
			for i, at := range planned {
				time.Sleep(time.Until(start.Add(at)))
				o := unitsOrder{Units: 1, Chunks: scenarioChunks, Steps: steps, Tell: i + 1}
				sending.publish(func() error {
					_, err := fl.client.Submit(ctx, o.request(fmt.Sprint("new-", i)))
					return err
				})
			}
		}()
		waits, err := hearBegun(helping, start, planned)
		err = errors.Join(err, sending.wait(), fl.client.Cancel(ctx, running))
		return sample{
			scenarioName: percentile(waits, 99), "p50": median(waits),
			"preempted": 100 * float64(len(waits)) / float64(len(planned)),
		}, err
	})
}

func slotHas(want occamy.Status) func([]occamy.Snapshot) bool {
	return func(all []occamy.Snapshot) bool {
		return slices.ContainsFunc(all, func(s occamy.Snapshot) bool {
			return slices.ContainsFunc(s.Slots, func(slot occamy.SlotInfo) bool { return slot.Status == want })
		})
	}
}

// hearBegun hears of all planned requests, and gives the waits in milliseconds of
// those that came while an assistant computed. The others had an empty slot.
func hearBegun(h *helper, start time.Time, planned []time.Duration) (waits []float64, err error) {
	assisted := true
	for left := len(planned); left > 0; {
		line, err := h.line("begun")
		if err != nil {
			return nil, err
		}
		var number int
		var at int64
		if _, err := fmt.Sscan(line, &number, &at); err != nil {
			return nil, err
		}
		if number > len(planned) {
			assisted = true
			continue
		}
		if assisted {
			waits = append(waits, float64(time.Unix(0, at).Sub(start)-planned[number-1])/float64(time.Millisecond))
		}
		assisted = false
		left--
	}
	return waits, nil
}

// bareScenario has three bare processes: one that computes, as the master does,
// one that computes until it is signalled, and one that computes instead then.
func bareScenario(p plan, steps int) (_ sample, err error) {
	toTaker, fromGiver, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	toGiver, fromTaker, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	var all []*helper
	defer func() { err = errors.Join(err, stopAll(all, nil)) }()
	start := func(role string, files ...*os.File) *helper {
		if err != nil {
			return nil
		}
		var h *helper
		if h, err = startHelper(helperOrder{Role: role, Procs: 2, Steps: steps}, files...); err == nil {
			all = append(all, h)
		}
		return h
	}
	start("burner")
	giver := start("giver", fromGiver, toGiver)
	taker := start("taker", toTaker, fromTaker)
	for _, f := range []*os.File{toTaker, fromGiver, toGiver, fromTaker} {
		err = errors.Join(err, f.Close()) // the helpers have them
	}
	if err != nil {
		return nil, err
	}
	planned := planMoments(p, p.duration(15*time.Second), scenarioMinGap, scenarioMaxGap)
	begin := time.Now()
	waits := make([]float64, len(planned))
	for i, at := range planned {
		time.Sleep(time.Until(begin.Add(at)))
		if err := giver.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			return nil, err
		}
		line, err := taker.line("begun")
		if err != nil {
			return nil, err
		}
		var at64 int64
		if _, err := fmt.Sscan(line, &at64); err != nil {
			return nil, err
		}
		waits[i] = float64(time.Unix(0, at64).Sub(begin)-at) / float64(time.Millisecond)
	}
	return sample{scenarioName: percentile(waits, 99), "p50": median(waits)}, nil
}

// helpAsBurner computes.
func helpAsBurner(o helperOrder, in *bufio.Reader, out io.Writer) error {
	go func() {
		for {
			step(o.Steps)
		}
	}()
	fmt.Fprintln(out, "ready")
	_, err := io.Copy(io.Discard, in)
	return err
}

// helpAsGiver computes. When it is signalled it writes a byte to descriptor 3,
// and computes on once it has one from descriptor 4.
func helpAsGiver(o helperOrder, in *bufio.Reader, out io.Writer) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	var asked atomic.Bool
	give, get := os.NewFile(3, "to the taker"), os.NewFile(4, "from the taker")
	go func() {
		for {
			for !asked.CompareAndSwap(true, false) {
				step(o.Steps)
			}
			if _, err := give.Write([]byte{1}); err != nil {
				return
			}
			if _, err := get.Read(make([]byte, 1)); err != nil {
				return
			}
		}
	}()
	go func() {
		for range signals {
			asked.Store(true)
		}
	}()
	fmt.Fprintln(out, "ready")
	_, err := io.Copy(io.Discard, in)
	return err
}

// helpAsTaker computes for a while whenever it gets a byte from descriptor 3, and
// then writes one to descriptor 4.
func helpAsTaker(o helperOrder, in *bufio.Reader, out io.Writer) error {
	get, give := os.NewFile(3, "from the giver"), os.NewFile(4, "to the giver")
	go func() {
		for {
			if _, err := get.Read(make([]byte, 1)); err != nil {
				return
			}
			fmt.Fprintf(out, "begun %d\n", time.Now().UnixNano())
			_ = spin(context.Background(), scenarioChunks, o.Steps)
			if _, err := give.Write([]byte{1}); err != nil {
				return
			}
		}
	}()
	fmt.Fprintln(out, "ready")
	_, err := io.Copy(io.Discard, in)
	return err
}
