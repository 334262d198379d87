package pipeline

import "container/list"

// fairQueue hands out values of several keys in turn: the first value of a key goes before the
// second of any other that waits, however many there are of that. Values of one key keep their
// order. Its user guards it.
type fairQueue[K comparable, V any] struct {
	turns    list.List // of *turn, the next one in front
	elements map[K]*list.Element
}

// turn is what waits of one key, in order.
type turn[K comparable, V any] struct {
	key    K
	values []V
}

func newFairQueue[K comparable, V any]() *fairQueue[K, V] {
	return &fairQueue[K, V]{elements: make(map[K]*list.Element)}
}

// push adds a value behind those of its key.
func (q *fairQueue[K, V]) push(key K, value V) {
	element := q.elements[key]
	if element == nil {
		element = q.turns.PushBack(&turn[K, V]{key: key})
		q.elements[key] = element
	}
	t := element.Value.(*turn[K, V])
	t.values = append(t.values, value)
}

// pop takes the next value out; ok is false if there is none.
func (q *fairQueue[K, V]) pop() (value V, ok bool) {
	element := q.turns.Front()
	if element == nil {
		return value, false
	}
	t := element.Value.(*turn[K, V])
	value = t.values[0]
	var none V
	t.values[0] = none // not kept alive by what stands behind it
	if t.values = t.values[1:]; len(t.values) == 0 {
		q.turns.Remove(element)
		delete(q.elements, t.key)
	} else {
		q.turns.MoveToBack(element)
	}
	return value, true
}
