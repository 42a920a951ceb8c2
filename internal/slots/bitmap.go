package slots

import "math/bits"

// bitmap is a set of slots that finds its lowest member in a step for each
// factor of 64: a bit of a level says whether a word of the level below is not
// zero.
type bitmap struct {
	levels [][]uint64 // the last has one word
	n      int        // members
}

func newBitmap(size int) bitmap {
	var b bitmap
	for {
		words := (size + 63) / 64
		b.levels = append(b.levels, make([]uint64, words))
		if words == 1 {
			return b
		}
		size = words
	}
}

func (b *bitmap) has(i int) bool { return b.levels[0][i>>6]>>(i&63)&1 == 1 }

// add puts in i, which is not a member.
func (b *bitmap) add(i int) {
	b.n++
	for _, level := range b.levels {
		word := &level[i>>6]
		was := *word
		*word |= 1 << (i & 63)
		if was != 0 {
			return
		}
		i >>= 6
	}
}

// remove takes out i, which is a member.
func (b *bitmap) remove(i int) {
	b.n--
	for _, level := range b.levels {
		word := &level[i>>6]
		*word &^= 1 << (i & 63)
		if *word != 0 {
			return
		}
		i >>= 6
	}
}

// first returns the lowest member; there must be one.
func (b *bitmap) first() int {
	i := 0
	for l := len(b.levels) - 1; l >= 0; l-- {
		i = i<<6 | bits.TrailingZeros64(b.levels[l][i])
	}
	return i
}
