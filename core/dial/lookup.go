package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// LookUp returns the addresses of a name by r; that there is none is an error. If the flow of
// a request is recording, the lookup is one of its steps; id names the resolver there. f may be nil.
func LookUp(ctx context.Context, f *core.Flow, id string, r core.Resolver, name string) ([]netip.Addr, error) {
	if !f.Recording() {
		return lookUp(ctx, r, name)
	}
	began := time.Now()
	ips, err := lookUp(ctx, r, name)
	f.Step(core.Step{Kind: core.StepResolve, Name: id, Detail: foundText(name, ips), Began: began, Took: time.Since(began), Err: err})
	return ips, err
}

func lookUp(ctx context.Context, r core.Resolver, name string) ([]netip.Addr, error) {
	ips, err := r.LookupIP(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 { // without an error the next stage might query another resolver
		return nil, &net.DNSError{Err: "no address", Name: name, IsNotFound: true}
	}
	return ips, nil
}

// shownIPs is how many addresses a step has.
const shownIPs = 4

// foundText returns a name with what was found: "www.example.org: 192.0.2.1, 192.0.2.2".
func foundText(name string, ips []netip.Addr) string {
	name = core.Visible(name, "")
	if len(ips) == 0 {
		return name
	}
	var texts []string
	for _, ip := range ips[:min(len(ips), shownIPs)] {
		texts = append(texts, ip.String())
	}
	if more := len(ips) - shownIPs; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return name + ": " + strings.Join(texts, ", ")
}
