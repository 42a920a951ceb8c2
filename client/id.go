package client

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NewID returns an ID for a request: 26 lower-case letters and digits that no
// other call anywhere returns, for all practical purposes. IDs sort by the
// millisecond in which they were made.
func NewID() string { return newID(time.Now()) }

func newID(now time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16)
	rand.Read(id[6:])
	return idEncoding.EncodeToString(id[:])
}
