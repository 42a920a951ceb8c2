package ops

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
)

const (
	fleetWait = time.Second // for servers to answer
	fleetTime = 3 * time.Second
	fleetAge  = time.Second

	// defaultTarget is the share of slots with requests to aim at: what is left
	// is for a burst until another server is up, and meanwhile for helpers.
	defaultTarget = 0.7
)

// Scale is what an autoscaler needs to know.
type Scale struct {
	Server ServerScale `json:"server"` // that answers
	Fleet  FleetScale  `json:"fleet"`  // all that take requests
}

// ServerScale is about one server.
type ServerScale struct {
	ID string `json:"id"`
	Load
	Draining bool `json:"draining"`
}

// Load is what requests there are and room for them.
type Load struct {
	Slots     int `json:"slots"`
	Protected int `json:"protected"` // tasks made from requests
	Waiting   int `json:"waiting"`   // requests that a server has and that are in no slot yet
	// Ratio is (protected + waiting) / slots. Helpers are not in it: they fill
	// what is left, so the CPU is busy whatever the load.
	Ratio float64 `json:"ratio"`
}

// FleetScale is about all servers that take requests; those that drain are not
// in it, as their slots take none.
type FleetScale struct {
	Servers int `json:"servers"`
	Load
	Queue int `json:"queue"` // requests that no server has taken
	// Requests are all that want a slot: protected + waiting + queue.
	Requests int `json:"requests"`
	// Demand is requests / slots. Unlike the ratio it tells how much is missing
	// when all slots are taken.
	Demand float64 `json:"demand"`
	// Target is the demand to aim at: the parameter "target", or 0.7.
	Target float64 `json:"target"`
	// Desired is the least number of servers, each as large as they are on
	// average now, with which the demand is at most the target; at least 1.
	Desired int `json:"desired"`
}

func loadOf(all ...occamy.Snapshot) (l Load) {
	for _, s := range all {
		l.Slots += len(s.Slots)
		l.Waiting += s.Waiting + s.Held + s.Converting
		for _, slot := range s.Slots {
			if slot.Status == occamy.Protected {
				l.Protected++
			}
		}
	}
	l.Ratio = share(l.Protected+l.Waiting, l.Slots)
	return l
}

// share is requests relative to slots; 0 without slots, as JSON has no infinity.
func share(requests, slots int) float64 {
	if slots == 0 {
		return 0
	}
	return math.Round(float64(requests)/float64(slots)*1e4) / 1e4
}

// fleetOf sums up the servers that take requests.
func fleetOf(servers []occamy.Snapshot, queue int, target float64) FleetScale {
	var taking []occamy.Snapshot
	for _, s := range servers {
		if !s.Draining && !s.Closing {
			taking = append(taking, s)
		}
	}
	f := FleetScale{Servers: len(taking), Load: loadOf(taking...), Queue: queue, Target: target}
	f.Requests = f.Protected + f.Waiting + f.Queue
	f.Demand = share(f.Requests, f.Slots)
	f.Desired = 1
	if f.Slots > 0 {
		each := float64(f.Slots) / float64(f.Servers)
		f.Desired = max(1, int(math.Ceil(float64(f.Requests)/(each*target)-1e-9)))
	}
	return f
}

// ServeScale answers with a Scale, or with an error where the servers or the
// queues cannot be known: a wrong figure would end servers that are needed.
func (o *Ops) ServeScale(w http.ResponseWriter, r *http.Request) {
	target := defaultTarget
	if text := r.URL.Query().Get("target"); text != "" {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v >= 0.01 && v <= 100) {
			answer(w, http.StatusBadRequest, problem{"the target is no number from 0.01 to 100", "for instance /scale?target=0.7"})
			return
		}
		target = v
	}
	own, err := o.table.get(r.Context())
	servers, fleetErr := o.fleet.get(r.Context())
	queues, queuesErr := o.queues.get(r.Context())
	if err := errors.Join(err, fleetErr, queuesErr); err != nil {
		answer(w, http.StatusServiceUnavailable, problem{"the fleet is not known now: " + err.Error(), "is the server cut off from its broker? see /readyz"})
		return
	}
	ready := 0
	for _, q := range queues {
		ready += q.Ready
	}
	answer(w, http.StatusOK, Scale{
		Server: ServerScale{ID: own.Server, Load: loadOf(own), Draining: own.Draining || own.Closing},
		Fleet:  fleetOf(servers, ready, target),
	})
}

// problem is the body of an answer that is an error.
type problem struct {
	Error string `json:"error"`
	Hint  string `json:"hint"`
}
