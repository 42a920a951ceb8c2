package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/occamy-go/occamy/chaos/record"
)

// read returns the events of all logs in a folder by their times, and the lines
// that are none: a log that was torn cannot be believed.
func read(dir string) (events []record.Event, torn []string, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+record.Suffix))
	if err != nil {
		return nil, nil, err
	}
	if len(paths) == 0 {
		return nil, nil, fmt.Errorf("no audit logs in %s", dir)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		more, bad := parse(filepath.Base(path), text)
		events, torn = append(events, more...), append(torn, bad...)
	}
	if len(events) == 0 {
		return nil, nil, errors.New("the audit logs are empty")
	}
	slices.SortStableFunc(events, func(a, b record.Event) int { return a.Time.Compare(b.Time) })
	return events, torn, nil
}

func parse(name string, text []byte) (events []record.Event, torn []string) {
	for n := 1; len(text) > 0; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		text = rest
		var e record.Event
		err := json.Unmarshal(line, &e)
		if !whole {
			err = cmp.Or(err, errors.New("the line has no end"))
		}
		if err == nil && (e.What == "" || e.Time.IsZero()) {
			err = errors.New("no event")
		}
		if err != nil {
			torn = append(torn, fmt.Sprintf("%s, line %d: %v", name, n, err))
			continue
		}
		events = append(events, e)
	}
	return events, torn
}
