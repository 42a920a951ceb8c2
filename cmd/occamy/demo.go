package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/client"
)

// demoLimit bounds a demo that hangs.
const demoLimit = 60 * time.Second

func (a *app) demoVerb() *cobra.Command {
	var slots int
	var picture string
	var web httpConfig
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch the main job end to end on this machine",
		Long: `Demo runs a broker and two servers in this process, gives them real route
planning requests, and draws what happens: a request alone grows onto every
spare slot of both servers; a burst of requests starts at once, since helpers
give way; helpers come back as requests finish; a control message and a cancel
reach a running task; one server is shut down in the middle and its request goes
on at the other from where it was. It takes about half a minute, leaves nothing
behind, and ends with a table of what was measured in that run.

A page shows the same in a browser, at the address that it prints first.
OCCAMY_HTTP_TOKEN counts here as with 'occamy serve'.`,
		Args: takes(),
	}
	cmd.Flags().IntVar(&slots, "slots", 0, "the `NUMBER` of slots of each of the two servers; 0 means one for each CPU, at most 4")
	cmd.Flags().StringVar(&picture, "picture", "", "write a picture of the slots over time to this `FILE`, as SVG")
	cmd.Flags().StringVar(&web.HTTP, "http", "", "`ADDRESS` of the page, or none (default "+defaultHTTP+", or a free port where that is taken)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cpus := runtime.GOMAXPROCS(0)
		if slots == 0 {
			slots = min(cpus, 4)
		}
		if slots < 1 || slots > cpus {
			return usage(fmt.Sprintf("%d slots for each of two servers on %d CPUs", slots, cpus), "--slots 1 to the number of CPUs")
		}
		environment, err := a.httpFromEnvironment()
		if err != nil {
			return err
		}
		web = web.or(environment)
		if err := web.check(); err != nil {
			return err
		}
		ctx, stop := a.untilInterrupt(cmd.Context())
		defer stop()
		ctx, cancel := context.WithTimeoutCause(ctx, demoLimit, errors.New("the demo did not end in time"))
		defer cancel()
		return a.demo(ctx, slots, picture, web)
	}
	return cmd
}

// demo is a run of the demo: the broker, its two servers, what they are seen to
// do, and who draws it.
type demo struct {
	client  *client.Client
	servers []*demoServer
	meter   *meter
	screen  *screen
}

// demoServer is one of the two servers, with a connection of its own, as if it
// stood on another machine.
type demoServer struct {
	name string
	*occamy.Server
	broker broker.Broker
	served chan error
	ended  time.Time // zero while it runs
}

func (a *app) demo(ctx context.Context, slots int, picture string, web httpConfig) (err error) {
	dir, err := os.MkdirTemp("", "occamy-demo-")
	if err != nil {
		return hinted(fmt.Errorf("make a data directory: %w", err), "TMPDIR names another place")
	}
	defer os.RemoveAll(dir)
	site, err := a.openSite(web, func(line string) { a.note(line, "") })
	if err != nil {
		return err
	}
	defer site.close()
	natsServer, err := embedded.Start(embedded.Config{Dir: dir, Port: embedded.AnyPort})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, natsServer.Shutdown(context.WithoutCancel(ctx))) }()
	previous := occamy.ReserveProcs(2 * slots)
	defer runtime.GOMAXPROCS(previous)

	d := &demo{meter: newMeter()}
	connect := func() (broker.Broker, error) {
		return nats.Open(ctx, nats.Config{URL: natsServer.URL()})
	}
	for _, name := range []string{"A", "B"} {
		b, err := connect()
		if err != nil {
			return err
		}
		defer b.Close()
		store, hangUp, err := a.openCheckpoint(ctx, serveConfig{}, b)
		if err != nil {
			return err
		}
		defer hangUp()
		announcer := newAnnouncer(b)
		defer announcer.close()
		server, err := occamy.New(occamy.Config{ID: name, Slots: slots, Monitors: announcer.monitors(), Handler: d.meter.handler(newMux(assist.Config{Broker: b, Store: store}))})
		if err != nil {
			return err
		}
		announcer.run(server, func(err error) { a.note(oneLine(err), "") })
		s := &demoServer{name: name, Server: server, broker: b, served: make(chan error, 1)}
		d.servers = append(d.servers, s)
		defer d.stop(context.Background(), s)
	}
	b, err := connect()
	if err != nil {
		return err
	}
	defer b.Close()
	d.client = client.New(b)
	site.show(b)
	site.serve()
	defer site.close() // before the broker

	d.screen = newScreen(a, d)
	for _, s := range d.servers {
		go func() { s.served <- s.Serve(ctx, s.broker) }()
	}
	if err := d.ready(ctx); err != nil {
		return err
	}
	if site != nil {
		d.screen.say("the same in a browser: %s", site.url())
	}
	go d.screen.run()
	requests, err := d.play(ctx, slots)
	d.screen.end()
	if err != nil {
		return err
	}
	if picture != "" {
		if err := writePicture(picture, d.servers, d.screen.frames, time.Since(d.screen.start)); err != nil {
			return err
		}
	}
	return a.printDemo(d.report(requests))
}

// ready waits until both servers take requests.
func (d *demo) ready(ctx context.Context) error {
	for {
		up, err := d.client.Servers(ctx, answerTime)
		if err != nil || len(up) == len(d.servers) {
			return err
		}
	}
}

// stop ends a server at once: what it runs goes back to the broker.
func (d *demo) stop(ctx context.Context, s *demoServer) {
	if !s.ended.IsZero() {
		return
	}
	s.ended = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Shutdown(ctx); err != nil {
		d.screen.say("server %s: %v", s.name, err)
	}
	if err := <-s.served; err != nil {
		d.screen.say("server %s: %v", s.name, err)
	}
}
