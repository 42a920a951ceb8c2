package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/occamy-go/occamy"
)

// duration is a time.Duration that JSON has as a string, such as "1.5s".
type duration time.Duration

// UnmarshalJSON reads what time.ParseDuration does.
func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string such as \"1.5s\", not %s", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return err
	}
	*d = duration(v)
	return nil
}

// serveConfig is the file that serve reads: the fields of occamy.Config that
// make sense in a file, and what the flags of serve say. A field that is left
// out has its default; a flag that is given wins.
type serveConfig struct {
	settings

	DataDir string   `json:"data_dir"`
	Listen  string   `json:"listen"`
	Sync    *bool    `json:"sync"`
	Grace   duration `json:"grace"`

	MaxPayload int `json:"max_payload"` // of the embedded broker

	checkpointConfig
	httpConfig

	OTLP string `json:"otlp"`
	Log  string `json:"log"`

	ID              string   `json:"id"`
	Kinds           []string `json:"kinds"`
	Slots           int      `json:"slots"`
	Headroom        int      `json:"headroom"`
	MaxHeadroom     int      `json:"max_headroom"`
	HeadroomMemory  duration `json:"headroom_memory"`
	MaxBody         int      `json:"max_body"`
	ExpansionPeriod duration `json:"expansion_period"`
	RefillDelay     duration `json:"refill_delay"`
	RebalanceMoves  int      `json:"rebalance_moves"`
	HandlerTimeout  duration `json:"handler_timeout"`
	ExpandTimeout   duration `json:"expand_timeout"`
	KillTimeout     duration `json:"kill_timeout"`
	SettleTimeout   duration `json:"settle_timeout"`
	CancelMemory    duration `json:"cancel_memory"`
	MaxCancelled    int      `json:"max_cancelled"`
	MaxBacklog      int      `json:"max_backlog"`
	MaxBacklogBytes int      `json:"max_backlog_bytes"`
	InboxSize       int      `json:"inbox_size"`
}

// readConfig reads a file over the defaults.
func readConfig(path string) (serveConfig, error) {
	c := serveConfig{Grace: duration(defaultGrace)}
	if path == "" {
		return c, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return c, hinted(fmt.Errorf("read the config: %w", err), "--config wants a JSON file")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err = dec.Decode(&c)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return c, &failure{
			err:  fmt.Errorf("config %s: %w", path, err),
			hint: `a JSON object such as {"slots": 4, "kill_timeout": "500ms"}; 'occamy serve --help' names the fields`,
			code: exitUsage,
		}
	}
	return c, nil
}

// server is the part of the config that is the library's.
func (c serveConfig) server() occamy.Config {
	return occamy.Config{
		ID:              c.ID,
		Kinds:           c.Kinds,
		Slots:           c.Slots,
		Headroom:        c.Headroom,
		MaxHeadroom:     c.MaxHeadroom,
		HeadroomMemory:  time.Duration(c.HeadroomMemory),
		MaxBody:         c.MaxBody,
		ExpansionPeriod: time.Duration(c.ExpansionPeriod),
		RefillDelay:     time.Duration(c.RefillDelay),
		RebalanceMoves:  c.RebalanceMoves,
		HandlerTimeout:  time.Duration(c.HandlerTimeout),
		ExpandTimeout:   time.Duration(c.ExpandTimeout),
		KillTimeout:     time.Duration(c.KillTimeout),
		SettleTimeout:   time.Duration(c.SettleTimeout),
		CancelMemory:    time.Duration(c.CancelMemory),
		MaxCancelled:    c.MaxCancelled,
		MaxBacklog:      c.MaxBacklog,
		MaxBacklogBytes: c.MaxBacklogBytes,
		InboxSize:       c.InboxSize,
	}
}
