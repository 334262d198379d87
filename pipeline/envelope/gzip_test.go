package envelope

import (
	"slices"
	"strings"
	"testing"
)

func TestALargeTextIsAnnounced(t *testing.T) {
	small, large := []byte(zipped(strings.Repeat(" ", KeptBytes-1))), []byte(zipped(strings.Repeat(" ", 4*KeptBytes)))
	lying := append(large[:len(large)-4:len(large)-4], 1, 0, 0, 0)
	for name, tt := range map[string]struct {
		data []byte
		want []int // the sizes
	}{
		"a small one":                       {small, nil},
		"a large one":                       {large, []int{4*KeptBytes + 1}},
		"a large one that says it is small": {lying, []int{3 * KeptBytes, 6 * KeptBytes, 12 * KeptBytes}},
	} {
		d := New(Config{}.orDefault())
		var announced []int
		for u := range d.Units(tt.data, false) {
			if u.Kind == LargeText {
				if len(announced) == 0 && cap(d.text) > KeptBytes {
					t.Errorf("%s: %d bytes were held before it was announced", name, cap(d.text))
				}
				announced = append(announced, u.Size)
			}
		}
		if !slices.Equal(announced, tt.want) {
			t.Errorf("%s: %d bytes are announced, want %d", name, announced, tt.want)
		}
	}
}

func TestAConsumerThatDoesNotWaitLeaves(t *testing.T) {
	d := New(Config{}.orDefault())
	for range d.Units([]byte(zipped(strings.Repeat(" ", 4*KeptBytes))), false) {
		break
	}
	if cap(d.text) > KeptBytes {
		t.Errorf("%d bytes are held for a record that was left", cap(d.text))
	}
	if got := readBy(t, d, []byte(rootEvent), false).counts; got["root"] != 1 || len(got) != 1 {
		t.Errorf("the next record counts as %v, want one root call", got)
	}
}

func TestAGzipsTrailerPromisesASize(t *testing.T) {
	text := strings.Repeat("x", 100_000)
	for name, tt := range map[string]struct {
		data  string
		limit int
		want  int
	}{
		"as it is":                     {zipped(text), 1 << 20, 100_001},
		"the limit":                    {zipped(text), 5_000, 5_001},
		"more than deflate could make": {"\x1f\x8b\xff\xff\xff\x7f", 1 << 40, 6*1032 + 1},
		"no trailer":                   {"\x1f\x8b", 1 << 20, 0},
	} {
		if got := promised([]byte(tt.data), tt.limit); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	for _, size := range []int{0, 1, minText - 1, minText, minText + 1, 2 * minText} { // whatever the trailer says
		text := strings.Repeat("x", size)
		data := []byte(zipped(text))
		var x expander
		if err := x.expand(data, 1<<20, nil); err != nil || string(x.text) != text {
			t.Errorf("%d bytes: %d, %v", size, len(x.text), err)
		}
		copy(data[len(data)-4:], "\x00\x00\x00\x00")
		if _ = x.expand(data, 1<<20, nil); string(x.text) != text {
			t.Errorf("%d bytes with a lying trailer: %d", size, len(x.text))
		}
	}
}
