package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
)

// chunks is a connection that gives n bytes at a time.
type chunks struct {
	net.Conn
	r io.Reader
	n int
}

func (c *chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

func frameOf(kind byte, payload []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{kind, 0, 1}, uint32(len(payload)))
	return append(append(out, payload...), 0xCE)
}

// propertiesOf is a frame with a content type, headers, and a delivery mode.
func propertiesOf(headers []byte) []byte {
	p := append(make([]byte, flagsAt), 1<<7|1<<5|1<<4, 0)
	p = append(p, 3, 'a', '/', 'b')
	p = append(binary.BigEndian.AppendUint32(p, uint32(len(headers))), headers...)
	return frameOf(headerFrame, append(p, 2))
}

// nested is a table that holds another, and so on.
func nested(depth int) (table []byte) {
	for range depth {
		table = append(binary.BigEndian.AppendUint32([]byte{1, 'k', 'F'}, uint32(len(table))), table...)
	}
	return table
}

func TestTheSieveTakesOutHeadersThatCannotBeReadAndNothingElse(t *testing.T) {
	method, body := frameOf(1, []byte("method")), frameOf(3, bytes.Repeat([]byte("body "), 5000))
	empty, heartbeat := propertiesOf(nil), frameOf(8, nil)
	good := propertiesOf(nested(mostNested))
	var in, want []byte
	for _, f := range [][]byte{method, good, body, heartbeat, empty, method} {
		in, want = append(in, f...), append(want, f...)
	}
	marked := propertiesOf([]byte("\x13" + hdrUnreadable + "t\x01"))
	for _, bad := range [][]byte{
		nested(mostNested + 1), []byte("\x01kZ"), []byte("\x01k"), []byte("\x09k"), []byte("\x01kS\xff\xff\xff\xff"),
		[]byte(strings.Repeat("\x00V", mostElements+1)), []byte("\x01kA\x00\x00\x00\x01l"),
	} {
		in, want = append(append(in, propertiesOf(bad)...), body...), append(append(want, marked...), body...)
	}
	for _, n := range []int{1, 6, 7, 100, 4096, 1 << 20} {
		got, err := io.ReadAll(newSieve(&chunks{r: bytes.NewReader(in), n: n}))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes at a time: %d bytes, %v; want %d, and the same", n, len(got), err, len(want))
		}
	}
}

// Whatever a frame says of its sizes, the sieve does not go beyond it.
func FuzzSieve(f *testing.F) {
	f.Add(propertiesOf(nested(40)))
	f.Add(propertiesOf([]byte("\x01kA\x00\x00\x00\x01l"))[:30])
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newSieve(&chunks{r: bytes.NewReader(in), n: 9})
		_, _ = io.Copy(io.Discard, s) // that it ends, without a panic, is all
	})
}
