//go:build unix

package rabbitnode

import (
	"fmt"
	"strings"
)

// Config says what a node is like. Its zero value is a node with RabbitMQ's
// defaults, in a temporary directory.
type Config struct {
	// Dir is where the node keeps its data, log and configuration. Empty: a
	// temporary directory that Close removes. It is created when it does not
	// exist, and belongs to one node at a time.
	Dir string

	// Conf has further lines of rabbitmq.conf, such as
	// "consumer_timeout = 60000".
	Conf []string

	// Plugins are switched on beside what the server has by itself.
	Plugins []string

	// TLS adds a second listener, for amqps; nil: none.
	TLS *TLS
}

// TLS names the files of a listener for amqps, all in PEM.
type TLS struct {
	CertFile, KeyFile string // of the node; the certificate should name localhost or 127.0.0.1
	CAFile            string // signs the clients' certificates
	VerifyPeer        bool   // refuse clients without a certificate that CAFile signed
}

func (c Config) lines(port, tlsPort int) []string {
	lines := []string{
		fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d", port),
		"loopback_users.guest = true",
		"log.console = true",
		"log.console.level = warning",
		"log.file = false",
	}
	if t := c.TLS; t != nil {
		verify := "verify_none"
		if t.VerifyPeer {
			verify = "verify_peer"
		}
		lines = append(lines,
			fmt.Sprintf("listeners.ssl.1 = 127.0.0.1:%d", tlsPort),
			"ssl_options.certfile = "+t.CertFile,
			"ssl_options.keyfile = "+t.KeyFile,
			"ssl_options.verify = "+verify,
			fmt.Sprintf("ssl_options.fail_if_no_peer_cert = %v", t.VerifyPeer))
		if t.CAFile != "" {
			lines = append(lines, "ssl_options.cacertfile = "+t.CAFile)
		}
	}
	return append(lines, c.Conf...)
}

func (c Config) plugins() string {
	return fmt.Sprintf("[%s].\n", strings.Join(c.Plugins, ","))
}
