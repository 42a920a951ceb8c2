// Package search looks for short round trips through points in the plane, with
// the rounded distances of TSPLIB's EUC_2D.
//
// It is an iterated local search: a Lin-Kernighan step of flips and an Or-opt
// step over lists of near neighbours bring a tour into a local optimum; then a
// small part of the tour is shaken, repaired, and put back as it was unless
// that paid. A Search works in small steps so that its caller can stop it, or
// give it a better tour, at any moment. It knows nothing of tasks or messages,
// starts no goroutine and reads no clock: the same points, seed and calls give
// the same tours.
package search
