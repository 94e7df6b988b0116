package page

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshots takes the pictures of the README, and writes them to the folder that
// UMBRA_SCREENSHOTS names, if it is set.
func TestScreenshots(t *testing.T) {
	s := office(t)
	s.connections[0].Target = "host-0.example.org:443"
	office := serve(t, s).URL
	for _, shot := range []struct {
		name string
		look look
		view string
	}{
		{"office", look{width: 1440, height: 1475, still: true}, "overview"},
		{"office-dark", look{width: 1440, height: 1475, dark: true, still: true}, "overview"},
		{"phone", look{width: 390, height: 844, still: true}, "overview"},
		{"connections", look{width: 1440, height: 800, still: true}, "connections"},
		{"journeys", look{width: 1440, height: 800, still: true}, "journeys"},
	} {
		tb := open(t, office, shot.look)
		tb.live()
		tb.view(shot.view)
		if shot.view == "overview" {
			tb.until("numbers move", `/[0-9] [kM]B\/s/.test(document.querySelector("[data-pipeline=office] .now").textContent)`)
			tb.js(`globalThis.began = Date.now()`)
			tb.until("there are lines", `Date.now() - globalThis.began > 6000`)
		} else {
			tb.until("there is a list", `document.querySelector("#view-`+shot.view+` :is(tbody tr, .journey)")`)
			tb.js(`document.querySelector(".journey.failed summary")?.click(); document.querySelector(".journey:not(.failed) summary")?.click()`)
		}
		tb.shoot(shot.name)
	}
}

// shoot takes a picture of what a tab shows.
func (tb *tab) shoot(name string) {
	tb.t.Helper()
	data, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		tb.t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		tb.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced(full)); err != nil {
		tb.t.Fatal(err)
	}
	const most = 150 << 10
	if out.Len() > most {
		tb.t.Errorf("%s has %d bytes, want %d at most", name, out.Len(), most)
	}
	if folder := os.Getenv("UMBRA_SCREENSHOTS"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, name+".png"), out.Bytes(), 0o644); err != nil {
			tb.t.Fatal(err)
		}
	}
}

// reduced returns a picture with 256 colours at most: the most frequent ones, and of the others that look
// alike one each.
func reduced(from image.Image) image.Image {
	b := from.Bounds()
	count := map[color.RGBA]int{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[color.RGBAModel.Convert(from.At(x, y)).(color.RGBA)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range all[:min(128, len(all))] {
		palette = append(palette, c)
		delete(count, c)
	}
	alike := func(c color.RGBA) color.RGBA { return color.RGBA{c.R >> 4, c.G >> 4, c.B >> 4, 0} }
	best, sums := map[color.RGBA]color.RGBA{}, map[color.RGBA]int{}
	for c, n := range count {
		kind := alike(c)
		sums[kind] += n
		if n > count[best[kind]] {
			best[kind] = c
		}
	}
	kinds := slices.SortedFunc(maps.Keys(sums), func(a, b color.RGBA) int { return sums[b] - sums[a] })
	for _, kind := range kinds[:min(256-len(palette), len(kinds))] {
		palette = append(palette, best[kind])
	}
	to := image.NewPaletted(b, palette)
	draw.Draw(to, b, from, b.Min, draw.Src)
	return to
}
