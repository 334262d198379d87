package pipeline

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAFairQueueTakesTurns(t *testing.T) {
	q := newFairQueue[string, string]()
	for i := range 1000 {
		q.push("flood", fmt.Sprint("flood ", i))
	}
	if v, _ := q.pop(); v != "flood 0" {
		t.Errorf("first %q", v)
	}
	q.push("other", "other 0")
	q.push("third", "third 0")
	q.push("other", "other 1")
	var got []string
	for range 6 {
		v, _ := q.pop()
		got = append(got, v)
	}
	want := []string{"flood 1", "other 0", "third 0", "flood 2", "other 1", "flood 3"}
	left := 0
	for _, ok := q.pop(); ok; _, ok = q.pop() {
		left++
	}
	if !slices.Equal(got, want) || left != 996 {
		t.Errorf("got %v and %d left, want %v and 996", got, left, want)
	}
}

// Whatever is pushed and popped in whatever order: nothing is lost or doubled, a key's values keep
// their order, and a key that has something to give waits for at most one value of each other key.
func TestAFairQueueKeepsItsPromises(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		q := newFairQueue[int, [2]int]()
		pushed, popped := map[int]int{}, map[int]int{}
		waited := map[int]map[int]int{} // of a key that waits: how many of each other key went first
		for range 500 {
			key := random.IntN(6)
			if random.IntN(2) == 0 {
				q.push(key, [2]int{key, pushed[key]})
				pushed[key]++
				if waited[key] == nil {
					waited[key] = map[int]int{}
				}
				continue
			}
			v, ok := q.pop()
			if !ok {
				for key, n := range pushed {
					if popped[key] != n {
						t.Fatalf("nothing comes out, though %d of key %d were pushed and %d popped", n, key, popped[key])
					}
				}
				continue
			}
			if v[1] != popped[v[0]] {
				t.Fatalf("key %d gives value %d, want %d", v[0], v[1], popped[v[0]])
			}
			popped[v[0]]++
			for other, first := range waited {
				if first[v[0]]++; other != v[0] && first[v[0]] > 1 {
					t.Fatalf("key %d went twice before key %d", v[0], other)
				}
			}
			delete(waited, v[0])
			if pushed[v[0]] > popped[v[0]] {
				waited[v[0]] = map[int]int{}
			}
		}
		for v, ok := q.pop(); ok; v, ok = q.pop() {
			popped[v[0]]++
		}
		for key, n := range pushed {
			if popped[key] != n {
				t.Fatalf("%d of key %d were pushed and %d came out", n, key, popped[key])
			}
		}
	}
}
