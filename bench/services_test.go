//go:build services

package main

import "testing"

// These rows start RabbitMQ nodes.
func TestRowsWithRabbitMQ(t *testing.T) {
	tryRows(t, func(f family) bool { return f.rabbitmq })
}
