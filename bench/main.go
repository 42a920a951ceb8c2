package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	if done, err := childMain(); done {
		exit(err)
	}
	asJSON := flag.Bool("json", false, "print one JSON object instead of a table")
	rounds := flag.Int("rounds", 5, "how often each side is measured, at least 5")
	profiles := flag.String("profiles", "", "write a CPU profile of each family into this folder; its samples are labelled side=value or side=reference")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: bench [-json] [-rounds N] [-profiles DIR] [NAME…]\n\n")
		flag.PrintDefaults()
		fmt.Fprintf(flag.CommandLine.Output(), "\nrows: %s\n", strings.Join(rowNames(), " "))
	}
	flag.Parse()
	if *rounds < 5 {
		fmt.Fprintln(os.Stderr, "bench: -rounds must be at least 5")
		os.Exit(2)
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	exit(run(os.Stdout, os.Stderr, chosen, plan{rounds: *rounds, scale: 1}, output{json: *asJSON, profiles: *profiles}))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func rowNames() []string {
	var names []string
	for _, f := range families() {
		for _, r := range f.rows {
			names = append(names, r.name)
		}
	}
	return names
}

// choose checks names against the rows there are; none means all.
func choose(names []string) (map[string]bool, error) {
	all := rowNames()
	if len(names) == 0 {
		names = all
	}
	chosen := make(map[string]bool)
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("no row %q; there are %s", n, strings.Join(all, " "))
		}
		chosen[n] = true
	}
	return chosen, nil
}

type output struct {
	json     bool
	profiles string // a folder for CPU profiles; empty: none
}

// run measures the families that have a chosen row, each in a process of its
// own, and prints those rows, also when some could not be measured. Progress
// goes to log.
func run(out, log io.Writer, chosen map[string]bool, p plan, o output) error {
	results := []result{}
	var failed []error
	for i, f := range families() {
		if !slices.ContainsFunc(f.rows, func(r row) bool { return chosen[r.name] }) {
			continue
		}
		fmt.Fprintf(log, "bench: %s …\n", f.rows[0].name)
		got, err := measureInChild(i, f, p, o.profiles)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for k, r := range got {
			if chosen[r.Name] {
				r.goal = f.rows[k].goal
				results = append(results, r)
			}
		}
	}
	if o.json {
		failed = append(failed, json.NewEncoder(out).Encode(map[string][]result{"rows": results}))
	} else {
		failed = append(failed, table(out, results))
	}
	return errors.Join(failed...)
}

func table(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\tvalue\treference\tunit\tratio\tto reach\tnote")
	for _, r := range results {
		ratio := "–"
		if r.Ratio != nil {
			ratio = fmt.Sprintf("%.2f", *r.Ratio)
		}
		fmt.Fprintf(w, "%s\t%.4g\t%.4g\t%s\t%s\t%s\t%s\n", r.Name, r.Value, r.Reference, r.Unit, ratio, r.goal, r.Note)
	}
	return w.Flush()
}
