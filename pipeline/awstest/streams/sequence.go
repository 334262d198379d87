package streams

import (
	"math/bits"
	"strconv"
)

// sequence is what a Kinesis sequence number holds. The 56 digits are a number of 47 hexadecimal
// digits, whose layout the kinesalite project has found out:
//
//	2 | second of the shard's creation (9) | low digit of the shard's index (1) | ordinal (16) | 00 |
//	second of arrival (9) | index of the shard (8) | 2
//
// So numbers grow within a shard, tell which shard of which stream they belong to, and a child's
// are above all of its parents' as long as it was created in a later second: see
// [stream.nextCreation].
type sequence struct {
	created int64  // second in which the shard was created
	index   int    // the shard's index in the stream
	ordinal uint64 // place in the shard: 0 is the shard's start, the first record is 1
	arrived int64  // second of arrival
}

// endOrdinal is the ordinal of every EndingSequenceNumber: above that of any record.
const endOrdinal = 1<<63 - 1

// wide is an unsigned number of 192 bits, most significant word first.
type wide [3]uint64

func (w *wide) push(value uint64, digits int) {
	shift := uint(digits * 4)
	if shift == 64 {
		w[0], w[1], w[2] = w[1], w[2], value
		return
	}
	w[0] = w[0]<<shift | w[1]>>(64-shift)
	w[1] = w[1]<<shift | w[2]>>(64-shift)
	w[2] = w[2]<<shift | value&(1<<shift-1)
}

// pop takes the lowest digits off.
func (w *wide) pop(digits int) uint64 {
	shift := uint(digits * 4)
	value := w[2]
	if shift == 64 {
		w[0], w[1], w[2] = 0, w[0], w[1]
		return value
	}
	value &= 1<<shift - 1
	w[2] = w[2]>>shift | w[1]<<(64-shift)
	w[1] = w[1]>>shift | w[0]<<(64-shift)
	w[0] >>= shift
	return value
}

// append writes the decimal digits of q to b.
func (q sequence) append(b []byte) []byte {
	var w wide
	w.push(2, 1)
	w.push(uint64(q.created), 9)
	w.push(uint64(q.index), 1)
	w.push(q.ordinal, 16)
	w.push(0, 2)
	w.push(uint64(q.arrived), 9)
	w.push(uint64(q.index), 8)
	w.push(2, 1)
	return w.appendDecimal(b)
}

func (q sequence) String() string { return string(q.append(nil)) }

func (w wide) appendDecimal(b []byte) []byte {
	const chunk = 1e19 // the largest power of ten in a word: three remainders of 19 digits
	var parts [4]uint64
	n := 0
	for w != (wide{}) {
		var rest uint64
		for i := range w {
			w[i], rest = bits.Div64(rest, w[i], chunk)
		}
		parts[n] = rest
		n++
	}
	if n == 0 {
		return append(b, '0')
	}
	b = strconv.AppendUint(b, parts[n-1], 10)
	for i := n - 2; i >= 0; i-- {
		var digits [19]byte
		for j, v := 18, parts[i]; j >= 0; j, v = j-1, v/10 {
			digits[j] = byte('0' + v%10)
		}
		b = append(b, digits[:]...)
	}
	return b
}

// parseSequence reads a sequence number that this package could have made.
func parseSequence(s string) (sequence, bool) {
	var w wide
	if len(s) == 0 || len(s) > 57 {
		return sequence{}, false
	}
	for i := range len(s) {
		digit := uint64(s[i] - '0')
		if digit > 9 {
			return sequence{}, false
		}
		for j := 2; j >= 0; j-- {
			hi, lo := bits.Mul64(w[j], 10)
			var carry uint64
			w[j], carry = bits.Add64(lo, digit, 0)
			digit = hi + carry
		}
		if digit != 0 {
			return sequence{}, false
		}
	}
	var q sequence
	version := w.pop(1)
	q.index = int(w.pop(8))
	q.arrived = int64(w.pop(9))
	zero := w.pop(2)
	q.ordinal = w.pop(16)
	low := w.pop(1)
	q.created = int64(w.pop(9))
	if version != 2 || zero != 0 || int(low) != q.index&15 || w != (wide{0, 0, 2}) || q.ordinal > endOrdinal {
		return sequence{}, false
	}
	return q, true
}
