//go:build services

package rabbitmq_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
)

// Of AMQP 0-9-1: a frame is a type, a channel, a size, so many bytes, and an end.
// The bytes of a method begin with its class and number.
const (
	methodFrame  = 1
	basicDeliver = 60<<16 | 60
	basicAck     = 60<<16 | 80
	basicNack    = 60<<16 | 120 // with the arguments of an ack, and one more flag
)

// frames is a connection to a broker whose frames a test may change or drop.
type frames struct {
	net.Conn
	in   *bufio.Reader
	held []byte
	pass func(kind byte, channel uint16, payload []byte) bool // called in their order
}

func dialFrames(ctx context.Context, network, address string, pass func(kind byte, channel uint16, payload []byte) bool) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &frames{Conn: conn, in: bufio.NewReader(conn), pass: pass}, nil
}

func (c *frames) Read(p []byte) (int, error) {
	for len(c.held) == 0 {
		frame, err := c.next()
		if err != nil {
			return 0, err
		}
		if c.pass(frame[0], binary.BigEndian.Uint16(frame[1:]), frame[7:]) {
			c.held = frame
		}
	}
	n := copy(p, c.held)
	c.held = c.held[n:]
	return n, nil
}

func (c *frames) next() ([]byte, error) {
	head, err := c.in.Peek(7)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, 7+int(binary.BigEndian.Uint32(head[3:]))+1)
	_, err = io.ReadFull(c.in, frame)
	return frame, err
}
