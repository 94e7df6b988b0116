package manager

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// traffic counts the bytes of ports, both ways together, from the totals of pipelines, which
// go on when a port is removed and added again.
type traffic struct {
	began map[int]uint64 // the total of a port when it was added
	told  map[int]uint64 // what has been told of it since
	left  map[int]uint64 // of removed ports, what has not been told yet
}

func newTraffic() *traffic {
	return &traffic{began: map[int]uint64{}, told: map[int]uint64{}, left: map[int]uint64{}}
}

// add begins with a port whose pipeline has moved total bytes so far.
func (t *traffic) add(number int, total uint64) {
	t.began[number], t.told[number] = total, total
}

// remove ends with a port.
func (t *traffic) remove(number int, total uint64) {
	if more := total - t.told[number]; more > 0 {
		t.left[number] += more
	}
	delete(t.began, number)
	delete(t.told, number)
}

// since returns what each port has moved since it was added.
func (t *traffic) since(total func(number int) uint64) map[int]uint64 {
	all := map[int]uint64{}
	for number, began := range t.began {
		all[number] = total(number) - began
	}
	return all
}

// untold returns what has not been told yet, of the ports that have moved something.
func (t *traffic) untold(total func(number int) uint64) map[int]uint64 {
	all := maps.Clone(t.left)
	for number, told := range t.told {
		if more := total(number) - told; more > 0 {
			all[number] += more
		}
	}
	return all
}

// tell notes that bytes of a port have been told.
func (t *traffic) tell(number int, bytes uint64) {
	left := min(t.left[number], bytes)
	if t.left[number] -= left; t.left[number] == 0 {
		delete(t.left, number)
	}
	if _, open := t.told[number]; open {
		t.told[number] += bytes - left
	}
}

// portsPerDatagram is how many ports a datagram has, as with the Python original: it stays
// below the 1506 bytes that its clients read.
const portsPerDatagram = 50

// datagrams returns the counts as texts of the form of stat, as many ports in each as the
// Python original sends, and the numbers of the ports in each.
func datagrams(counts map[int]uint64) (texts [][]byte, numbers [][]int) {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(counts)), portsPerDatagram) {
		texts, numbers = append(texts, stat(part, counts)), append(numbers, part)
	}
	return texts, numbers
}

// stat returns the text `stat: {"8381":1234}`.
func stat(numbers []int, counts map[int]uint64) []byte {
	b := []byte("stat: {")
	for i, number := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, strconv.Itoa(number)), ':')
		b = strconv.AppendUint(b, counts[number], 10)
	}
	return append(b, '}')
}

// list returns the answer to list, in the form of shadowsocks-libev.
func list(ps ports, method string) []byte {
	b := []byte("[")
	for i, number := range ps.numbers() {
		p := ps[number]
		if i > 0 {
			b = append(b, ',')
		}
		used := p.Method
		if used == "" {
			used = method
		}
		line, _ := json.Marshal(listed{strconv.Itoa(number), p.Password, used}) // strings can be written
		b = append(append(b, "\n\t"...), line...)
	}
	return append(b, "\n]"...)
}

type listed struct {
	Port     string `json:"server_port"`
	Password string `json:"password"`
	Method   string `json:"method"`
}
