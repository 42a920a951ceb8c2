package main

import "github.com/occamy-go/occamy/broker/rabbitmq"

// families has all that is measured, in the order in which it is printed.
func families() []family {
	return []family{
		requestFamily(),
		requestAllocsFamily(),
		requestScaleFamily(),
		preemptFamily(),
		burstFamily(),
		parallelFamily(),
		saturatedFamily(),
		brokerFamily(),
		jetstreamFamily(),
		jetstreamIdleFamily(),
		monitorsPrometheusFamily(),
		monitorsAllFamily(),
		rabbitmqFamily("rabbitmq_quorum", rabbitmq.Quorum),
		rabbitmqFamily("rabbitmq_classic", rabbitmq.Classic),
		rabbitmqIdleFamily("rabbitmq_idle", rabbitmq.Quorum),
		rabbitmqIdleFamily("rabbitmq_idle_classic", rabbitmq.Classic),
		controlFanoutFamily(),
		reconnectFamily(),
		refillFamily(),
		backlogFamily(),
		controlScaleFamily(),
		speedupFamily(),
		smallFamily(),
		leaseFamily(),
		scenarioFamily(),
		idleCPUFamily(),
		slotMemoryFamily(),
		poolFamily("pond", "a no-op task through alitto/pond v2.7.1", pondRequests),
		poolFamily("ants", "a no-op task through panjf2000/ants v2.12.1", antsRequests),
	}
}
