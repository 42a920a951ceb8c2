package rabbitmq

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
)

// sieve takes headers that the library cannot read out of what the broker
// sends. RabbitMQ keeps and delivers what anybody published; the library ends
// the connection at tables that are nested too deeply, or too long, and so would
// one such message every connection that it comes to, with all that runs there.
// In place of the headers the message bears hdrUnreadable.
type sieve struct {
	net.Conn
	in   *bufio.Reader // of Conn
	pass int           // bytes that are to be passed on as they come
	held []byte        // to be passed on before anything else

	spoke   atomic.Bool           // the broker has sent something
	foreign atomic.Pointer[error] // it is none; see there
}

func newSieve(conn net.Conn) *sieve {
	return &sieve{Conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}
}

// hdrUnreadable says that a message had headers that cannot be read.
const hdrUnreadable = ownPrefix + "unreadable"

// What the library reads.
const (
	mostNested   = 32
	mostElements = 8192
)

// A frame is a type, a channel, a size, so many bytes, and an end. One with the
// properties of a message begins with 2 bytes of a class, 2 without a meaning, 8
// for the size of the body, and flags, of which the first three say which of
// content type, content encoding and headers are there.
const (
	frameHead   = 7
	headerFrame = 2
	flagsAt     = 12
)

// Read is called by one goroutine.
func (s *sieve) Read(p []byte) (int, error) {
	if !s.spoke.Load() {
		if err := s.greet(); err != nil {
			return 0, err
		}
	}
	if len(s.held) == 0 && s.pass == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	if len(s.held) > 0 {
		n := copy(p, s.held)
		s.held = s.held[n:]
		return n, nil
	}
	n, err := s.in.Read(p[:min(len(p), s.pass)])
	s.pass -= n
	return n, err
}

// greet looks at what the broker says first.
func (s *sieve) greet() error {
	if _, err := s.in.Peek(1); err != nil {
		return err
	}
	first, err := s.in.Peek(min(s.in.Buffered(), 16))
	if err != nil {
		return err
	}
	if err := foreign(first); err != nil {
		s.foreign.Store(&err)
		return err
	}
	s.spoke.Store(true)
	return nil
}

// next looks at the frames that come next.
func (s *sieve) next() error {
	for {
		head, err := s.in.Peek(s.pass + frameHead)
		if err != nil {
			return err
		}
		head = head[s.pass:]
		size := int(binary.BigEndian.Uint32(head[3:]))
		whole := frameHead + size + 1
		if head[0] != headerFrame || size > 2*frameSize {
			s.pass += whole
		} else if s.pass+whole <= s.in.Buffered() {
			frame, err := s.in.Peek(s.pass + whole)
			if err != nil {
				return err
			}
			if !readable(frame[s.pass:]) {
				return s.replace(whole)
			}
			s.pass += whole
		} else {
			return s.replace(whole)
		}
		if s.pass+frameHead > s.in.Buffered() {
			return nil
		}
	}
}

// replace holds the next frame, and puts other headers into it where its own
// cannot be read. What is to be passed on before it goes first.
func (s *sieve) replace(whole int) error {
	if s.pass > 0 {
		return nil
	}
	frame := make([]byte, whole)
	if _, err := io.ReadFull(s.in, frame); err != nil {
		return err
	}
	if !readable(frame) {
		frame = withoutHeaders(frame)
	}
	s.held = frame
	return nil
}

// headersOf returns where the headers are in a frame with properties: from their
// size to their end. ok is false where there are none.
func headersOf(frame []byte) (from, to int, ok bool) {
	at := frameHead + flagsAt
	if len(frame) < at+2 {
		return 0, 0, false
	}
	flags := binary.BigEndian.Uint16(frame[at:])
	at += 2
	for _, flag := range []uint16{1 << 15, 1 << 14} { // content type, content encoding
		if flags&flag != 0 && at < len(frame) {
			at += 1 + int(frame[at])
		}
	}
	if flags&(1<<13) == 0 || at+4 > len(frame) {
		return 0, 0, false
	}
	to = at + 4 + int(binary.BigEndian.Uint32(frame[at:]))
	return at, to, to >= at+4 && to < len(frame)
}

func readable(frame []byte) bool {
	from, to, ok := headersOf(frame)
	return !ok || readableItems(frame[from+4:to], true, 0)
}

// readableItems says whether the library reads a table or an array.
func readableItems(b []byte, keys bool, depth int) bool {
	if depth > mostNested {
		return false
	}
	for n := 0; len(b) > 0; n++ {
		if n == mostElements {
			return false
		}
		if keys {
			if len(b) < 1+int(b[0]) {
				return false
			}
			b = b[1+int(b[0]):]
		}
		if len(b) == 0 {
			return false
		}
		kind := b[0]
		b = b[1:]
		size := 0
		switch kind {
		case 'V':
		case 't', 'b', 'B':
			size = 1
		case 's', 'u':
			size = 2
		case 'I', 'i', 'f':
			size = 4
		case 'D':
			size = 5
		case 'l', 'd', 'T':
			size = 8
		case 'S', 'x', 'A', 'F':
			if len(b) < 4 {
				return false
			}
			size = int(binary.BigEndian.Uint32(b))
			b = b[4:]
		default:
			return false
		}
		if size < 0 || len(b) < size {
			return false
		}
		if (kind == 'A' || kind == 'F') && !readableItems(b[:size], kind == 'F', depth+1) {
			return false
		}
		b = b[size:]
	}
	return true
}

func withoutHeaders(frame []byte) []byte {
	from, to, _ := headersOf(frame)
	item := append([]byte{byte(len(hdrUnreadable))}, hdrUnreadable+"t\x01"...)
	out := append([]byte(nil), frame[:from]...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(item)))
	out = append(append(out, item...), frame[to:]...)
	binary.BigEndian.PutUint32(out[3:], uint32(len(out)-frameHead-1))
	return out
}
