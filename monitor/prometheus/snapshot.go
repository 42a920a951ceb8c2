package prometheus

import (
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/internal/labels"
)

func desc(name, help string, by ...string) *prom.Desc {
	return prom.NewDesc("occamy_"+name, help, by, nil)
}

// What a snapshot tells.
var (
	slotsDesc         = desc("slots", "Slots by the status of the task in them.", "status")
	stuckDesc         = desc("stuck_slots", "Slots whose task still runs KillTimeout after it was stopped.")
	protectedDesc     = desc("protected_ratio", "Slots that requests have or wait for, relative to all slots: the figure to scale on.")
	requestsDesc      = desc("requests", "Requests that are at the server without a slot.", "state")
	backlogDesc       = desc("backlog_requests", "Optional requests that are set aside.")
	capacityDesc      = desc("capacity", "How many more requests there is room for.")
	headroomDesc      = desc("headroom_slots", "Slots that expansion leaves empty for requests.")
	drainingDesc      = desc("draining", "1 while the server takes no requests, because it drains or shuts down.")
	slotSecondsDesc   = desc("slot_seconds_total", "Slot time that tasks had, those that run included.", "status")
	preemptedTimeDesc = desc("preempted_slot_seconds_total", "Slot time of the tasks that were preempted: a bound of the work that was lost to it.")
	preemptionsDesc   = desc("preemptions_total", "Tasks that were stopped for a request or a task of higher status.")
	inboxDropsDesc    = desc("inbox_dropped_total", "Control messages that found the inbox of their task full.")
	monitorDropsDesc  = desc("monitor_dropped_total", "Events that a slow monitor missed.")
	queueDesc         = desc("queue_messages", "Messages at the broker: ready for a server, with a server and not settled, or dead letters. All servers tell the same.", "kind", "state")
)

var snapshotDescs = []*prom.Desc{
	slotsDesc, stuckDesc, protectedDesc, requestsDesc, backlogDesc, capacityDesc, headroomDesc, drainingDesc,
	slotSecondsDesc, preemptedTimeDesc, preemptionsDesc, inboxDropsDesc, monitorDropsDesc, queueDesc,
}

func collectSnapshot(s occamy.Snapshot, to chan<- prom.Metric) {
	gauge := func(d *prom.Desc, v float64, by ...string) {
		to <- prom.MustNewConstMetric(d, prom.GaugeValue, v, by...)
	}
	counter := func(d *prom.Desc, v float64, by ...string) {
		to <- prom.MustNewConstMetric(d, prom.CounterValue, v, by...)
	}
	slots, stuck := make([]int, labels.Statuses.Len()), 0
	for _, slot := range s.Slots {
		slots[labels.Statuses.Index(string(slot.Status))]++
		if slot.Phase == occamy.Stuck {
			stuck++
		}
	}
	for i, status := range labels.Statuses.Names() {
		gauge(slotsDesc, float64(slots[i]), status)
	}
	gauge(stuckDesc, float64(stuck))
	gauge(protectedDesc, s.Demand())
	gauge(requestsDesc, float64(s.Waiting), "waiting")
	gauge(requestsDesc, float64(s.Held), "held")
	gauge(requestsDesc, float64(s.Converting), "converting")
	gauge(backlogDesc, float64(s.Backlog))
	gauge(capacityDesc, float64(s.Capacity))
	gauge(headroomDesc, float64(s.Headroom))
	gauge(drainingDesc, flag(s.Draining || s.Closing))
	counter(slotSecondsDesc, s.SlotTime.Protected.Seconds(), string(occamy.Protected))
	counter(slotSecondsDesc, s.SlotTime.Internal.Seconds(), string(occamy.Internal))
	counter(slotSecondsDesc, s.SlotTime.External.Seconds(), string(occamy.External))
	counter(preemptedTimeDesc, s.PreemptedTime.Seconds())
	counter(preemptionsDesc, float64(s.Preemptions))
	counter(inboxDropsDesc, float64(s.InboxDrops))
	counter(monitorDropsDesc, float64(s.MonitorDrops))
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func (m *Metrics) collectQueues(to chan<- prom.Metric) {
	for _, q := range m.queues.Read(m.kinds.Label) {
		for _, s := range []struct {
			state string
			n     int
		}{{"ready", q.Ready}, {"unacked", q.Unacked}, {"dead", q.Dead}} {
			to <- prom.MustNewConstMetric(queueDesc, prom.GaugeValue, float64(s.n), q.Kind, s.state)
		}
	}
}
