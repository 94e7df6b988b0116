package top

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/umbra-proxy/umbra/core/terminal"
	"github.com/umbra-proxy/umbra/core/view"
)

// screen is what is shown, and what the keys change. The zero value shows nothing yet.
type screen struct {
	by     Group
	order  Order
	filter string

	before, now *Sample // nil until they are taken
	problem     string  // why there is no newer sample

	rows     []Row  // filtered and sorted
	selected string // the name of a row; "" for none
	first    int    // the row at the top
	page     int    // rows that were shown

	mode    mode
	message string // what came of the last key
}

// mode is what keys are for.
type mode int

const (
	browsing mode = iota
	writing       // the filter
	asking        // whether to cut
)

// act is what the keys ask for.
type act int

const (
	nothing act = iota
	quit
	suspend
	sample // another group needs another sample
	cut    // the selected row
)

const (
	help      = "p pipelines  u users  o outbounds  c connections  s sort  / filter  k cut  q quit"
	maxFilter = 100 // characters
)

// take shows a newer sample.
func (s *screen) take(now *Sample) {
	s.before, s.now, s.problem = s.now, now, ""
	s.arrange()
}

// arrange filters and sorts the rows. The selection stays on its row, or where that was.
func (s *screen) arrange() {
	at := s.position()
	s.rows = nil
	if s.now != nil && s.now.By == s.by {
		s.rows = Filter(Rows(s.before, s.now), s.filter)
		Sort(s.rows, s.order)
	}
	if s.mode != asking && s.selected != "" && s.position() < 0 { // what is asked about stays selected
		s.move(at)
	}
}

// position returns the index of the selected row, or -1.
func (s *screen) position() int {
	if s.selected == "" {
		return -1
	}
	return slices.IndexFunc(s.rows, func(r Row) bool { return r.Name == s.selected })
}

// move selects the row at an index, or the nearest one.
func (s *screen) move(to int) {
	s.selected = ""
	if len(s.rows) > 0 {
		s.selected = s.rows[min(max(to, 0), len(s.rows)-1)].Name
	}
}

// press takes a key.
func (s *screen) press(k terminal.Key) act {
	switch k {
	case terminal.Interrupt:
		return quit
	case terminal.Suspend:
		return suspend
	}
	s.message = ""
	switch s.mode {
	case writing:
		s.write(k)
		return nothing
	case asking:
		s.mode = browsing
		if k == 'y' || k == 'Y' {
			return cut
		}
		s.message = "nothing was cut"
		return nothing
	}
	return s.browse(k)
}

func (s *screen) browse(k terminal.Key) act {
	at := s.position()
	switch k {
	case 'q', 'Q':
		return quit
	case 'p', 'u', 'o', 'c':
		i := strings.IndexRune("puoc", rune(k))
		return s.regroup(Groups()[i])
	case 's', terminal.Right:
		s.reorder(1)
	case terminal.Left:
		s.reorder(-1)
	case terminal.Up:
		s.move(at - 1)
	case terminal.Down:
		s.move(at + 1)
	case terminal.PageUp:
		s.move(at - max(1, s.page-1))
	case terminal.PageDown:
		s.move(at + max(1, s.page-1))
	case terminal.Home:
		s.move(0)
	case terminal.End:
		s.move(len(s.rows) - 1)
	case '/':
		s.mode = writing
	case 'k':
		if at >= 0 {
			s.mode = asking
		} else {
			s.message = "no row is selected; the arrows up and down do that"
		}
	case '?', 'h':
		s.message = "arrows select a row and the order"
	case terminal.Escape:
		s.filter, s.selected, s.first = "", "", 0
		s.arrange()
	}
	return nothing
}

func (s *screen) regroup(by Group) act {
	if by == s.by {
		return nothing
	}
	s.by, s.selected, s.first = by, "", 0
	s.arrange()
	return sample
}

// reorder takes the next order, or the one before.
func (s *screen) reorder(step int) {
	all := Orders()
	i := slices.Index(all, s.order)
	s.order = all[(i+step+len(all))%len(all)]
	s.arrange()
}

// write changes the filter.
func (s *screen) write(k terminal.Key) {
	switch {
	case k == terminal.Enter:
		s.mode = browsing
	case k == terminal.Escape:
		s.mode, s.filter = browsing, ""
	case k == terminal.Backspace && s.filter != "":
		_, n := utf8.DecodeLastRuneInString(s.filter)
		s.filter = s.filter[:len(s.filter)-n]
	case k >= ' ' && k != terminal.Backspace && utf8.RuneCountInString(s.filter) < maxFilter:
		s.filter += string(rune(k))
	}
	s.arrange()
}

// lines draws the screen.
func (s *screen) lines(width, height int) []terminal.Line {
	var head []terminal.Line
	for _, text := range s.heading() {
		head = append(head, terminal.Line{Text: terminal.Fit(text, width)})
	}
	now := time.Time{}
	if s.now != nil {
		now = s.now.Snapshot.Time
	}
	if s.problem != "" {
		head[len(head)-1] = terminal.Line{Text: terminal.Fit(printable(s.problem), width), Style: terminal.Red}
	}
	s.page = max(0, height-len(head)-2) // without the head of the list and the last line
	at := s.position()
	if at >= 0 && at < s.first {
		s.first = at
	} else if at >= s.first+s.page {
		s.first = at - s.page + 1
	}
	s.first = max(0, min(s.first, len(s.rows)-s.page))
	shown := s.rows[s.first:min(len(s.rows), s.first+s.page)]
	lines := head
	for i, text := range layout(s.by, now, shown, width) {
		l := terminal.Line{Text: terminal.Fit(text, width)}
		switch {
		case i == 0:
			l.Style = terminal.Bold
		case s.first+i-1 == at:
			l.Style = terminal.Reverse
		case shown[i-1].Outbound != nil && shown[i-1].Outbound.State == view.Bad:
			l.Style = terminal.Red
		case shown[i-1].Outbound != nil && shown[i-1].Outbound.State == view.Trouble:
			l.Style = terminal.Yellow
		}
		lines = append(lines, l)
	}
	lines = lines[:min(len(lines), max(0, height-1))]
	for len(lines) < height-1 {
		lines = append(lines, terminal.Line{})
	}
	return append(lines, terminal.Line{Text: terminal.Fit(s.footer(), width), Style: terminal.Dim})[:max(1, height)]
}

// heading returns the lines above the list.
func (s *screen) heading() []string {
	if s.now == nil {
		return []string{"umbra", "", ""}
	}
	return append(heading(s.before, s.now), s.says())
}

// says returns how the list is made.
func (s *screen) says() string {
	text := fmt.Sprintf("by %s, %d, sorted by %s", s.by, len(s.rows), s.order)
	if s.filter != "" {
		text += fmt.Sprintf(", with %q", s.filter)
	}
	return text
}

func (s *screen) footer() string {
	switch {
	case s.mode == writing:
		return "filter: " + printable(s.filter) + "_"
	case s.mode == asking:
		return s.question()
	case s.message != "":
		return printable(s.message)
	}
	return help
}

// question asks whether to cut what is selected.
func (s *screen) question() string {
	what := fmt.Sprintf("cut all connections of %s %s", s.by, s.selected)
	if s.by == ByConnection {
		what = "cut connection " + s.selected
		if at := s.position(); at >= 0 {
			what += " to " + s.rows[at].Connection.Target
		}
	}
	return printable(what) + "? y or n"
}
