// Package pricing is a real job for Occamy servers: it prices options by Monte
// Carlo. It is an example of package assist, and of units: a request is cut into
// blocks of random paths, which any number of slots on any servers compute in any
// order, and the results are added up.
//
// What a user would copy is job.go. The rest is about options: what headers say
// (option.go) and what is known about the price (closedform.go).
//
// A request asks for the price of a call on the mean of an asset's price on a
// number of dates (an Asian option; with one date a European one), the asset's
// price being a geometric Brownian motion. It has no body, and these headers, all
// optional:
//
//	average     arithmetic (default) or geometric: which mean
//	dates       how many, at equal distances, the last one at the end: default
//	            12; 1 is a European option
//	spot        price of the asset now: default 100
//	strike      default 100
//	rate        of interest, a year, continuously compounded: default 0.05
//	volatility  a year: default 0.2
//	years       until the end: default 1
//	paths       how many random paths: default 10000000
//	seed        of the random numbers: default 1
//
// The result is a [Result] in JSON. For one date, and for the geometric mean, it
// has the exact price too (Black and Scholes; Kemna and Vorst), so that whoever
// looks can see whether the servers have computed the right thing.
//
// The same request gives the same result to the last bit, whatever number of
// servers took part and whatever became of them: each block has a stream of random
// numbers of its own, and the results are added in the order of the blocks. (Servers
// of different architectures may round differently.)
//
// To see it by itself:
//
//	go run ./examples/pricing/price -servers 2 average=geometric
package pricing
