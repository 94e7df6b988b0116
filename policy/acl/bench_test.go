package acl

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
)

// sizes are how many entries lists have.
var sizes = []int{1_000, 1_000_000}

// listName returns name n of a list, of 11 to 23 bytes, as those that are published.
func listName(n int) string {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, 4+r.IntN(13))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return fmt.Sprintf("%s%d.com", b, n%1000)
}

// listRange returns range n of a list: of IPv4, 16 to 32 bits wide, and each fourth of
// IPv6, 32 to 56 bits wide.
func listRange(n int) netip.Prefix {
	r := rand.New(rand.NewPCG(uint64(n), 2))
	if n%4 == 0 {
		ip := netip.AddrFrom16([16]byte{0x20, 0x01, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		return netip.PrefixFrom(ip, 32+r.IntN(25)).Masked()
	}
	ip := netip.AddrFrom4([4]byte{byte(1 + r.IntN(222)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
	return netip.PrefixFrom(ip, 16+r.IntN(17)).Masked()
}

func rangeText(n int) string { return listRange(n).String() }

// listFile returns a list as a file.
func listFile(n int, entry func(int) string) []byte {
	var b bytes.Buffer
	for i := range n {
		b.WriteString(entry(i))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func load(b *testing.B, text []byte) *match.Targets {
	b.Helper()
	t, err := match.ReadTargets("list", bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// BenchmarkName asks a list of names about names that are in it and that are not.
func BenchmarkName(b *testing.B) {
	for _, n := range sizes {
		r := &rules{targets: pair[*match.Targets]{deny: []*match.Targets{load(b, listFile(n, listName))}}}
		for _, what := range []string{"in", "below", "not in"} {
			asked := make([]core.Addr, 1<<16)
			for i := range asked {
				name := listName(rand.IntN(n))
				switch what {
				case "below":
					name = "www." + name
				case "not in":
					name = "www." + strings.Replace(name, ".com", ".net", 1)
				}
				asked[i], _ = core.NewAddr(name, 443)
			}
			b.Run(fmt.Sprintf("%d/%s", n, what), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					_, _ = r.target(asked[i%len(asked)])
				}
			})
		}
	}
}

// BenchmarkAddress asks a list of ranges about addresses.
func BenchmarkAddress(b *testing.B) {
	for _, n := range sizes {
		r := &rules{targets: pair[*match.Targets]{deny: []*match.Targets{load(b, listFile(n, rangeText))}}}
		asked := make([]core.Addr, 1<<16)
		for i := range asked {
			asked[i] = core.NewIPAddr(listRange(n+i).Addr(), 443)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _ = r.target(asked[i%len(asked)])
			}
		})
	}
}

// BenchmarkDatagram lets a burst of 32 pass.
func BenchmarkDatagram(b *testing.B) {
	p, _ := newPolicy(b, Options{DenyTargets: targetsOf(b, "example.org", "10.0.0.0/8"), DenyPorts: portsOf(b, "25")}, nil)
	c := &packets{p, drain{}, (*rules).target}
	ps := make([]core.Packet, 32)
	for i := range ps {
		ps[i].Addr = core.NewIPAddr(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 443)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.WritePackets(ps)
	}
}
