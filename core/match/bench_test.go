package match

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
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

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLoad reads a list, and tells how much it takes then.
func BenchmarkLoad(b *testing.B) {
	for what, entry := range map[string]func(int) string{
		"names": listName, "hosts": func(n int) string { return "0.0.0.0 " + listName(n) }, "ranges": rangeText,
	} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", what, n), func(b *testing.B) {
				text := listFile(n, entry)
				var t *Targets
				var err error
				before := heap()
				for b.Loop() {
					if t, err = ReadTargets("list", bytes.NewReader(text)); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(heap()-before)/float64(t.Len()), "B/entry")
				runtime.KeepAlive(t)
				runtime.KeepAlive(text)
			})
		}
	}
}

// BenchmarkPatterns asks as many keywords and expressions as there may be about an
// ordinary name and the longest.
func BenchmarkPatterns(b *testing.B) {
	var words, plain, worst Targets
	for i := range MaxKeywords {
		_ = words.keywords.add([]byte(listName(i)[:5]))
	}
	for i := range maxPatterns {
		_ = plain.patterns.add(fmt.Appendf(nil, `^ads?[0-9]+\.%d`, i))
	}
	for worst.patterns.add([]byte("(?:a|aa|a[b.]*){20}z")) == nil {
	}
	for name, host := range map[string]string{"ordinary": "www.some-site.example", "longest": strings.Repeat(strings.Repeat("a", 62)+".", 4)} {
		for what, t := range map[string]*Targets{"keywords": &words, "expressions": &plain, "worst expressions": &worst} {
			folded := Fold(nil, host)
			b.Run(what+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _ = t.Name(host, folded)
				}
			})
		}
	}
}
