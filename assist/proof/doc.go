// Package proof has no code but tests: what package assist promises, shown with
// processes that are killed, stopped and preempted. What was computed, collected
// and kept is written to logs by the jobs and by a store that stands between,
// and judged from these logs, not by what assist says of itself.
//
// As tests they run in short. In full:
//
//	make proof
package proof
