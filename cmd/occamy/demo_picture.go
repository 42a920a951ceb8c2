package main

import (
	"fmt"
	"html"
	"os"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
)

// frame is what the slots of both servers held from a moment on.
type frame struct {
	at    time.Duration
	slots [][]occamy.SlotInfo // by server
}

const (
	lane       = 34.0 // pixels of height for a slot
	perSecond  = 30.0
	leftMargin = 90.0
	topMargin  = 26.0
)

// colours tell requests apart, also for those who cannot tell red from green.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"}

// writePicture draws the slots over time: a full lane is a request, a pale one
// its helper.
func writePicture(path string, servers []*demoServer, frames []frame, end time.Duration) error {
	var b strings.Builder
	lanes := 0
	for _, s := range servers {
		lanes += s.Info().Slots
	}
	width, height := leftMargin+end.Seconds()*perSecond+20, topMargin+float64(lanes)*lane+float64(len(servers))*10+30
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="ui-monospace, monospace" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", width, height)
	y, colour := topMargin, colourer()
	for i, s := range servers {
		for slot := range s.Info().Slots {
			fmt.Fprintf(&b, `<text x="8" y="%.0f" fill="#333">%s slot %d</text>`+"\n", y+lane*0.6, html.EscapeString(s.name), slot)
			for _, p := range stretches(frames, i, slot, end) {
				drawStretch(&b, p, y, colour)
			}
			y += lane
		}
		y += 10
	}
	for t := time.Duration(0); t <= end; t += 5 * time.Second {
		x := leftMargin + t.Seconds()*perSecond
		fmt.Fprintf(&b, `<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" stroke="#999" stroke-width="0.5"/><text x="%.0f" y="%.0f" fill="#666">%.0f s</text>`+"\n",
			x, topMargin-6, x, y, x+2, y+16, t.Seconds())
	}
	b.WriteString("</svg>\n")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}

// stretch is a time during which a slot held the same task.
type stretch struct {
	from, to time.Duration
	slot     occamy.SlotInfo
}

func stretches(frames []frame, server, slot int, end time.Duration) []stretch {
	var all []stretch
	for i, f := range frames {
		to := end
		if i+1 < len(frames) {
			to = frames[i+1].at
		}
		now := f.slots[server][slot]
		if n := len(all); n > 0 && all[n-1].slot.ID == now.ID && all[n-1].slot.Status == now.Status {
			all[n-1].to = to
			continue
		}
		all = append(all, stretch{f.at, to, now})
	}
	return all
}

func drawStretch(b *strings.Builder, p stretch, y float64, colour func(string) string) {
	if p.slot.Status == occamy.Empty || p.to <= p.from {
		return
	}
	request, _ := requestOf(p.slot.ID)
	x, w := leftMargin+p.from.Seconds()*perSecond, (p.to-p.from).Seconds()*perSecond
	opacity, text, ink := "1", request, "#fff"
	if p.slot.Status != occamy.Protected {
		opacity, text, ink = "0.25", "helps "+request, "#333"
	}
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="4" fill="%s" fill-opacity="%s" stroke="#fff"/>`, x, y, w, lane-4, colour(request), opacity)
	if w > 8*float64(len(text))+6 {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`, x+6, y+lane*0.6, ink, html.EscapeString(text))
	}
	b.WriteByte('\n')
}

// colourer gives each request a colour of its own while there are any.
func colourer() func(string) string {
	given := make(map[string]string)
	return func(request string) string {
		if _, ok := given[request]; !ok {
			given[request] = colours[len(given)%len(colours)]
		}
		return given[request]
	}
}
