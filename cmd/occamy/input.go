package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// payload is what a message to a task is made from: the flags --file and
// --header.
type payload struct {
	file    string
	headers []string
}

func (p *payload) flags(f *pflag.FlagSet) {
	f.StringVarP(&p.file, "file", "f", "", "take the body from this `FILE`; - is standard input")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "add a header `KEY=VALUE`; may be repeated")
}

// read returns the headers and the body; without --file the body is empty.
func (p *payload) read(stdin io.Reader) (occamy.Headers, []byte, error) {
	headers := make(occamy.Headers, len(p.headers))
	for _, h := range p.headers {
		key, value, ok := strings.Cut(h, "=")
		if !ok || key == "" {
			return nil, nil, usage("header "+quote(h)+" is not KEY=VALUE", "for instance --header time-limit=5s")
		}
		headers[key] = value
	}
	if err := broker.CheckHeaders(headers); err != nil {
		return nil, nil, err
	}
	switch p.file {
	case "":
		return headers, nil, nil
	case "-":
		body, err := io.ReadAll(stdin)
		if err != nil {
			return nil, nil, fmt.Errorf("read standard input: %w", err)
		}
		return headers, body, nil
	}
	body, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, hinted(fmt.Errorf("no such file: %s", p.file), "the path is taken from the current directory")
	}
	if err != nil {
		return nil, nil, hinted(err, "--file wants a file that can be read")
	}
	return headers, body, nil
}

// deadline reads a moment in RFC 3339, or a duration from now.
func deadline(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || !at.After(now) {
		return time.Time{}, usage("deadline "+quote(s)+" is not a moment to come", "for instance 10m, or "+now.Add(time.Hour).UTC().Format(time.RFC3339))
	}
	return at, nil
}
