package main

import (
	"fmt"
	"syscall"
	"time"
)

// clock takes the time of something, and the CPU time that the process spends
// on it, which other processes on the machine lengthen less.
type clock struct {
	begin time.Time
	cpu   time.Duration
}

func startClock() (clock, error) {
	cpu, err := cpuTime()
	return clock{time.Now(), cpu}, err
}

// sample gives the time for each of n in a unit, and the CPU time for notes.
func (c clock) sample(name string, unit time.Duration, n int) (sample, error) {
	took := time.Since(c.begin)
	cpu, err := cpuTime()
	each := float64(unit) * float64(n)
	return sample{name: float64(took) / each, name + " cpu": float64(cpu-c.cpu) / each}, err
}

func cpuNote(name string) func(values, references []sample) string {
	return func(values, references []sample) string {
		v, r := median(column(values, name+" cpu")), median(column(references, name+" cpu"))
		return fmt.Sprintf("CPU time %.4g, of the reference %.4g: ratio %.2f", v, r, v/r)
	}
}

func cpuTime() (time.Duration, error) {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano()), nil
}
