package main

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
		reconnectFamily(),
		refillFamily(),
		backlogFamily(),
		controlScaleFamily(),
		idleCPUFamily(),
		slotMemoryFamily(),
		poolFamily("pond", "a no-op task through alitto/pond v2.7.1", pondRequests),
		poolFamily("ants", "a no-op task through panjf2000/ants v2.12.1", antsRequests),
	}
}
