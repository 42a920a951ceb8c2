// Package rabbitmq is the broker adapter for RabbitMQ 3.10 or later.
package rabbitmq
