// Show serves the page with a fleet that is made up, to work on the page and to
// measure it:
//
//	go run ./dashboard/internal/show -servers 100 -rate 1000
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/occamy-go/occamy/dashboard"
)

func main() {
	addr := flag.String("http", "127.0.0.1:7490", "`ADDRESS`")
	servers := flag.Int("servers", 3, "how many")
	slots := flag.Int("slots", 8, "of each server")
	rate := flag.Int("rate", 4, "changes of slots a second")
	hostile := flag.Bool("hostile", false, "IDs that try to be markup")
	flag.Parse()

	f := newFleet(*servers, *slots, *hostile)
	done := make(chan struct{})
	go f.run(*rate, done)
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt)
	go func() {
		<-end
		close(done)
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		fmt.Printf("cpu %v, goroutines %d\n", time.Duration(u.Utime.Nano()+u.Stime.Nano()), runtime.NumGoroutine())
		os.Exit(0)
	}()
	fmt.Printf("http://%s\n", *addr)
	s := http.Server{Addr: *addr, ReadHeaderTimeout: 5 * time.Second,
		Handler: dashboard.New(dashboard.Config{Fleet: f, Client: f, Done: done})}
	log.Fatal(s.ListenAndServe())
}
