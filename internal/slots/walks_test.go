package slots

import "time"

var walks = []model{
	{
		name: "a", requests: 3, optionals: 1, priorities: 2,
		cfg:  Config{Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes:9, },
		with: "late lost cancel limits stuck help helpers spread silent now drain shutdown",
	},
	{
		name: "b", requests: 3, optionals: 1, priorities: 2,
		cfg:  Config{Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes:9, CancelMemory: time.Minute, MaxCancelled: 1},
		with: "late lost cancel limits stuck help helpers spread silent now drain shutdown",
	},
	{
		name: "c", requests: 2, optionals: 1, priorities: 1,
		cfg:  Config{Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes:9, RefillDelay: time.Millisecond},
		with: "late lost cancel limits stuck help helpers spread silent now drain shutdown",
	},
	{
		name: "d", requests: 3, optionals: 1, priorities: 1,
		cfg:  Config{Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes:9, RefillDelay: time.Millisecond},
		with: "late lost cancel limits stuck help helpers spread silent now drain shutdown",
	},
	{
		name: "e", requests: 4, optionals: 0, priorities: 1,
		cfg:  Config{Slots: 3, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes:9, },
		with: "stuck help shutdown limits silent",
	},
	{
		name: "f", requests: 4, optionals: 1, priorities: 1,
		cfg:  Config{Slots: 3, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes:9, },
		with: "stuck help shutdown limits",
	},
	{
		name: "g", requests: 4, optionals: 0, priorities: 2,
		cfg:  Config{Slots: 3, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes:9, },
		with: "stuck help shutdown limits",
	},
}
