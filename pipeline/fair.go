package pipeline

import "container/list"

// fairQueue hands out values of several keys in turn: the first value of a key goes before the second of any other that
// waits, however many there are of that. Values of one key keep their order. Its user guards it.
type fairQueue[K comparable, V any] struct {
	turns  list.List // of *turn, the next one in front
	places map[K]*list.Element
	size   int
}

// turn is what waits of one key, in order.
type turn[K comparable, V any] struct {
	key    K
	values []V
}

func newFairQueue[K comparable, V any]() *fairQueue[K, V] {
	return &fairQueue[K, V]{places: make(map[K]*list.Element)}
}

// push adds a value behind those of its key.
func (q *fairQueue[K, V]) push(key K, value V) {
	q.size++
	place := q.places[key]
	if place == nil {
		place = q.turns.PushBack(&turn[K, V]{key: key})
		q.places[key] = place
	}
	t := place.Value.(*turn[K, V])
	t.values = append(t.values, value)
}

// pop takes the next value out; ok is false if there is none.
func (q *fairQueue[K, V]) pop() (value V, ok bool) {
	place := q.turns.Front()
	if place == nil {
		return value, false
	}
	q.size--
	t := place.Value.(*turn[K, V])
	value = t.values[0]
	var none V
	t.values[0] = none // not kept alive by what stands behind it
	if t.values = t.values[1:]; len(t.values) == 0 {
		q.turns.Remove(place)
		delete(q.places, t.key)
	} else {
		q.turns.MoveToBack(place)
	}
	return value, true
}

func (q *fairQueue[K, V]) len() int { return q.size }
