package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// childVar has the order of a child in the environment.
const childVar = "OCCAMY_BENCH_CHILD"

// A child process measures a family, or one side of it for one round.
type childOrder struct {
	Family int
	Side   string // "value", "reference"; empty: all rounds of both
	Rounds int
	Scale  float64
	Round  int

	Profile string // where to write a CPU profile; empty: none
}

// childMain does what the environment orders; false when it orders nothing.
func childMain() (bool, error) {
	if done, err := natsMain(); done {
		return true, err
	}
	if done, err := helperMain(); done {
		return true, err
	}
	text := os.Getenv(childVar)
	if text == "" {
		return false, nil
	}
	var o childOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return true, fmt.Errorf("%s: %w", childVar, err)
	}
	f := families()[o.Family]
	if f.procs > 0 {
		runtime.GOMAXPROCS(f.procs)
	}
	p := plan{rounds: o.Rounds, scale: o.Scale, round: o.Round}
	if o.Profile != "" {
		file, err := os.Create(o.Profile)
		if err != nil {
			return true, err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return true, err
		}
		defer pprof.StopCPUProfile()
	}
	var answer any
	var err error
	switch o.Side {
	case "":
		answer, err = f.measure(p, func(s side, name string, p plan) (sample, error) {
			if f.isolated {
				var got sample
				err := child(childOrder{Family: o.Family, Side: name, Rounds: p.rounds, Scale: p.scale, Round: p.round}, &got)
				return got, err
			}
			runtime.GC()
			var got sample
			var err error
			pprof.Do(context.Background(), pprof.Labels("side", name), func(context.Context) { got, err = s(p) })
			return got, err
		})
	case "value":
		answer, err = f.value(p)
	case "reference":
		answer, err = f.reference(p)
	}
	if err != nil {
		return true, err
	}
	return true, json.NewEncoder(os.Stdout).Encode(answer)
}

func measureInChild(i int, f family, p plan, profiles string) ([]result, error) {
	o := childOrder{Family: i, Rounds: p.rounds, Scale: p.scale}
	if profiles != "" {
		o.Profile = filepath.Join(profiles, f.rows[0].name+".pprof")
	}
	var got []result
	err := child(o, &got)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.rows[0].name, err)
	}
	return got, nil
}

// child runs this program again and reads what it prints.
func child(o childOrder, into any) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVar+"="+string(text))
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	return json.Unmarshal(out.Bytes(), into)
}
