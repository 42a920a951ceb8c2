package slots

import "time"

// The walks. What a state may have in all adds up fast, so that there are
// several: one with everything for 2 slots, one with as much as fits for 3, and
// one each for what takes most room.
var walks = []model{
	{
		name: "small", requests: 2, optionals: 1, priorities: 1,
		cfg: Config{
			Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes: 9,
		},
		with: "lost cancel limits stuck help silent again shutdown",
	},
	{
		name: "everything", requests: 3, optionals: 1, priorities: 2,
		cfg: Config{
			Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, CancelMemory: time.Minute,
			MaxCancelled: 1, MaxBacklog: 1, MaxBacklogBytes: 9,
		},
		with: "late lost cancel limits stuck help helpers spread silent now drain shutdown",
	},
	{
		name: "three slots", requests: 4, optionals: 1, priorities: 1,
		cfg: Config{
			Slots: 3, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes: 9,
		},
		with: "lost limits stuck help spread shutdown",
	},
	{
		name: "three slots, requests alone", requests: 4, optionals: 0, priorities: 1,
		cfg:  Config{Slots: 3, ExpansionPeriod: time.Second, RebalanceMoves: 1},
		with: "late lost cancel limits stuck help silent drain shutdown",
	},
	{
		name: "two optional requests", requests: 2, optionals: 2, priorities: 2,
		cfg: Config{
			Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 2, MaxBacklogBytes: 9,
		},
		with: "limits stuck help spread silent shutdown",
	},
	{
		name: "headroom and refill", requests: 2, optionals: 1, priorities: 1,
		cfg: Config{
			Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, RefillDelay: time.Millisecond,
			MaxBacklog: 1, MaxBacklogBytes: 9,
		},
		with: "late lost cancel limits stuck help spread silent drain shutdown",
	},
	{
		name: "headroom", requests: 3, optionals: 1, priorities: 1,
		cfg: Config{
			Slots: 3, Headroom: 1, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1,
			MaxBacklogBytes: 9,
		},
		with: "limits stuck help spread silent",
	},
	{
		name: "headroom that adapts", requests: 3, optionals: 1, priorities: 1,
		cfg: Config{
			Slots: 2, MaxHeadroom: 1, HeadroomMemory: time.Minute, ExpansionPeriod: time.Second,
			RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes: 9,
		},
		with: "limits stuck help spread silent",
	},
}
