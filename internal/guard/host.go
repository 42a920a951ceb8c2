package guard

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// here tells whether the Host of a request is a name of this machine.
func (g *guard) here(host string) bool {
	name := hostname(host)
	return name != "" && (IsLoopback(name) || strings.EqualFold(name, hostname(g.Host)))
}

// hostname is a Host without its port, and an IPv6 address without brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// IsLoopback tells whether a name or address leads to this machine alone,
// whatever a resolver says.
func IsLoopback(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.Unmap().IsLoopback()
}

// address is where a request comes from. What a client can have many of counts
// as one: the addresses of an IPv6 network of 64 bits.
func address(r *http.Request) netip.Prefix {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	a, bits := from.Addr().Unmap(), 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // bits fit
	return p
}
