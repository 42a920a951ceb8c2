package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/occamy-go/occamy"
)

const manySlots = 10_000

// idleCPUFamily: whether a server that has nothing to do does nothing.
func idleCPUFamily() family {
	return family{
		isolated: true,
		rows: []row{{
			name: "idle_cpu", unit: "% of a core", noRatio: true, goal: "value − reference < 0.1",
			about: "CPU time over 5 s of a process with a server of 10,000 slots and one task that cannot expand; reference: the process without a server",
			extra: func(values, references []sample) string {
				return fmt.Sprintf("difference %.4g", median(column(values, "idle_cpu"))-median(column(references, "idle_cpu")))
			},
		}},
		value: func(p plan) (_ sample, err error) {
			s, err := newServer(occamy.Config{Slots: manySlots}, noopKinds)
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, s.stop()) }()
			if err := s.occupy("hold", 1); err != nil {
				return nil, err
			}
			return idle(p)
		},
		reference: idle,
	}
}

// idle gives the share of a core that the process uses while it is let alone.
func idle(p plan) (sample, error) {
	runtime.GC()
	before, err := cpuTime()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	time.Sleep(p.duration(5 * time.Second))
	after, err := cpuTime()
	if err != nil {
		return nil, err
	}
	return sample{"idle_cpu": 100 * float64(after-before) / float64(time.Since(begin))}, nil
}

// slotMemoryFamily: what a busy slot takes beyond its task.
func slotMemoryFamily() family {
	return family{
		isolated: true,
		rows: []row{{
			name: "slot_memory", unit: "bytes", goal: "≤ 1.5",
			about: "heap and stacks in use for each of 10,000 busy slots, the empty server among them, messages not; reference: goroutines that wait on a context",
			extra: func(values, references []sample) string {
				return fmt.Sprintf("%.4g heap + %.4g stack, of the reference %.4g + %.4g",
					median(column(values, "heap")), median(column(values, "stack")),
					median(column(references, "heap")), median(column(references, "stack")))
			},
		}},
		value: slotMemory, reference: bareMemory,
	}
}

func slotMemory(plan) (_ sample, err error) {
	t := newTally(-1)
	messages := make([]*message, manySlots)
	for i := range messages {
		messages[i] = newMessage(t, "hold", fmt.Sprintf("hold-%d", i))
	}
	before := inUse()
	s, err := newServer(occamy.Config{Slots: manySlots}, noopKinds)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, m := range messages {
		s.HandleRequest(m)
	}
	if err := s.full(); err != nil {
		return nil, err
	}
	figures := inUse().since(before)
	runtime.KeepAlive(messages)
	return figures, nil
}

func bareMemory(plan) (sample, error) {
	cancels := make([]context.CancelFunc, manySlots)
	before := inUse()
	for i := range cancels {
		ctx, cancel := context.WithCancel(context.Background())
		cancels[i] = cancel
		go func() { <-ctx.Done() }()
	}
	time.Sleep(100 * time.Millisecond) // until all wait
	figures := inUse().since(before)
	for _, cancel := range cancels {
		cancel()
	}
	return figures, nil
}

type memory struct{ heap, stack uint64 }

// inUse is what is left after collections that also shrink stacks.
func inUse() memory {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{m.HeapAlloc, m.StackInuse}
}

func (m memory) since(before memory) sample {
	heap := (float64(m.heap) - float64(before.heap)) / manySlots
	stack := (float64(m.stack) - float64(before.stack)) / manySlots
	return sample{"slot_memory": heap + stack, "heap": heap, "stack": stack}
}
