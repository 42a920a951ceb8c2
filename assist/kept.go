package assist

import (
	"encoding/binary"
	"math"
	"time"
)

// kept is what a search keeps for its next attempt. It is encoded as
//
//	version, 1 byte · spent, uvarint · bytes of state, uvarint · state · a 1 and best, or nothing
type kept struct {
	spent time.Duration // by all attempts
	state []byte        // of a job that is Stateful
	best  []byte        // nil: there is none
}

const keptVersion = 1

func (k *kept) encode() []byte {
	b := make([]byte, 1, 1+2*binary.MaxVarintLen64+len(k.state)+1+len(k.best))
	b[0] = keptVersion
	b = binary.AppendUvarint(b, uint64(k.spent))
	b = binary.AppendUvarint(b, uint64(len(k.state)))
	b = append(b, k.state...)
	if k.best != nil {
		b = append(append(b, 1), k.best...)
	}
	return b
}

// decodeKept returns nothing for what makes no sense, which helps nobody.
func decodeKept(b []byte) kept {
	if len(b) == 0 || b[0] != keptVersion {
		return kept{}
	}
	spent, n := binary.Uvarint(b[1:])
	if n <= 0 || spent > math.MaxInt64/2 {
		return kept{}
	}
	b = b[1+n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return kept{}
	}
	state, rest := b[n:n+int(size)], b[n+int(size):]
	k := kept{spent: time.Duration(spent), state: state}
	if len(rest) > 0 {
		k.best = rest[1:]
	}
	return k
}
