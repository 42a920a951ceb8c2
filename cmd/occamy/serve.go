package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/monitor"
	occamyslog "github.com/occamy-go/occamy/monitor/slog"
)

// defaultGrace is how long protected tasks may run on after an interrupt.
const defaultGrace = 30 * time.Second

// intakeTimeout bounds how long serve waits until it can be reached.
const intakeTimeout = 10 * time.Second

func (a *app) serveVerb() *cobra.Command {
	var flags serveConfig
	var file string
	var syncWrites bool
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve requests; with a broker of its own unless told otherwise",
		Long: `Serve takes requests from a broker and runs them on its slots. It knows the kinds
"route" (shortest round trips over TSPLIB instances) and "price" (options by Monte
Carlo); a request of either grows onto spare slots of all servers.

The broker "embedded" is a NATS server inside this process that keeps its data
in the data directory; other servers and clients reach it at the address that
--listen says, with the user and password or the token that are set. Otherwise
--broker is the address of a NATS server or cluster, or of RabbitMQ.

An interrupt ends it in order: no more requests are taken, and protected tasks
may finish within --grace; what does not is handed to another server. A second
interrupt ends it at once.

With --checkpoint (or OCCAMY_CHECKPOINT) tasks keep their progress where an
attempt that has lost its request cannot overwrite it. The password of a database
is in OCCAMY_CHECKPOINT_PASSWORD or a file, as that of the broker is.

Over HTTP it answers on --http: a page that shows all servers and their tasks,
live, /metrics, /scale, /healthz and /readyz, and with --pprof /debug/pprof. On a
loopback address everybody on this machine may ask. Any other wants a token, in
OCCAMY_HTTP_TOKEN or a file, or client certificates; where there is one it is asked
for anywhere. --http-client-ca is OCCAMY_HTTP_CLIENT_CA and so on, --pprof is
OCCAMY_PPROF.

With --otlp (OCCAMY_OTLP, or OTEL_EXPORTER_OTLP_ENDPOINT) it tells an OpenTelemetry
collector of traces and metrics; the trace of a request begins with who submits
it, and reaches its assistants on other servers.

The fields of the config file are those of the flags (data_dir, listen, sync,
grace, slots, headroom, max_headroom, checkpoint, checkpoint_password_file, http,
http_token_file, http_tls_cert, http_tls_key, http_client_ca, pprof, otlp, log,
and those of
the connection, such as broker and tls_ca); password, token, http_token and
checkpoint_password; checkpoint_age, how long progress is kept after its last
save (default 168h); max_payload of the embedded broker; and id, kinds,
headroom_memory, max_body, expansion_period, refill_delay,
rebalance_moves, handler_timeout, expand_timeout, kill_timeout, settle_timeout,
cancel_memory, max_cancelled, max_backlog, max_backlog_bytes and inbox_size, as
occamy.Config documents them; durations are strings such as "1.5s". Flags win,
then the environment.`,
		Example: `  occamy serve --data-dir /var/lib/occamy
  occamy serve --broker tls://nats-1:4222,tls://nats-2:4222 --creds occamy.creds --replicas 3
  occamy serve --broker amqps://rabbit.example/prod --user occamy --password-file /run/secrets/rabbit`,
		Args: takes(),
	}
	f := cmd.Flags()
	flags.httpConfig.flags(f)
	flags.settings.flags(f, "embedded, or the `ADDRESS` of a broker (default embedded)")
	f.StringVar(&flags.DataDir, "data-dir", "", "`DIRECTORY` of the embedded broker (default: occamy in the user's data directory)")
	f.IntVar(&flags.Slots, "slots", 0, "the `NUMBER` of slots; 0 means one for each CPU")
	f.IntVar(&flags.Headroom, "headroom", 0, "the `NUMBER` of slots that are kept free for requests")
	f.IntVar(&flags.MaxHeadroom, "max-headroom", 0, "keep up to this `NUMBER` of slots free, as recent requests needed; 0 means --headroom")
	f.StringVar(&flags.Checkpoint, "checkpoint", "", "where tasks keep progress for the next attempt, a `PLACE`: nats, dir:PATH, postgres://USER@HOST/DATABASE or none (default nats with a NATS broker, none with RabbitMQ: set it there)")
	f.StringVar(&flags.CheckpointPasswordFile, "checkpoint-password-file", "", "read the password of that database from this `FILE`")
	f.StringVar(&file, "config", "", "read this JSON `FILE`")
	f.StringVar(&flags.Listen, "listen", defaultListen, "`ADDRESS` on which the embedded broker listens")
	f.StringVar(&flags.OTLP, "otlp", "", "tell the OpenTelemetry collector at this `URL` (OTLP over HTTP) of traces and metrics")
	f.StringVar(&flags.Log, "log", "", "log what happens to standard error in this `FORMAT`, text or json; without it only errors are told")
	f.BoolVar(&syncWrites, "sync", true, "have the embedded broker sync each write, so that a power cut loses nothing")
	f.DurationVar(&grace, "grace", defaultGrace, "how long protected tasks may run on after an interrupt, a `DURATION`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := readConfig(file)
		if err != nil {
			return err
		}
		given := f.Changed
		override(&c.Log, flags.Log, given("log"))
		if err := a.openLog(c.Log); err != nil {
			return err
		}
		if c.Password != "" || c.Token != "" || c.CheckpointPassword != "" || c.HTTPToken != "" {
			a.warnIfOpen(file)
		}
		environment, err := a.httpFromEnvironment()
		if err != nil {
			return err
		}
		c.httpConfig = flags.httpConfig.or(environment).or(c.httpConfig)
		if err := c.httpConfig.check(); err != nil {
			return err
		}
		c.checkpointConfig = flags.checkpointConfig.or(a.checkpointFromEnvironment()).or(c.checkpointConfig)
		if err := c.checkpointConfig.check(true); err != nil {
			return err
		}
		if c.settings, err = a.settle(flags.settings, c.settings); err != nil {
			return err
		}
		override(&c.Broker, embeddedAddress, false)
		override(&c.DataDir, flags.DataDir, given("data-dir"))
		override(&c.OTLP, flags.OTLP, given("otlp"))
		override(&c.Slots, flags.Slots, given("slots"))
		override(&c.Headroom, flags.Headroom, given("headroom"))
		override(&c.MaxHeadroom, flags.MaxHeadroom, given("max-headroom"))
		if c.Broker != embeddedAddress && (given("listen") || given("sync") || c.DataDir != "") {
			return usage("--data-dir, --listen and --sync are those of the embedded broker; the broker is "+quote(redact(c.Broker)),
				"leave them out, or --broker embedded; OCCAMY_BROKER counts too")
		}
		override(&c.Listen, flags.Listen, given("listen"))
		override(&c.Grace, duration(grace), given("grace"))
		if given("sync") || c.Sync == nil {
			c.Sync = &syncWrites
		}
		return a.serve(cmd.Context(), c)
	}
	return cmd
}

