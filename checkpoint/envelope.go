package checkpoint

import (
	"encoding/binary"
	"fmt"
)

// envelope is what Progress stores: a value, and whose write it is. It is
// encoded as
//
//	version, 1 byte · content, 1 byte · claim, 16 bytes · number, uvarint · value
type envelope struct {
	claim    claim
	number   uint64 // of the write, within the claim; from 1
	hasValue bool   // something was saved, be it empty
	value    []byte // of length zero when hasValue is false
}

// claim is the random name of one call of Claim.
type claim [16]byte

const (
	envelopeVersion = 1

	contentNone  = 0 // nothing has been saved yet
	contentValue = 1

	headLen = 2 + len(claim{})
)

// Overhead is how many bytes Progress adds to a value, at most.
const Overhead = headLen + binary.MaxVarintLen64

func (e *envelope) encode() []byte {
	b := make([]byte, 2, Overhead+len(e.value))
	b[0] = envelopeVersion
	if e.hasValue {
		b[1] = contentValue
	}
	b = append(b, e.claim[:]...)
	b = binary.AppendUvarint(b, e.number)
	return append(b, e.value...)
}

// decode returns the envelope in b, to which its value points.
func decode(b []byte) (envelope, error) {
	switch {
	case len(b) < headLen:
		return envelope{}, fmt.Errorf("%w: it has %d bytes", ErrFormat, len(b))
	case b[0] != envelopeVersion:
		return envelope{}, fmt.Errorf("%w: its version is %d, and this is version %d", ErrFormat, b[0], envelopeVersion)
	case b[1] != contentNone && b[1] != contentValue:
		return envelope{}, fmt.Errorf("%w: its content is %d", ErrFormat, b[1])
	}
	e := envelope{claim: claim(b[2:headLen]), hasValue: b[1] == contentValue}
	number, n := binary.Uvarint(b[headLen:])
	if n <= 0 {
		return envelope{}, fmt.Errorf("%w: its number is cut or too large", ErrFormat)
	}
	e.number, e.value = number, b[headLen+n:]
	if !e.hasValue && len(e.value) > 0 {
		return envelope{}, fmt.Errorf("%w: it says that it has no value, and has one", ErrFormat)
	}
	return e, nil
}

// content is what was saved: nil for nothing.
func (e *envelope) content() []byte {
	if !e.hasValue {
		return nil
	}
	return e.value
}
