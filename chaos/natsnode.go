package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// natsOrder says how a NATS server of the cluster is to run.
type natsOrder struct {
	Name   string
	Dir    string
	Log    string
	Port   int
	Routes int   // the port for the other nodes
	Peers  []int // their ports
}

const host = "127.0.0.1"

// natsNode is a NATS server in a process of its own.
func natsNode(o natsOrder) error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	options := &server.Options{
		ServerName: o.Name,
		Host:       host,
		Port:       o.Port,
		JetStream:  true,
		StoreDir:   o.Dir,
		NoSigs:     true,
		LogFile:    o.Log,
		Cluster: server.ClusterOpts{
			Name: "chaos",
			Host: host,
			Port: o.Routes,
			// Clients must not learn of a way around their proxies.
			NoAdvertise: true,
		},
	}
	for _, port := range o.Peers {
		options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("%s:%d", host, port)})
	}
	if len(o.Peers) < 2 {
		options.Cluster, options.Routes = server.ClusterOpts{}, nil
	}
	s, err := server.NewServer(options)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	<-term
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
