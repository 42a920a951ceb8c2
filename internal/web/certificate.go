package web

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// certificateAge is for how long the files of a certificate are not looked at
// again.
const certificateAge = 10 * time.Second

// Certificate is a server's certificate in files, which may be renewed while the
// server runs.
type Certificate struct {
	certFile, keyFile string
	tell              func(string)

	mu     sync.Mutex
	loaded *tls.Certificate
	looked time.Time    // at the files
	state  [2]fileState // of those that were loaded
}

type fileState struct {
	changed time.Time
	size    int64
}

// LoadCertificate reads a certificate and its key (PEM). tell is told when files
// that have changed are no good; what was read before is used then.
func LoadCertificate(certFile, keyFile string, tell func(string)) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, tell: tell, looked: time.Now()}
	c.state = c.look()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c.loaded = &pair
	return c, nil
}

// Get is a tls.Config's GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificateAge {
		return c.loaded, nil
	}
	c.looked = time.Now()
	state := c.look()
	if state == c.state {
		return c.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.tell("http: the renewed certificate is no good, the old one stays: " + err.Error())
		return c.loaded, nil
	}
	c.loaded, c.state = &pair, state
	return c.loaded, nil
}

// look is the state of the files; zero for what is not there.
func (c *Certificate) look() (s [2]fileState) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			s[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return s
}