// override sets v to a flag's value if the flag was given, or to its default
// if v is zero.
func override[T comparable](v *T, flag T, given bool) {
	var zero T
	if given || *v == zero {
		*v = flag
	}
}

// ready is what serve prints with --json once it takes requests.
type ready struct {
	Status string   `json:"status"`
	Server string   `json:"server"`
	Broker string   `json:"broker"`
	Kinds  []string `json:"kinds"`
	Slots  int      `json:"slots"`
	HTTP   string   `json:"http,omitempty"`
}

// serve runs a server until an interrupt.
func (a *app) serve(ctx context.Context, c serveConfig) error {
	if c.Grace < 0 {
		return usage("grace "+time.Duration(c.Grace).String()+" is below zero", "for instance --grace 30s")
	}
	say := func(line string) { a.tell(slog.LevelWarn, line, "") }
	behind := &background{say: say}
	l := &link{say: say, background: behind.tell}
	config := c.server()
	if a.log != nil {
		config.Monitors = occamyslog.New(a.log).Monitors()
	} else {
		config.Monitors.Error = errorMonitor(func(err error) {
			if !ordinary(err) && !l.explains(err) {
				behind.tell(oneLine(err))
			}
		})
	}
	if err := checkServer(config); err != nil {
		return err
	}
	tele, err := a.openTelemetry(ctx, c.OTLP, behind.tell)
	if err != nil {
		return err
	}
	defer tele.close()
	site, err := a.openSite(c.httpConfig, behind.tell)
	if err != nil {
		return err
	}
	starting, started := a.untilInterrupt(ctx)
	defer started()
	b, err := a.openForServe(starting, c, l)
	if err != nil {
		site.close()
		return err
	}
	progress, closeProgress, err := a.openCheckpoint(starting, c, b)
	if err != nil {
		site.close()
		return errors.Join(err, b.Close())
	}
	config.Handler = newMux(assist.Config{Broker: b, Store: progress, OnError: l.failed, Inject: tele.tracer.Inject})
	announcer := newAnnouncer(b)
	config.Monitors = monitor.Tee(config.Monitors, site.monitors(), announcer.monitors())
	tele.configure(&config)
	server, err := occamy.New(config)
	if err != nil {
		site.close()
		closeProgress()
		return errors.Join(err, b.Close())
	}
	announcer.run(server, l.failed)
	tele.watch(server)
	site.watch(server, b)
	site.show(b)
	site.serve()
	occamy.ReserveProcs(c.Slots)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.WithoutCancel(ctx), b) }()
	awaitIntake(starting, b, server.Info().ID, served)
	started()

	s := server.Snapshot()
	if err = context.Cause(starting); !errors.Is(err, errInterrupted) {
		site.ready()
		err = a.report(ready{"serving", s.Server, b.Name(), s.Kinds, len(s.Slots), site.url()},
			"serving %s on %d slots as %s, broker %s%s", strings.Join(s.Kinds, ", "), len(s.Slots), s.Server, b.Name(), site)
	}
	if err == nil {
		select {
		case err := <-served:
			served <- err
		case <-ctx.Done():
		case <-a.signals:
		}
	}
	site.stopping()
	hangUp := func() error {
		site.close()
		announcer.close()
		l.close()
		behind.end()
		closeProgress()
		return b.Close()
	}
	return errors.Join(err, a.stop(ctx, server, served, hangUp, time.Duration(c.Grace)))
}

