package option

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		text  string
		want  Size
		print string
		err   string
	}{
		{"100GiB", 100 << 30, "100GiB", ""},
		{"1.5TB", 1_500_000_000_000, "1464843750KiB", ""},
		{"1 MiB", 1 << 20, "1MiB", ""},
		{"0.5KiB", 512, "512B", ""},
		{"1.000001MB", 1_000_001, "1000001B", ""},
		{"1kB", 1000, "1000B", ""},
		{"unlimited", 0, "unlimited", ""},
		{"1048576TiB", MaxSize, "1048576TiB", ""},
		{"1048577TiB", 0, "", "is too large"},
		{"99999999999999999999B", 0, "", "want a size"},
		{"9999999999999999GiB", 0, "", "is too large"},
		{"100", 0, "", "no unit"},
		{"100G", 0, "", "no unit"},
		{"100gib", 0, "", "no unit"},
		{"0GiB", 0, "", "is 0 bytes"},
		{"0.4B", 0, "", "is 0 bytes"},
		{"-1GiB", 0, "", "want a size"},
		{"+1GiB", 0, "", "want a size"},
		{"1.GiB", 0, "", "want a size"},
		{".5GiB", 0, "", "want a size"},
		{"1.+5GiB", 0, "", "want a size"},
		{"1e3GiB", 0, "", "want a size"},
		{"5KB", 0, "", "want a size"},
		{"", 0, "", "no unit"},
	} {
		var got Size
		err := got.UnmarshalText([]byte(tc.text))
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: got %d, %v, want %d, %q", tc.text, got, err, tc.want, tc.err)
		}
		if err == nil && got.String() != tc.print {
			t.Errorf("%q: got %q, want %q", tc.text, got, tc.print)
		}
	}
}

func TestBandwidth(t *testing.T) {
	for _, tc := range []struct {
		text  string
		want  Bandwidth
		print string
		err   string
	}{
		{"10MiB/s", Bandwidth{10 << 20, 10 << 20}, "10MiB/s", ""},
		{"100Mbit/s", Bandwidth{12_500_000, 12_500_000}, "12500000B/s", ""},
		{"1Gbit/s", Bandwidth{125_000_000, 125_000_000}, "125000000B/s", ""},
		{"1MiB/s up, 10MiB/s down", Bandwidth{1 << 20, 10 << 20}, "1MiB/s up, 10MiB/s down", ""},
		{"unlimited up,1MB/s down", Bandwidth{0, 1_000_000}, "unlimited up, 1000000B/s down", ""},
		{"unlimited", Bandwidth{}, "unlimited", ""},
		{"10MiB", Bandwidth{}, "", "does not end in /s"},
		{"1MiB/s up", Bandwidth{}, "", "no rate for down"},
		{"1MiB/s down", Bandwidth{}, "", "does not end in /s"},
		{"1MiB/s down, 1MiB/s up", Bandwidth{}, "", "want a bandwidth"},
		{"1MiB/s, 1MiB/s", Bandwidth{}, "", "want a bandwidth"},
		{"100B/s", Bandwidth{}, "", "want at least 1KiB/s"},
		{"8kbit/s", Bandwidth{}, "", "want at least 1KiB/s"},
		{"1bit/s", Bandwidth{}, "", "no unit"},
		{"", Bandwidth{}, "", "does not end in /s"},
	} {
		var got Bandwidth
		err := got.UnmarshalText([]byte(tc.text))
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: got %v, %v, want %v, %q", tc.text, got, err, tc.want, tc.err)
		}
		if err == nil && got.String() != tc.print {
			t.Errorf("%q: got %q, want %q", tc.text, got, tc.print)
		}
	}
}

// FuzzSize reads arbitrary texts: what is taken is within bounds, and prints as what
// reads as the same.
func FuzzSize(f *testing.F) {
	for _, text := range []string{"100GiB", "1.5TB", "unlimited", "1 B", "9999999999999999999TiB", "1.999999kB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again Size
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if s < 0 || s > MaxSize || s == 0 && text != unlimited {
			t.Errorf("%q: got %d", text, s)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q prints as %q, which reads as %d, %v", text, s, again, err)
		}
	})
}

// FuzzBandwidth does the same with bandwidths.
func FuzzBandwidth(f *testing.F) {
	for _, text := range []string{"10MiB/s", "100Mbit/s", "1MiB/s up, 10MiB/s down", "unlimited up, 1Gbit/s down", "unlimited"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again Bandwidth
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		for _, s := range []Size{b.Up, b.Down} {
			if s != 0 && s < leastBandwidth || s > MaxSize {
				t.Errorf("%q: got %d", text, s)
			}
		}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%q prints as %q, which reads as %v, %v", text, b, again, err)
		}
	})
}

func TestSizeRounded(t *testing.T) {
	for size, want := range map[Size]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 1536: "1.5KiB", 5 << 30: "5.0GiB", 1 << 62: "4096.0PiB"} {
		if got := size.Rounded(); got != want {
			t.Errorf("%d: got %s, want %s", size, got, want)
		}
	}
}
