package main

import (
	"net"
	"net/http"
	"net/http/pprof"
	"sync"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/internal/guard"
	"github.com/occamy-go/occamy/internal/ops"
	"github.com/occamy-go/occamy/internal/web"
	prommonitor "github.com/occamy-go/occamy/monitor/prometheus"
)

// site is what serve shows over HTTP. A nil one shows nothing.
type site struct {
	config   httpConfig
	listener net.Listener
	metrics  *prommonitor.Metrics
	mux      *http.ServeMux
	web      *web.Server
	ops      *ops.Ops // nil before watch
	tell     func(string)
	serving  chan struct{} // closed when it has ended; nil before serve
	endView  func()        // ends what show began
	viewing  sync.WaitGroup
}

// openSite takes the address of a site. Until serve, who calls waits. It
// returns nil where HTTP is turned off.
func (a *app) openSite(c httpConfig, tell func(string)) (*site, error) {
	if c.HTTP == httpNone {
		return nil, nil
	}
	if err := a.readHTTPSecrets(&c); err != nil {
		return nil, err
	}
	tlsConfig, err := c.tls(tell)
	if err != nil {
		return nil, err
	}
	s := &site{config: c, metrics: prommonitor.New(prommonitor.Options{}), mux: http.NewServeMux(), tell: tell, endView: func() {}}
	host, _, _ := net.SplitHostPort(c.HTTP) // "" names nothing
	handler, err := guard.New(guard.Config{
		Token: c.HTTPToken, Certificates: c.HTTPClientCA != "", Open: []string{"/healthz", "/readyz"}, Host: host,
	}, s.mux)
	if err != nil {
		return nil, err
	}
	if s.listener, err = a.listenHTTP(c); err != nil {
		return nil, err
	}
	s.web = web.New(web.Config{Handler: handler, TLS: tlsConfig, Tell: tell})
	return s, nil
}

// monitors tell the site what its server does.
func (s *site) monitors() occamy.Monitors {
	if s == nil {
		return occamy.Monitors{}
	}
	return s.metrics.Monitors()
}

// watch has the site answer for a server that has its requests from b, with
// profiles where the config asks for them. It is called before serve.
func (s *site) watch(server *occamy.Server, b broker.Broker) {
	if s == nil {
		return
	}
	s.ops = ops.New(server, b, guard.Known)
	s.metrics.Watch(server)
	s.metrics.WatchQueues(b)
	s.mux.HandleFunc("GET /healthz", s.ops.Healthz)
	s.mux.HandleFunc("GET /readyz", s.ops.Readyz)
	s.mux.HandleFunc("GET /scale", s.ops.ServeScale)
	s.mux.Handle("GET /metrics", serveMetrics(s.metrics, s.ops.Connected()))
	if s.config.PProf {
		s.mux.HandleFunc("/debug/pprof/", pprof.Index)
		s.mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		s.mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		s.mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		s.mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
}

// serve answers until close.
func (s *site) serve() {
	if s == nil {
		return
	}
	s.serving = make(chan struct{})
	go func() {
		defer close(s.serving)
		if err := s.web.Serve(s.listener); err != nil {
			s.tell(oneLine(err))
		}
	}()
}

// ready has the site say that the server takes requests, from now on, if it does.
func (s *site) ready() {
	if s != nil {
		s.ops.Ready()
	}
}

// stopping has the site say that the server takes no requests any more.
func (s *site) stopping() {
	if s != nil {
		s.ops.Stopping()
	}
}

// close ends the site, streams at once, within a second in any case. It may be
// called again.
func (s *site) close() {
	if s == nil {
		return
	}
	if s.serving == nil {
		_ = s.listener.Close() // nobody was answered
	} else {
		s.web.End()
		<-s.serving
	}
	s.endView()
	s.viewing.Wait()
}

// String is what people are told of where the site is.
func (s *site) String() string {
	switch {
	case s == nil:
		return ""
	case s.config.HTTP == "" && s.listener.Addr().String() != defaultHTTP:
		return ", " + s.url() + " (" + defaultHTTP + " is taken)"
	}
	return ", " + s.url()
}

// url is where the site is; "" for a nil one.
func (s *site) url() string {
	switch {
	case s == nil:
		return ""
	case s.config.HTTPTLSCert != "":
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}