// awaitIntake waits until the server answers through its broker, so that what
// is submitted to it from then on finds it. It gives up when ctx or the server
// ends, and after intakeTimeout: a broker may be too busy to tell.
func awaitIntake(ctx context.Context, b broker.Broker, id string, served chan error) {
	ctx, cancel := context.WithTimeout(ctx, intakeTimeout)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		servers, err := b.Servers(ctx, wait)
		there := slices.ContainsFunc(servers, func(s occamy.Snapshot) bool { return s.Server == id })
		if there || err != nil || ctx.Err() != nil {
			return
		}
		select {
		case err := <-served:
			served <- err
			return
		default:
		}
	}
}

// checkServer finds what is wrong with a config before a broker is started.
func checkServer(config occamy.Config) error {
	mux := newMux(assist.Config{})
	for _, kind := range config.Kinds {
		if !slices.Contains(mux.Kinds(), kind) {
			return usage("unknown kind "+quote(kind), "known: "+strings.Join(mux.Kinds(), ", "))
		}
	}
	config.Handler = mux
	if _, err := occamy.New(config); err != nil {
		return usage(oneLine(err), "'occamy serve --help' tells what the flags and the config file take")
	}
	return nil
}

// errorMonitor is a function that is an occamy.ErrorMonitor.
type errorMonitor func(error)

// RecordError calls f.
func (f errorMonitor) RecordError(err error) { f(err) }

// ordinary tells whether an error is of what ordinary operation drops: help that
// came or was asked for too late, and words to a task that has just ended.
func ordinary(err error) bool {
	var task *occamy.TaskError
	late := errors.Is(err, occamy.ErrTimeout) && errors.As(err, &task) && task.Status == occamy.External
	return late || errors.Is(err, occamy.ErrOfferDropped) || errors.Is(err, occamy.ErrControlDropped)
}
